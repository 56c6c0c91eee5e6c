#!/bin/sh
# NVIDIA's codec and driver headers from Debian, with the driver functions that
# libvmaf needs added by a patch. Result: /out, a staging root.
set -eu

package=$(/run/recipes/apt.sh download libffmpeg-nvenc-dev)
mkdir -p /out/usr/local /out/manifest /tmp/headers
dpkg-deb -x "$package" /tmp/headers
cp -r /tmp/headers/usr/include /out/usr/local/
mkdir -p /out/usr/local/lib/pkgconfig
sed 's#^prefix=.*#prefix=/usr/local#' /tmp/headers/usr/share/pkgconfig/ffnvcodec.pc \
    >/out/usr/local/lib/pkgconfig/ffnvcodec.pc
patch --fuzz=0 -p0 -d /out/usr/local/include -i /run/recipes/nv-codec-headers.patch
cat >/out/manifest/nv-codec-headers.json <<EOT
{"name": "nv-codec-headers", "version": "$(dpkg-deb -f "$package" Version)",
 "source": "Debian package libffmpeg-nvenc-dev, with nv-codec-headers.patch",
 "digest": "sha256:$(sha256sum "$package" | cut -d' ' -f1)"}
EOT
rm -rf /tmp/headers
echo '#include <ffnvcodec/dynlink_loader.h>
int main(void) { CudaFunctions f; return !sizeof f.cuLaunchHostFunc; }' \
    | gcc -I/out/usr/local/include -fsyntax-only -xc -
