#!/bin/sh
# Provide Meson subprojects of libvmaf's tree from Debian's packages. Their wraps name tarballs that
# Meson would download, and the steps that compile have no network.
#
#   subprojects.sh subprojects /out/libvmaf/manifest DIRECTORY
#
# A wrap's `patch_directory` has the build files, which are added as Meson does. Subprojects that are
# in the tree, and wraps that are not known here, stay as they are.
# Result: the subprojects, and for each that was added its manifest, and its licence text in DIRECTORY.
set -eu
subprojects=$1
manifest=$2
texts=$3

setting() { sed -n "s/^$1 *= *//p" "$wrap"; }

for wrap in "$subprojects"/*.wrap; do
    name=$(basename "$wrap" .wrap)
    case $name in
    volk) package=libvulkan-volk-dev files='/usr/include/volk.c /usr/include/volk.h' to=. ;;
    vk-mem-alloc) package=libvulkan-memory-allocator-dev files=/usr/include/vk_mem_alloc.h to=include ;;
    *) continue ;;
    esac
    directory=$(setting directory)
    directory=$subprojects/${directory:-$name} # as Meson does
    patches=$subprojects/packagefiles/$(setting patch_directory)
    [ ! -d "$directory" ] && [ -f "$patches/meson.build" ] || continue
    mkdir -p "$directory/$to" "$manifest"
    # shellcheck disable=SC2086 # paths from above, without spaces
    cp $files "$directory/$to/"
    cp -r "$patches/." "$directory/"
    jq -n --arg name "$name" --arg package "$package" \
        --arg version "$(dpkg-query -W -f '${Version}' "$package")" \
        '{name: $name, version: $version, licence: "MIT",
          source: "Debian package \($package), compiled into libvmaf"}' >"$manifest/$name.json"
    install -D -m 644 -t "$texts/$name" "/usr/share/doc/$package/copyright"
done
