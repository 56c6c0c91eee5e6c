#!/bin/sh
# Fetch libvmaf's source in the crate that carries it, from the cache mount of sources or with cargo.
# The digest is in sources.lock.
# Result: /source/{libvmaf,model,LICENSE}, and /source/source.json for the image's versions.json.
set -eu
# shellcheck source=../../lib/https.sh
. /run/recipes/https.sh

read -r release checksum name <<EOT
$(awk '$1 == "libvmaf" { print $2, $3, $5 }' /run/recipes/locked/sources.lock)
EOT
stored=/var/cache/sources/$checksum/$name-$release.crate
is_stored() { echo "$checksum  $stored" | sha256sum --check --status 2>/dev/null; }
mkdir /tmp/crate && cd /tmp/crate

# cargo knows where crates are, from the host's settings or by itself.
fetch() {
    /run/recipes/apt.sh install ca-certificates cargo
    touch none.rs
    cat >Cargo.toml <<EOT
lib.path = "none.rs"
dependencies.$name = "=$release"
[package]
name = "libvmaf-source"
version = "0.0.0"
EOT
    cat >Cargo.lock <<EOT
version = 4
[[package]]
name = "libvmaf-source"
version = "0.0.0"
dependencies = ["$name"]
[[package]]
name = "$name"
version = "$release"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "$checksum"
EOT
    cargo fetch --locked --quiet
    mkdir -p "${stored%/*}"
    mv "${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/"$name-$release.crate" "$stored"
    rm -rf "${CARGO_HOME:-$HOME/.cargo}"
    /run/recipes/apt.sh purge ca-certificates cargo
}

is_stored || fetch # cargo compares the digest, too
tar -xzf "$stored"
crate=$name-$release
commit=$(sed -n 's/^commit: //p' "$crate"/vendored/VMAF_VERSION)
version=$(sed -n "s/^ *version : '\\(.*\\)',/\\1/p" "$crate"/vendored/vmaf/libvmaf/meson.build | head -n 1)
test -n "$version" && test ${#commit} = 40
# The commit is no release, but one between two.
version=$version+g$(echo "$commit" | cut -c -9)
mkdir -p /source
(cd "$crate"/vendored/vmaf && mv libvmaf model LICENSE /source/)
patches=$(cd /run/recipes/libvmaf && echo *.patch)
cat /run/recipes/libvmaf/*.patch | patch --fuzz=0 -p0 -d /source
cat >/source/source.json <<EOT
{"name": "libvmaf", "version": "$version",
 "source": "crate $name $release (Netflix/vmaf $commit), with $patches", "digest": "sha256:$checksum"}
EOT
rm -rf /tmp/crate
