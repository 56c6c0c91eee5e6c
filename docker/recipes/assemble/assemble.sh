#!/bin/sh
# List the Debian packages that an image needs, and write its versions.json.
#
#   assemble.sh COMPONENT...
#
# Each component is mounted at /in/COMPONENT, with some of:
#   runtime/          its staging root, whose ELF files are examined here
#   packages          their packages, if they were already examined where they were built
#   interface/        stubs of its libraries then, for the components that need them
#   opened            more packages, which no ELF file names
#   manifest/*.json   what it was made from
# Result: /out/packages, one name a line, and /out/versions.json.
set -eu

roots='' lists='' manifests='' stubs=''
for component; do
    in=/in/$component
    if [ -f "$in/packages" ]; then
        lists="$lists $in/packages"
        stubs=$in/interface/usr/local/lib${stubs:+:$stubs}
    elif [ -d "$in/runtime" ]; then
        roots="$roots $in/runtime"
    fi
    [ ! -f "$in/opened" ] || lists="$lists $in/opened"
    for manifest in "$in"/manifest/*.json; do
        [ ! -f "$manifest" ] || manifests="$manifests $manifest"
    done
done
mkdir -p /out
# Paths of this script's own, without spaces: the lists are meant to be split.
# shellcheck disable=SC2086
{
    LD_LIBRARY_PATH=$stubs /run/recipes/assemble/packages.sh $roots >/out/packages
    [ ! "$lists" ] || cat $lists >>/out/packages
    /run/recipes/assemble/versions.sh /out/versions.json $manifests
}
