#!/bin/sh
# Build or test the Go module in the current directory, against the libvmaf in /usr/local.
#
#   server.sh build|test
#
# `build` writes /out/server/{runtime,manifest}; `test` vets, tests and fuzzes, with FUZZ_TIME for
# each target.
set -eu
# shellcheck source=../lib/https.sh
. /run/recipes/https.sh

case $1 in
build) ;;
test)
    ldconfig
    go vet ./...
    GOBIN=/tmp/tools go -C tools install tool
    /tmp/tools/staticcheck ./...
    go test -race -v ./... >/out/tests.log 2>&1 || {
        grep -v "^=== RUN\|--- PASS" /out/tests.log
        exit 1
    }
    # The address sanitizer also reports memory that C allocates for Go and nothing frees.
    go test -asan ./internal/vmaf
    # The go tool fuzzes one target at a time.
    grep -r '^func Fuzz' --include='*_test.go' . | sed -E 's/^(.*):func (Fuzz\w+).*/\1 \2/' |
        while read -r file target; do
            go test -run=NONE -fuzz="^$target\$" -fuzztime="${FUZZ_TIME:-5s}" "$(dirname "$file")"
        done
    printf '#measure {"tests": {"run": %d, "failed": 0}}\n' "$(grep -c -- '^--- PASS' /out/tests.log)"
    exit
    ;;
esac

# shellcheck source=go.sh
. /run/recipes/go.sh
out=/out/server
program=$out/runtime/usr/local/bin/vmaf-server
library=$(realpath /usr/local/lib/libvmaf.so)
link_program "$program" ./cmd/vmaf-server
install_module_licences $out/runtime/usr/local/share/doc/vmaf-server ./cmd/vmaf-server

# The manifest has the digest of the library, so that a test can check the image against it.
mkdir -p $out/manifest
jq -n --arg version "$LIBVMAF_VERSION" --arg revision "$REVISION" \
    --arg digest "$(digest_of_sources)" \
    --arg go "$(go env GOVERSION)" --arg linked "$(digest <"$library")" \
    --arg models "$(find /usr/local/share/vmaf/model -name '*.json' -printf '%P\n' | sort)" \
    '{name: "vmaf-server", version: $version, source: ("server/ at " + $revision),
      digest: $digest, go: $go, libvmaf: $linked, models: ($models | split("\n"))}' \
    >$out/manifest/vmaf-server.json

# Check that it loads that library, and starts. What is for another architecture starts in the last
# stage of the image.
ldconfig
soname=$(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }')
objdump -p "$program" | grep "NEEDED *$soname"
test "$(realpath "/usr/local/lib/$soname")" = "$library"
[ "${CROSS-}" ] || "$program" --version
