# shellcheck shell=sh
# Sourced by the recipes that compile C: the flags every binary is built with,
# the accounts of the shared compiler cache, and the staging roots.

# Hardening that Debian's own packages have too.
export LDFLAGS='-Wl,-z,relro -Wl,-z,now'

# A miss starts the compiler once, not the preprocessor before it: what a file includes
# is read in the list that -MD has the compiler write. -MMD would leave out the
# libraries' headers, and so hide their changes: no recipe may use it.
export CCACHE_DEPEND=1

# What the launcher and runcache.py remember of this step, and tell of it.
export DEPCACHE_TEMP=/build/depcache DEPCACHE_LOG=/build/depcache.log

# What ccache did in this step: its own statistics are those of all steps, ever.
export CCACHE_STATSLOG=/build/ccache.log
: >"$CCACHE_STATSLOG"

# Has compilers that ccache does not know called through the launcher, which then
# stands before them on PATH under their names. It keeps results beside ccache's.
launch() { # COMPILER...
    for compiler; do
        shift
        ! command -v "$compiler" >/dev/null || set -- "$@" "$compiler"
    done
    [ $# = 0 ] || /run/launcher/depcache.py --install /build/launchers "$@"
    export PATH="/build/launchers:$PATH"
}

# Prints what the caches did for this step; the build sessions collect the lines.
report_caches() {
    test ! -s /build/depcache.log || awk '
        { n[$1]++ }
        END {
            printf "#measure {\"depcache\": {\"hit\": %d, \"miss\": %d, ", n["hit"], n["miss"]
            printf "\"unsafe\": %d, \"passed\": %d}}\n", n["unsafe"], n["passed"]
        }' /build/depcache.log
    awk '
        { n[$1]++ }
        END {
            printf "#measure {\"ccache\": {\"direct_cache_hit\": %d, ", n["direct_cache_hit"]
            printf "\"preprocessed_cache_hit\": %d, \"cache_miss\": %d}}\n", n["preprocessed_cache_hit"], n["cache_miss"]
        }' /build/ccache.log
}

# Moves what only a compiler reads from /out/runtime to /out/dev.
split_dev() {
    mkdir -p /out/dev/usr/local/lib
    mv /out/runtime/usr/local/include /out/dev/usr/local/
    mv /out/runtime/usr/local/lib/pkgconfig /out/dev/usr/local/lib/
}
