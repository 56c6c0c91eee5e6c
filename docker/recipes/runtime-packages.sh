#!/bin/sh
# Names the Debian packages that the staging roots given need at run time, read
# from their ELF files. Result: /out/packages, one name a line.
set -eu
mkdir -p /out

find "$@" -type f \( -name '*.so*' -o -perm -u+x \) >/tmp/files
LD_LIBRARY_PATH=$(printf '%s/usr/local/lib:' "$@")
export LD_LIBRARY_PATH
xargs ldd </tmp/files >/tmp/needed 2>/dev/null || true # scripts are no ELF files
if grep 'not found' /tmp/needed; then exit 1; fi
awk '$2 == "=>" && $3 ~ /^\/(usr\/)?lib(64)?\// { print $3 }' /tmp/needed | sort -u |
    xargs realpath | LC_ALL=C sort -u >/tmp/libraries

# dpkg knows a file by the path it was packed with, before or after the /usr merge.
sed 's,^/usr\(/.*\),&\n\1,' /tmp/libraries | xargs dpkg-query -S >/tmp/owners 2>/dev/null || true
sed 's,.* \(/usr\)\?/,/usr/,' /tmp/owners | LC_ALL=C sort -u | LC_ALL=C comm -23 /tmp/libraries - >/tmp/nobodys
if grep . /tmp/nobodys; then echo "runtime-packages.sh: no package has these" >&2 && exit 1; fi
cut -d: -f1 /tmp/owners | LC_ALL=C sort -u >/out/packages
test -s /out/packages
