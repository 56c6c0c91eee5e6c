#!/bin/sh
# Run the arguments, or without any, a shell that lists the image's contents.
set -eu

# A user of the host that does not exist in this image has no home and no cache.
if [ ! -w "${HOME:-/}" ]; then
    HOME=$(mktemp -d)
    export HOME
fi
if [ ! -w "$CCACHE_DIR" ]; then
    export CCACHE_DIR="$HOME/.ccache"
    echo "workbench: user $(id -u) cannot write to /ccache: the compiler cache is in $CCACHE_DIR" >&2
fi
[ $# = 0 ] || exec "$@"

echo "vmaf-images workbench: the source is /workspace, the compiler cache $CCACHE_DIR"
jq -r '.[] | "\(.name) \(.version)"' /usr/local/share/vmaf/versions.json |
    sed 's/^\(.\{36\}\).*/\1/' | sort -f | paste - - - | expand -t 38
echo "build: meson setup build && ninja -C build     test: ninja -C build test"
exec bash
