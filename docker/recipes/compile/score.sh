#!/bin/sh
# Build the program score of the Go module in the current directory.
# Result: /out/score/{runtime,manifest}.
set -eu
# shellcheck source=../lib/https.sh
. /run/recipes/https.sh
# shellcheck source=go.sh
. /run/recipes/go.sh

out=/out/score
program=$out/runtime/usr/local/bin/score
link_program "$program" ./cmd/score
install_module_licences $out/runtime/usr/local/share/doc/score ./cmd/score
mkdir -p $out/manifest
jq -n --arg version "$LIBVMAF_VERSION" --arg revision "$REVISION" \
    --arg digest "$(digest_of_sources)" --arg go "$(go env GOVERSION)" \
    '{name: "score", version: $version, source: ("server/ at " + $revision), digest: $digest,
      go: $go}' >$out/manifest/score.json

# Check that it starts.
"$program" --version
