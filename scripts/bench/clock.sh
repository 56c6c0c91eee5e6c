#!/bin/sh
# Called in the place of make and ninja in the compile steps of the bench's contender `limit`.
# Once they have built everything, what was linked is removed and linked again: that,
# and the time before and after, is what no compiler cache can save.
set -eu

tool=/usr/bin/$(basename "$0")

hertz=$(getconf CLK_TCK)
since() { # seconds since the step began: its first process is the container's own
    awk -v hertz="$hertz" 'NR == FNR { began = $22 / hertz; next } { print $1 - began }' \
        /proc/1/stat /proc/uptime
}

configured=$(since)
"$tool" "$@"
find . -path '*/meson-private' -prune -o -type f \( -name '*.so*' -o -name '*.a' -o -perm -u+x \) \
    ! -name '*_host' ! -name '*.sh' -exec grep -lE "^($(printf '\177')ELF|!<arch>|!<thin>)" {} + >/tmp/linked
xargs rm <"/tmp/linked"
compiled=$(since)
"$tool" "$@"
linked=$(since)
awk -v configure="$configured" -v compiled="$compiled" -v linked="$linked" 'BEGIN {
    printf "#measure {\"limit\": {\"configure\": %.2f, \"link\": %.2f, \"until\": %.2f}}\n",
        configure, linked - compiled, linked
}'
