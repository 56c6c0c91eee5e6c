#!/bin/sh
# Print the Debian packages that the ELF files in staging roots need at run time, one a line.
#
#   packages.sh [--testing ADMINDIR] ROOT...
#
# --testing is for files built on Debian testing: packages that are in the dpkg database ADMINDIR,
# which is the one of the image's base, are left out, and the others are printed as
# PACKAGE/testing, so that apt takes them from there.
#
# Like ldd, it follows the names in the files. It runs none of them, as they may be for another
# architecture, whose libraries are installed beside this machine's.
set -eu

base=
[ "$1" != --testing ] || { base=$2 && shift 2; }

# Where the loader looks for libraries: as in the image, those of the roots are in /usr/local/lib and
# in the directories that the root's configuration of the loader names.
directories=
for root in "$@" ''; do
    for directory in /usr/local/lib $(cat "$root"/etc/ld.so.conf.d/*.conf 2>/dev/null |
        sed -n '/^\//p'); do
        directories="$directories $root$directory"
    done
done
directories="$(echo "${LD_LIBRARY_PATH-}" | tr : ' ') $directories"

# Print an ELF file's format, the names of the libraries that it needs, and where it says they are.
describe() { # FILE
    objdump -p "$1" 2>/dev/null | awk -v origin="$(dirname "$1")" '
        / file format / { print "format", $NF }
        $1 == "NEEDED" { print "needed", $2 }
        $1 == "RPATH" || $1 == "RUNPATH" {
            gsub(/\$ORIGIN|\$\{ORIGIN\}/, origin, $2)
            gsub(":", " ", $2)
            print "path", $2
        }'
}
field() { sed -n "s/^$1 //p" /tmp/elf; } # KEY

# Print the real path of the library of this name and format.
find_library() { # NAME FORMAT DIRECTORY...
    name=$1 format=$2
    shift 2
    for directory; do
        if [ -f "$directory/$name" ] &&
            objdump -f "$directory/$name" | grep -q " file format $format\$"; then
            realpath "$directory/$name"
            return
        fi
    done
    return 1
}

find "$@" -type f \( -name '*.so*' -o -perm -u+x \) >/tmp/unread
: >/tmp/libraries
known=' ' # libraries that were looked for, as most files need the same ones
while [ -s /tmp/unread ]; do
    : >/tmp/found
    while read -r file; do
        describe "$file" >/tmp/elf # empty for a script
        format=$(field format) path=$(field path)
        # shellcheck disable=SC2086 # lists of directories without spaces
        for name in $(field needed); do
            case $known in *" $name:$format:$path "*) continue ;; esac
            known="$known$name:$format:$path "
            find_library "$name" "$format" $path $directories >>/tmp/found || {
                echo "packages.sh: $file needs $name, which is not found" >&2 && exit 1
            }
        done
    done </tmp/unread
    LC_ALL=C sort -u /tmp/found | LC_ALL=C comm -23 - /tmp/libraries >/tmp/unread
    LC_ALL=C sort -u -o /tmp/libraries /tmp/libraries /tmp/unread
done
grep -E '^/(usr/)?lib(64)?/' /tmp/libraries >/tmp/installed

# dpkg lists a file by the path in its package, which may be from before the /usr merge.
sed 's,^/usr\(/.*\),&\n\1,' /tmp/installed | xargs dpkg-query -S >/tmp/owners 2>/dev/null || true
sed 's,.* \(/usr\)\?/,/usr/,' /tmp/owners | LC_ALL=C sort -u | LC_ALL=C comm -23 /tmp/installed - >/tmp/unowned
if grep . /tmp/unowned >&2; then echo "packages.sh: these files are in no package" >&2 && exit 1; fi
cut -d: -f1 /tmp/owners | LC_ALL=C sort -u >/tmp/packages
test -s /tmp/packages

if [ "$base" ]; then
    dpkg-query --admindir="$base" -W -f '${Package}\n' >/tmp/base
    grep -vxFf /tmp/base /tmp/packages | sed 's#$#/testing#'
else
    cat /tmp/packages
fi
