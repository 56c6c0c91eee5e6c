#!/bin/sh
# Ask the suites of Debian what they have now of the packages in sources.lock, for `nox -s update`.
# apt checks Debian's signatures of the indexes.
#
# Result, in /out:
#   SUITE.date      the date of the suite's index
#   SUITE.packages  apt's records of the packages that the lock has files of, and of those whose name
#                   has another number, such as libamdhip64-7 beside libamdhip64-6
#   SUITE.sources   apt's records of the source packages that the lock has tarballs of
#   signatures      a line for each tarball that the lock does not have, if this directory has its
#                   upstream's key: digest, name, and `good` or the reason why it is not
set -eu
here=/run/recipes/candidates
lock=/run/recipes/locked/sources.lock
keys=/usr/share/keyrings/debian-archive-keyring.gpg
store=/var/cache/sources # where locked.sh looks for files
work=/tmp/candidates
mkdir -p $work /out
mirror=$(sed -n -E 's/^deb (\[[^]]*\] )?([^[ ]+) .*/\2/p; s/^URIs: ([^ ]+).*/\1/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
test -n "$mirror" && test -s $keys

# The default policy of sqv, but for SHA-1 in the signatures by which a key names its owner, as
# FFmpeg's key is one of 2011. The key is in this repository, so nothing depends on these; in
# the signature of a file, SHA-1 stays forbidden.
cat >$work/policy <<'EOT'
[hash_algorithms]
sha1.second_preimage_resistance = "always"
EOT

# files PATTERN: the names of packages, or of source packages, whose files match a pattern
files() {
    awk -v pattern="$1" '/^[^#]/ && $5 ~ pattern {
        n = split($5, path, "/"); split(path[n], name, "_"); print name[1] }' $lock | sort -u
}
packages=$(files '^pool/.*[.]deb$')
sources=$(files '^pool/.*[.]orig[.]tar[.][a-z0-9]+$')
suites=$(awk '/^[^#]/ && $5 ~ /^pool\// { print $4 }' $lock | sort -u)
case $suites in # what leaves experimental is in testing some days later
*experimental*) suites=$(printf '%s\ntesting\n' "$suites" | sort -u) ;;
esac

# use SUITE: make apt see this suite only, and no installed packages. The index of testing is valid
# for a week only, so a mirror that is synchronized less often has an expired one.
use() {
    suite=$1
    lists=/var/lib/apt/candidates/$suite
    mkdir -p "$lists/partial"
    for kind in deb deb-src; do
        echo "$kind [signed-by=$keys check-valid-until=no] $mirror $suite main"
    done >$work/sources.list
    cat >$work/apt.conf <<EOT
#clear DPkg::Post-Invoke;
#clear APT::Update::Post-Invoke;
APT::Keep-Downloaded-Packages "true";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
Acquire::Languages "none";
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$lists";
Dir::State::Status "/dev/null";
Dir::Cache::PkgCache "";
Dir::Cache::SrcPkgCache "";
EOT
}

# upstream: the directory, digest and name of each upstream file of the source packages, with its
# signature or `-`
upstream() {
    awk '
        function flush(name) {
            for (name in digest) if (name !~ /[.]asc$/)
                print directory, digest[name], name, (name ".asc" in digest ? name ".asc" : "-")
            split("", digest)
        }
        /^[^ ]/ { listed = /^Checksums-Sha256:/ }
        listed && $3 ~ /[.]orig[.]tar[.]/ { digest[$3] = $1 }
        /^Directory:/ { directory = $2 }
        /^$/ { flush() }
        END { flush() }' "$1"
}

# verify DIRECTORY DIGEST FILE SIGNATURE KEY: print `good`, or why the file must not be used
verify() {
    [ "$4" != - ] || { echo "Debian's pool has no signature of it" && return; }
    mkdir -p "$store/$2"
    for name in "$3" "$4"; do
        /usr/lib/apt/apt-helper -q -o APT::Sandbox::User=root -o Acquire::Retries=1 \
            download-file "$mirror/$1/$name" "$store/$2/$name" >$work/log 2>&1 ||
            { echo "$mirror/$1/$name cannot be fetched" && return; }
    done
    found=$(sha256sum "$store/$2/$3" | cut -d' ' -f1)
    [ "$found" = "$2" ] || { echo "the mirror's file has the digest $found" && return; }
    if SEQUOIA_CRYPTO_POLICY=$work/policy sqv --keyring "$5" --signature-file "$store/$2/$4" \
        "$store/$2/$3" >$work/log 2>&1; then
        echo good
    else
        echo "the signature is not valid: $(tr -s '\n ' ' ' <$work/log)"
    fi
}

: >$work/signatures
for suite in $suites; do
    use "$suite"
    apt-get -q -c $work/apt.conf update
    sed -n 's/^Date: //p' "$lists"/*InRelease | head -n 1 >"/out/$suite.date"
    apt-cache -c $work/apt.conf pkgnames | sort >$work/names
    for package in $packages; do
        pattern=$(echo "$package" | sed 's/[0-9][0-9.]*$/@/; s/[.+]/[&]/g; s/@/[0-9.]+/')
        grep -x -E "$pattern" $work/names || true
    done | sort -u | xargs -r apt-cache -c $work/apt.conf show >"/out/$suite.packages"
    for package in $sources; do
        apt-cache -c $work/apt.conf showsrc --only-source "$package" || true # it may have left
    done >"/out/$suite.sources"
    for key in "$here"/*-release.asc; do
        source=${key##*/}
        upstream "/out/$suite.sources" | grep " ${source%-release.asc}_" |
            while read -r directory digest file signature; do
                grep -q -e "$digest" $lock /out/signatures 2>/dev/null ||
                    echo "$digest $file $(verify "$directory" "$digest" "$file" "$signature" "$key")"
            done
    done >>$work/signatures
    sort -u $work/signatures >/out/signatures
done
rm -r $work
