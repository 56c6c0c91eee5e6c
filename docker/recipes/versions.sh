#!/bin/sh
# Joins the manifests of all that went into an image, and the compiler's, into
# /out/versions.json: an object by name.
set -eu

jq -n --arg gcc "$(gcc -dumpfullversion)" --arg base "$(cat /etc/debian_version)" \
    '[{name: "gcc", version: $gcc, source: ("Debian " + $base)}]' >/tmp/toolchain.json
jq -s '[.[] | if type == "array" then .[] else . end]
       | map({key: .name | ascii_downcase, value: .}) | from_entries' \
    /tmp/toolchain.json "$@" >/out/versions.json
jq -e 'has("libvmaf")' /out/versions.json
