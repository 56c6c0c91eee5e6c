#!/bin/sh
# Fetch FFmpeg's release tarball in Debian's source package; apt verifies the signatures.
# Result: /source, the unpacked tree with source.json in it.
set -eu

mkdir -p /tmp/package /source && cd /tmp/package
/run/recipes/apt.sh source ffmpeg
tarball=$(ls ffmpeg_*.orig.tar.*z)
digest=$(sha256sum "$tarball" | cut -d' ' -f1)
package=$(ls ffmpeg_*.dsc)
tar -xf "$tarball" -C /source --strip-components=1
cat >/source/source.json <<EOT
{"name": "FFmpeg", "version": "$(cat /source/RELEASE)",
 "source": "Debian source package ${package%.dsc}, upstream tarball", "digest": "sha256:$digest"}
EOT
rm -rf /tmp/package
test -x /source/configure
