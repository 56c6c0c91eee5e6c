#!/bin/sh
# Unpack a crate that is in sources.lock, from the cache mount of sources or from cargo's index.
#
#   crate.sh NAME DIRECTORY
#
# Result: DIRECTORY, with the crate's entry in versions.json as source.json.
set -eu
name=$1
directory=$2
# Not the user's own directory, which may be a mount.
export CARGO_HOME=/tmp/crate
# shellcheck source=../lib/https.sh
. /run/recipes/https.sh

read -r release checksum crate <<EOT
$(awk -v name="$name" '$1 == name { print $2, $3, $5 }' /run/recipes/locked/sources.lock)
EOT
stored=/var/cache/sources/$checksum/$crate-$release.crate
is_locked() { echo "$checksum  $1" | sha256sum --check --status 2>/dev/null; }

# cargo knows where crates are, from the host's settings or by itself. To show the description of a
# crate, it downloads the crate; `cargo fetch` would download its dependencies, too.
fetch() {
    /run/recipes/apt.sh install ca-certificates cargo
    cargo info --quiet "$crate@$release" >/dev/null
    fetched=$(find $CARGO_HOME/registry/cache -name "$crate-$release.crate")
    is_locked "$fetched" || {
        found=$(sha256sum "$fetched" | cut -d' ' -f1)
        echo "crate.sh: $crate $release has the content sha256:$found, and sources.lock has" \
            "sha256:$checksum. Do not use it before you know why." >&2
        exit 1
    }
    mkdir -p "${stored%/*}"
    mv "$fetched" "$stored"
    /run/recipes/apt.sh purge ca-certificates cargo
}

is_locked "$stored" || fetch
rm -rf $CARGO_HOME
mkdir -p "$directory"
tar -xzf "$stored" -C "$directory" --strip-components=1
chmod -R a+rX "$directory" # the steps that compile do not run as root
field() { sed -n "s/^ *\"*$1\"* *[=:] *\"\\(.*\\)\".*/\\1/p" "$2" 2>/dev/null | head -n 1; }
repository=$(field repository "$directory/Cargo.toml")
repository="${repository#https://github.com/} $(field sha1 "$directory/.cargo_vcs_info.json")"
cat >"$directory/source.json" <<EOT
{"name": "$name", "version": "$release",
 "source": "crate $crate $release ($repository)",
 "digest": "sha256:$checksum", "licence": "$(field license "$directory/Cargo.toml")"}
EOT
