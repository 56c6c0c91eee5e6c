#!/bin/sh
# Join the manifests of everything that is in an image, and the compiler's, into one JSON object
# with the components' names as keys.
#
#   versions.sh OUTPUT MANIFEST...
set -eu
output=$1
shift

jq -n --arg gcc "$(gcc -dumpfullversion)" --arg base "$(cat /etc/debian_version)" \
    '[{name: "gcc", version: $gcc, source: ("Debian " + $base)}]' >/tmp/toolchain.json
jq -s '[.[] | if type == "array" then .[] else . end]
       | map({key: .name | ascii_downcase, value: .}) | from_entries' \
    /tmp/toolchain.json "$@" >"$output"
jq -e 'has("libvmaf")' "$output"
