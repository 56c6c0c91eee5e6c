#!/bin/sh
# Fetch a source tarball of sources.lock.
#
#   tarball.sh NAME TITLE
#
# Result: /source, the unpacked tree, and its source.json for the image's versions.json, where TITLE
# is the name of the component.
set -eu
tarball=$(/run/recipes/locked/locked.sh "$1")
mkdir -p /source
tar -xf "$tarball" -C /source
# Most tarballs have a top directory.
if [ "$(find /source -mindepth 1 -maxdepth 1 | wc -l)" = 1 ]; then
    mv /source/* /top
    rmdir /source && mv /top /source
fi
chmod -R a+rX /source # the steps that compile do not run as root
awk -v name="$1" -v title="$2" '$1 == name {
    n = split($4, path, "/")
    printf "{\"name\": \"%s\", \"version\": \"%s\",\n", title, $2
    printf " \"source\": \"%s from Debian'"'"'s pool\", \"digest\": \"sha256:%s\"}\n", path[n], $3
}' /run/recipes/locked/sources.lock >/source/source.json
