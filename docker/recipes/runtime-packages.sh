#!/bin/sh
# Names the Debian packages that the staging roots given need at run time, read
# from their ELF files. Result: /packages, one name a line.
set -eu

find "$@" -type f \( -name '*.so*' -o -perm -u+x \) >/tmp/files
LD_LIBRARY_PATH=$(printf '%s/usr/local/lib:' "$@")
export LD_LIBRARY_PATH
xargs ldd </tmp/files >/tmp/needed 2>/dev/null || true # scripts are no ELF files
if grep 'not found' /tmp/needed; then exit 1; fi
awk '$2 == "=>" && $3 ~ /^\/(usr\/)?lib/ { print $3 }' /tmp/needed | sort -u | while read -r library; do
    # dpkg knows a file by the path it was packed with, before or after the /usr merge.
    real=$(realpath "$library")
    dpkg-query -S "$real" 2>/dev/null || dpkg-query -S "${real#/usr}" || exit 1
done | cut -d: -f1 | LC_ALL=C sort -u >/packages
test -s /packages
