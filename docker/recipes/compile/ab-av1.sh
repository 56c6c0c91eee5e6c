#!/bin/sh
# Build ab-av1 from the crate in /src, whose Cargo.lock has the digests of its dependencies.
# Result: /out/ab-av1/{runtime,manifest}.
set -eu
# shellcheck source=../lib/https.sh
. /run/recipes/https.sh
# shellcheck source=compile.sh
. /run/recipes/compile.sh
out=/out/ab-av1
program=$out/runtime/usr/local/bin/ab-av1
# Crates compile C with this; by default they would use the wrapper of rustc for it.
export CC='ccache gcc' CXX='ccache g++'
RUSTFLAGS=$(echo "$LDFLAGS" | sed 's/-Wl/-Clink-arg=&/g')
export RUSTFLAGS
# With the crate's own setting, each link compiles the code of all crates, which no cache stores. The
# program only starts others, so it need not be fast.
export CARGO_PROFILE_RELEASE_LTO=false

# sccache has a server, which the step starts and stops. Without it, or if it fails, crates are
# compiled without a cache; if it hangs, the timeouts end the step. Its socket is the step's own, as
# steps may share a network.
export SCCACHE_SERVER_UDS=/build/sccache.socket SCCACHE_IGNORE_SERVER_IO_ERROR=1
if timeout 20 sccache --start-server >/build/sccache.log 2>&1; then
    export RUSTC_WRAPPER=sccache
    trap 'timeout 10 sccache --stop-server >/dev/null 2>&1 || true' EXIT
else
    echo "#warning sccache does not start: $(tail -n 1 /build/sccache.log)"
fi

# Print this step's results of sccache, as `report_caches` does. It cannot store a program, nor what
# the compiler itself loads.
report_sccache() {
    [ "${RUSTC_WRAPPER-}" ] || return 0
    # shellcheck disable=SC2016 # $stats is a variable of jq
    timeout 10 sccache --show-stats --stats-format=json >/build/sccache.json &&
        jq -r '.stats | . as $stats | def sum: [$stats[.].counts[]] | add // 0;
            {hit: ("cache_hits" | sum), miss: ("cache_misses" | sum),
             bypassed: (.requests_not_cacheable + .requests_not_compile)}
            | "#measure " + ({sccache: .} | tojson)' /build/sccache.json ||
        echo '#warning sccache does not tell its results'
}

cp -r /src /build/ab-av1
cd /build/ab-av1
cargo fetch --locked --target="$(rustc -vV | sed -n 's/^host: //p')"
timeout 3600 cargo build --release --locked --offline
install -D "$CARGO_TARGET_DIR/release/ab-av1" "$program"
report_sccache
report_caches

# The image has a list of the crates in the program, and their licence texts.
texts=$out/runtime/usr/local/share/doc/ab-av1
install -D -m 644 -t "$texts" LICENSE
cargo tree --locked --offline --edges=normal,no-proc-macro --no-dedupe --prefix=none \
    --format='{p} {l}' >/build/tree
grep -v '^ab-av1 ' /build/tree | LC_ALL=C sort -u | while read -r crate version licence; do
    version=${version#v}
    source=$(find "$CARGO_HOME"/registry/src/* -maxdepth 1 -name "$crate-$version" | head -n 1)
    (cd "$source" && find . -maxdepth 2 -type f \( -iname 'LICEN[CS]E*' -o -iname 'COPY*' \
        -o -iname 'NOTICE*' -o -iname 'UNLICEN[CS]E*' \) \
        -exec install -D -m 644 {} "$texts/$crate-$version/{}" \;)
    checksum=$(awk -F'"' -v crate="$crate" -v version="$version" '
        $1 == "name = " { name = $2 }
        $1 == "version = " { found = name == crate && $2 == version }
        $1 == "checksum = " && found { print $2 }' Cargo.lock)
    printf '{"name": "%s", "version": "%s", "licence": "%s", "digest": "sha256:%s"}\n' \
        "$crate" "$version" "$licence" "$checksum"
done >/build/crates.json
mkdir -p $out/manifest
jq --arg rust "$(rustc --version | cut -d' ' -f2)" --slurpfile crates /build/crates.json \
    '. + {rust: $rust, crates: $crates}' /src/source.json >$out/manifest/ab-av1.json

# Check that it starts.
"$program" --version
