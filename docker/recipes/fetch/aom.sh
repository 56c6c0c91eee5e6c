#!/bin/sh
# Fetch the release of libaom that Debian testing packages, without Debian's patches.
# Result: /source, and /source/source.json for the image's versions.json.
set -eu

sed 's/^deb /deb-src /' /etc/apt/sources.list.d/testing.list >/etc/apt/sources.list.d/testing-source.list
mkdir /tmp/package /source && cd /tmp/package
/run/recipes/apt.sh source aom
tarball=$(ls aom_*.orig.tar.*z)
package=$(ls aom_*.dsc)
version=${tarball#aom_}
tar -xf "$tarball" -C /source # the tarball has no top directory
cat >/source/source.json <<EOT
{"name": "libaom", "version": "${version%.orig.*}",
 "source": "Debian source package ${package%.dsc} (testing), upstream tarball",
 "digest": "sha256:$(sha256sum "$tarball" | cut -d' ' -f1)"}
EOT
rm -r /tmp/package
test -f /source/CMakeLists.txt
