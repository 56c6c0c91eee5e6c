#!/bin/sh
# Install NVIDIA's codec and driver headers from Debian, with a patch that adds the driver
# functions that libvmaf needs. libvmaf and FFmpeg call the driver through them.
# Result: /usr/local with the licence text, and the same headers in /out/nv-codec-headers, beside their
# manifest.
set -eu

out=/out/nv-codec-headers
package=$(/run/recipes/locked/locked.sh fetch nv-codec-headers)
mkdir -p $out/usr/local/lib/pkgconfig $out/manifest /tmp/headers
dpkg-deb -x "$package" /tmp/headers
cp -r /tmp/headers/usr/include $out/usr/local/
sed 's#^prefix=.*#prefix=/usr/local#' /tmp/headers/usr/share/pkgconfig/ffnvcodec.pc \
    >$out/usr/local/lib/pkgconfig/ffnvcodec.pc
patch --fuzz=0 -p0 -d $out/usr/local/include -i /run/recipes/headers/nv-codec-headers.patch
cp -r $out/usr/local/. /usr/local/
install -D -m 644 -t /usr/local/share/doc/nv-codec-headers /tmp/headers/usr/share/doc/*/copyright
entry=$(/run/recipes/locked/locked.sh describe nv-codec-headers nv-codec-headers)
echo "$entry" | sed 's/", "digest"/, with nv-codec-headers.patch&/' >$out/manifest/nv-codec-headers.json
rm -rf /tmp/headers
echo '#include <ffnvcodec/dynlink_loader.h>
int main(void) { CudaFunctions f; return !sizeof f.cuLaunchHostFunc; }' |
    gcc -fsyntax-only -xc -
