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

out=/out/server
program=$out/runtime/usr/local/bin/vmaf-server
library=$(realpath /usr/local/lib/libvmaf.so)
# Hardened like the binaries of compile.sh, which needs the C linker.
go build -buildmode=pie -o "$program" -ldflags "-s -w -linkmode=external \
    -extldflags '-Wl,-z,relro -Wl,-z,now' \
    -X main.version=$LIBVMAF_VERSION -X main.revision=$REVISION" ./cmd/vmaf-server

# The image contains the licence texts of the Go modules in the program, and of Go's library.
texts=$out/runtime/usr/local/share/doc/vmaf-server
go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}' ./cmd/vmaf-server |
    sort -u | while read -r module directory; do
    [ "$module" ] || continue
    (cd "$directory" && find . -type f -not -path '*/testdata/*' \( -name 'LICEN[CS]E*' \
        -o -name 'COPYING*' -o -name 'NOTICE*' -o -name 'PATENTS*' \) \
        -exec install -D -m 644 {} "$texts/$module/{}" \;)
done
text=$(go env GOROOT)/LICENSE # of a release that is not Debian's
[ -f "$text" ] || text=/usr/share/doc/golang-$(go env GOROOT | sed 's/.*go-//')-go/copyright
install -D -m 644 -t "$texts/stdlib" "$text"

# The manifest has the digest of the library, so that a test can check the image against it.
mkdir -p $out/manifest
digest() { sha256sum | sed 's/ .*//; s/^/sha256:/'; }
jq -n --arg version "$LIBVMAF_VERSION" --arg revision "$REVISION" \
    --arg digest "$(tar -c --sort=name --mtime=@0 --owner=0 --group=0 . | digest)" \
    --arg go "$(go env GOVERSION)" --arg linked "$(digest <"$library")" \
    --arg models "$(find /usr/local/share/vmaf/model -name '*.json' -printf '%P\n' | sort)" \
    '{name: "vmaf-server", version: $version, source: ("server/ at " + $revision),
      digest: $digest, go: $go, libvmaf: $linked, models: ($models | split("\n"))}' \
    >$out/manifest/vmaf-server.json

# Check that it loads that library, and starts.
ldconfig
ldd "$program"
test "$(ldd "$program" | awk '$1 ~ /^libvmaf\.so/ { print $3 }' | xargs realpath)" = "$library"
"$program" --version
