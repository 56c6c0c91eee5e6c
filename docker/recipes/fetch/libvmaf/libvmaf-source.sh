#!/bin/sh
# Fetch libvmaf's source in the crate that carries it; Cargo.lock has the crate's checksum.
# Result: /source/{libvmaf,model}, and /source/source.json for the image's versions.json.
set -eu
# shellcheck source=../../lib/https.sh
. /run/recipes/https.sh

mkdir /tmp/crate && cd /tmp/crate
cp /run/recipes/libvmaf/Cargo.* . && touch none.rs
cargo vendor --locked --quiet vendor >/dev/null

crate=vendor/vmaf-head-sys
field() { sed -n "s/^$1 = \"\\(.*\\)\"/\\1/p" | head -n 1; }
release=$(field version <$crate/Cargo.toml)
checksum=$(sed -n '/^name = "vmaf-head-sys"/,$p' Cargo.lock | field checksum)
commit=$(sed -n 's/^commit: //p' $crate/vendored/VMAF_VERSION)
version=$(sed -n "s/^ *version : '\\(.*\\)',/\\1/p" $crate/vendored/vmaf/libvmaf/meson.build | head -n 1)

mkdir -p /source
mv $crate/vendored/vmaf/libvmaf $crate/vendored/vmaf/model /source/
patches=$(cd /run/recipes/libvmaf && echo *.patch)
cat /run/recipes/libvmaf/*.patch | patch --fuzz=0 -p0 -d /source
cat >/source/source.json <<EOT
{"name": "libvmaf", "version": "$version",
 "source": "crate vmaf-head-sys $release (Netflix/vmaf $commit), with $patches", "digest": "sha256:$checksum"}
EOT
rm -rf /tmp/crate
test -n "$release" && test -n "$version" && test ${#checksum} = 64 && test ${#commit} = 40
