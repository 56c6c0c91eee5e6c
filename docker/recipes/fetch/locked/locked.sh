#!/bin/sh
# Fetch a file of sources.lock and print its path.
#
#   locked.sh NAME
#
# The file is taken from apt's cache mount, from a mirror in the image's list of sources, or from
# Debian's archive of the day that the lock names, in this order. A file whose digest is not the
# locked one ends the build.
set -eu
name=$1
shown=docker/recipes/fetch/locked/sources.lock
lock=/run/recipes/locked/sources.lock
fields() { awk -v name="$1" '$1 == name { print $2, $3, $4 }' $lock; }
read -r version sha256 path <<EOT
$(fields "$name")
EOT
if [ -z "$path" ]; then
    echo "locked.sh: $name is not in $shown, which has" \
        "$(awk '/^[^#]/ && $1 != "archive" { print $1 }' $lock | xargs)" >&2
    exit 1
fi

stored=/var/cache/apt/locked/$sha256
file=$stored/${path##*/}
digest() { sha256sum "$1" | cut -d' ' -f1; }
if [ ! -f "$file" ] || [ "$(digest "$file")" != "$sha256" ]; then
    mirrors=$(sed -n -E 's/^deb ([^[ ]+) .*/\1/p; s/^URIs: ([^ ]+).*/\1/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null | sort -u)
    archive=http://snapshot.debian.org/archive/debian/$(fields archive | cut -d' ' -f1)
    mkdir -p "$stored"
    found=
    for mirror in $mirrors $archive; do
        url=$mirror/$path
        if /usr/lib/apt/apt-helper -q -o APT::Sandbox::User=root -o Acquire::Retries=1 \
            -o "Acquire::http::Timeout=${LOCKED_TIMEOUT:-30}" \
            download-file "$url" "$file.part" >/tmp/locked.log 2>&1; then
            found=$(digest "$file.part")
            break
        fi
        grep -E '^(Err|E):' /tmp/locked.log >&2 || true
    done
    if [ -z "$found" ]; then
        echo "locked.sh: neither Debian's mirrors nor its archive have ${path##*/}" \
            "(sha256:$sha256), which $shown names. Change its line to a release that" \
            "Debian has." >&2
        exit 1
    fi
    if [ "$found" != "$sha256" ]; then
        rm "$file.part"
        echo "locked.sh: $url has the content sha256:$found, and $shown has" \
            "sha256:$sha256 for $name $version. Do not use it before you know why." >&2
        exit 1
    fi
    mv "$file.part" "$file"
fi
echo "$file"
