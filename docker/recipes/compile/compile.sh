# shellcheck shell=sh
# Sourced by the recipes that compile: flags for all binaries, the compiler caches and their
# measurements, and the layout of the results.

# The prefix of the compilers' names, if they are for another architecture than this machine's.
export CROSS=''
if [ -f /etc/cross ]; then
    CROSS=$(cat /etc/cross)
    export PKG_CONFIG_PATH=/usr/local/lib/pkgconfig # where they do not look by themselves
fi

# Debian hardens its own packages with these flags, too.
export LDFLAGS='-Wl,-z,relro -Wl,-z,now'

# In depend mode a miss does not run the preprocessor first: ccache reads the included files from
# the list that the compiler writes for -MD. No recipe may use -MMD, which leaves out the
# libraries' headers, so that ccache would not see their changes.
export CCACHE_DEPEND=1

# Where depcache and runcache store the digests of compilers, and log their results.
export DEPCACHE_TEMP=/build/depcache DEPCACHE_LOG=/build/depcache.log

# Log this step's cache results; ccache's built-in counters are cumulative.
export CCACHE_STATSLOG=/build/ccache.log
: >"$CCACHE_STATSLOG"

# If the build passes the address of a remote cache as a secret, both caches look there after
# themselves, through a proxy on loopback. The proxy reads the secret, so that neither an argument
# nor a variable contains it. Steps without Python have no depcache, and no proxy.
if [ -s /run/secrets/remote-cache ] && [ -x /usr/bin/python3 ]; then
    DEPCACHE_REMOTE=$(/run/cache/remote.py start) || DEPCACHE_REMOTE=''
    if [ "$DEPCACHE_REMOTE" ]; then
        export DEPCACHE_REMOTE
        export CCACHE_REMOTE_STORAGE="$DEPCACHE_REMOTE|layout=flat|connect-timeout=1000|operation-timeout=4000"
    fi
fi

# Run the given compilers through depcache, by putting it first on PATH under their names. Its
# results are stored beside ccache's.
launch() { # COMPILER...
    for compiler; do
        shift
        ! command -v "$compiler" >/dev/null || set -- "$@" "$compiler"
    done
    [ $# = 0 ] || /run/cache/depcache.py --install /build/launchers "$@"
    export PATH="/build/launchers:$PATH"
}

# Print every ten seconds how many objects are compiled, for make, which prints nothing. Run it in
# the background: it ends with the step.
report_progress() {
    while sleep 10; do
        printf '#progress {"objects": %d}\n' "$(cat "$CCACHE_STATSLOG" "$DEPCACHE_LOG" 2>/dev/null |
            grep -cE '^(# |hit|miss|uncacheable)')"
    done
}

# Print this step's cache results; the build sessions collect the lines. All calls of a compiler
# bypass depcache if it cannot read the release's output of --dryrun, for example.
report_caches() {
    test ! -s /build/depcache.log || awk '
        { n[$1]++; if ($1 == "bypass") bypassed[$2]++; else looked_up[$2]++ }
        END {
            printf "#measure {\"depcache\": {\"hit\": %d, \"miss\": %d, ", n["hit"], n["miss"]
            printf "\"uncacheable\": %d, \"bypassed\": %d}}\n", n["uncacheable"], n["bypass"]
            for (name in bypassed)
                if (!(name in looked_up))
                    printf "#warning all %d calls of %s bypassed depcache\n", bypassed[name], name
        }' /build/depcache.log
    awk '
        { n[$1]++ }
        END {
            printf "#measure {\"ccache\": {\"direct_cache_hit\": %d, ", n["direct_cache_hit"]
            printf "\"preprocessed_cache_hit\": %d, ", n["preprocessed_cache_hit"]
            printf "\"cache_miss\": %d}}\n", n["cache_miss"]
        }' /build/ccache.log
    [ -z "${DEPCACHE_REMOTE-}" ] || /run/cache/remote.py stop || true
}

# Install the licence texts of a component for the image. A file that does not exist is left out, as
# source trees have different names for it; a test of the images finds a component without a text.
# shellcheck disable=SC2154 # the recipe sets $out
install_licence() { # COMPONENT FILE...
    texts=$out/runtime/usr/local/share/doc/$1
    shift
    for text; do
        [ ! -f "$text" ] || install -D -m 644 -t "$texts" "$text"
    done
}

# Move the files that only a compiler reads from $out/runtime to $out/dev.
# shellcheck disable=SC2154 # the recipe sets $out
split_dev() {
    mkdir -p "$out/dev/usr/local/lib"
    mv "$out/runtime/usr/local/include" "$out/dev/usr/local/"
    mv "$out/runtime/usr/local/lib/pkgconfig" "$out/dev/usr/local/lib/"
}
