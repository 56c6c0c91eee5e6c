#!/bin/sh
# Replaces make and ninja in the compile steps of the bench's contender `limit`. After the build,
# it removes the linked files and builds them again. A compiler cache cannot save that time, nor
# the time before the build (configure) and after it (installation).
set -eu

tool=/usr/bin/$(basename "$0")

hertz=$(getconf CLK_TCK)
since() { # print the seconds since the step began, which is the start of its first process
    awk -v hertz="$hertz" 'NR == FNR { began = $22 / hertz; next } { print $1 - began }' \
        /proc/1/stat /proc/uptime
}

configured=$(since)
"$tool" "$@"
find . -path '*/meson-private' -prune -o -type f \( -name '*.so*' -o -name '*.a' -o -perm -u+x \) \
    ! -name '*_host' ! -name '*.sh' \
    -exec grep -lE "^($(printf '\177')ELF|!<arch>|!<thin>)" {} + >/tmp/linked
xargs rm <"/tmp/linked"
compiled=$(since)
"$tool" "$@"
linked=$(since)
awk -v configure="$configured" -v compiled="$compiled" -v linked="$linked" 'BEGIN {
    printf "#measure {\"limit\": {\"configure\": %.2f, \"link\": %.2f, \"until\": %.2f}}\n",
        configure, linked - compiled, linked
}'
