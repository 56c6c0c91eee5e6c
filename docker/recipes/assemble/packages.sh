#!/bin/sh
# Print the Debian packages that the ELF files in staging roots need at run time, one a line.
#
#   packages.sh [--testing ADMINDIR] ROOT...
#
# --testing is for files built on Debian testing: packages that are in the dpkg database ADMINDIR,
# which is the one of the image's base, are left out, and the others are printed as
# PACKAGE/testing, so that apt takes them from there.
set -eu

base=
[ "$1" != --testing ] || { base=$2 && shift 2; }

# As in the image, the loader looks for each root's libraries in /usr/local/lib and in the
# directories that the root's configuration of the loader names.
path=
for root; do
    for directory in /usr/local/lib $(cat "$root"/etc/ld.so.conf.d/*.conf 2>/dev/null || true); do
        path=$path$root$directory:
    done
done
find "$@" -type f \( -name '*.so*' -o -perm -u+x \) >/tmp/files
LD_LIBRARY_PATH=$path${LD_LIBRARY_PATH-} xargs ldd </tmp/files >/tmp/needed 2>/dev/null || true # scripts are no ELF files
if grep 'not found' /tmp/needed >&2; then exit 1; fi
awk '$2 == "=>" && $3 ~ /^\/(usr\/)?lib(64)?\// { print $3 }' /tmp/needed | sort -u |
    xargs realpath | LC_ALL=C sort -u >/tmp/libraries

# dpkg lists a file by the path in its package, which may be from before the /usr merge.
sed 's,^/usr\(/.*\),&\n\1,' /tmp/libraries | xargs dpkg-query -S >/tmp/owners 2>/dev/null || true
sed 's,.* \(/usr\)\?/,/usr/,' /tmp/owners | LC_ALL=C sort -u | LC_ALL=C comm -23 /tmp/libraries - >/tmp/unowned
if grep . /tmp/unowned >&2; then echo "packages.sh: these files are in no package" >&2 && exit 1; fi
cut -d: -f1 /tmp/owners | LC_ALL=C sort -u >/tmp/packages
test -s /tmp/packages

if [ "$base" ]; then
    dpkg-query --admindir="$base" -W -f '${Package}\n' >/tmp/base
    grep -vxFf /tmp/base /tmp/packages | sed 's#$#/testing#'
else
    cat /tmp/packages
fi
