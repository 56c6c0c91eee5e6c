#!/bin/sh
# Build libplacebo from /src. Result: /out/libplacebo/{runtime,dev,manifest}.
set -eu
# shellcheck source=compile.sh
. /run/recipes/compile.sh
out=/out/libplacebo
export CC='ccache gcc' CXX='ccache g++'

meson setup /build/libplacebo /src --prefix=/usr/local --libdir=lib --buildtype=release \
    -Ddefault_library=shared -Dtests=false -Ddemos=false -Dvulkan=enabled -Dshaderc=enabled \
    -Dlcms=enabled -Dlibdovi=disabled -Dopengl=disabled -Dxxhash=disabled -Dunwind=disabled \
    -Dvulkan-registry=/usr/local/share/vulkan/registry/vk.xml ||
    { tail -n 40 /build/libplacebo/meson-logs/meson-log.txt && exit 1; }
ninja -C /build/libplacebo
DESTDIR=$out/runtime meson install -C /build/libplacebo --no-rebuild --strip --quiet
split_dev
install_licence libplacebo /src/LICENSE
mkdir -p $out/manifest
cp /src/source.json $out/manifest/libplacebo.json
# FFmpeg needs the headers of Vulkan that libplacebo was built with.
cp -r /usr/local/include/vulkan /usr/local/include/vk_video $out/dev/usr/local/include/
report_caches
test -f $out/runtime/usr/local/lib/libplacebo.so
