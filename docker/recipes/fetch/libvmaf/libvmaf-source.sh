#!/bin/sh
# Unpack and patch libvmaf's source, from the crate that carries it.
# Result: /source/{libvmaf,model,LICENSE}, and /source/source.json for the image's versions.json.
set -eu

unpacked=/tmp/libvmaf
/run/recipes/crate.sh libvmaf $unpacked
crate=$(jq -r '.source | sub(" \\(.*"; "")' $unpacked/source.json) # without its repository
commit=$(sed -n 's/^commit: //p' $unpacked/vendored/VMAF_VERSION)
cd $unpacked/vendored/vmaf
version=$(sed -n "s/^ *version : '\\(.*\\)',/\\1/p" libvmaf/meson.build | head -n 1)
test -n "$version" && test ${#commit} = 40
# The commit is no release, but one between two.
version=$version+g$(echo "$commit" | cut -c -9)
mkdir -p /source
mv libvmaf model LICENSE /source/
patches=$(cd /run/recipes/libvmaf && echo *.patch)
cat /run/recipes/libvmaf/*.patch | patch --fuzz=0 -p0 -d /source
cat >/source/source.json <<EOT
{"name": "libvmaf", "version": "$version",
 "source": "$crate (Netflix/vmaf $commit), with $patches", "digest": "$(jq -r .digest $unpacked/source.json)"}
EOT
rm -r $unpacked
