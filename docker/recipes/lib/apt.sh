#!/bin/sh
# Run apt in a build step that mounts caches on /var/cache/apt and /var/lib/apt.
#
#   apt.sh install PACKAGE...        install without recommended packages
#   apt.sh target PACKAGE...         the same, of the architecture TARGETARCH
#   apt.sh purge PACKAGE...          remove packages that only this step needed
#   apt.sh enable non-free           add a component to the image's own Debian sources
#   apt.sh download PACKAGE...       fetch packages into the cache and print the files' paths
set -eu

# These settings override the image's own: Debian's container images delete every package after
# its installation, which would leave the mounted cache empty. The list of automatically installed
# packages must not be in the mount, where all other steps would read it; /dev/shm is the step's.
archives=/var/cache/apt/archives
conf=/dev/shm/apt-step.conf
cat >"$conf" <<'EOT'
#clear DPkg::Post-Invoke;
#clear APT::Update::Post-Invoke;
APT::Keep-Downloaded-Packages "true";
Binary::apt::APT::Keep-Downloaded-Packages "true";
APT::Get::List-Cleanup "false";
APT::Sandbox::User "root";
Dir::State::extended_states "/dev/shm/apt-step.states";
DPkg::Options { "--force-unsafe-io"; };
EOT
# No image needs the logs and backups of an installation, and ldconfig's cache differs each time.
trap 'rm -rf "$conf" /var/log/apt /var/log/dpkg.log /var/log/alternatives.log \
    /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/cache/ldconfig' EXIT

apt() { DEBIAN_FRONTEND=noninteractive apt-get -c "$conf" -q -y -o Dpkg::Use-Pty=0 "$@"; }

# Run a command that needs the package index. Reuse an index that was fetched within the last hour
# from the same sources; if the command fails, refresh the index and retry.
indexed() {
    sources=$({
        cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true
        dpkg --print-foreign-architectures
    } | sha256sum)
    stamp=/var/lib/apt/lists/fetched-$(echo "$sources" | cut -c -16)
    if [ -n "$(find "$stamp" -mmin -60 2>/dev/null)" ] && "$@"; then return; fi
    apt update >&2
    touch "$stamp"
    "$@"
}

# Run an apt command that fetches packages, without those in the cache that are damaged. apt checks
# what it downloads, but not what it finds in the cache: one wrong byte would fail every build.
checked() { # COMMAND...
    if [ -n "$(find "$archives" -maxdepth 1 -name '*.deb' -print -quit)" ]; then
        # Outside of the cache, apt lists all packages that the command needs.
        (cd /dev/shm && apt "$@" --print-uris -o Dir::Cache::archives=/dev/shm/none \
            -o Acquire::ForceHash=SHA256) |
            sed -n "s/^'.*' \(.*\.deb\) [0-9]* SHA256:\([0-9a-f]*\)$/\2  \1/p" |
            (cd "$archives" && sha256sum --check --ignore-missing --quiet 2>/dev/null) |
            sed -n 's/: FAILED$//p' | while read -r package; do
            echo "#warning apt's cache had a damaged $package, which is fetched again" >&2
            rm "$archives/$package"
        done
    fi
    apt "$@"
}

verb=$1
shift
mkdir -p $archives/partial # a new mount is empty
case $verb in
install) indexed checked install --no-install-recommends "$@" ;;
target)
    # On a build machine of this architecture, this is what `install` does.
    dpkg --add-architecture "$TARGETARCH"
    for package; do
        shift
        set -- "$@" "$package:$TARGETARCH"
    done
    indexed checked install --no-install-recommends "$@"
    ;;
purge)
    apt purge --autoremove "$@"
    ;;
enable)
    # A pulled image lists its sources in the deb822 format, a bootstrapped one a source a line.
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources; do
        [ -s "$list" ] || continue
        case $1 in
        non-free) sed -i -E 's/^(deb .* main)$/\1 contrib non-free/; s/^(Components: .*main)$/\1 contrib non-free/' "$list" ;;
        *) echo "apt.sh: cannot enable '$1'" >&2 && exit 2 ;;
        esac
    done
    ;;
download)
    cd "$archives"
    indexed checked download "$@" >&2
    for package in "$@"; do
        version=$(apt-cache -c "$conf" show --no-all-versions "$package" | sed -n 's/^Version: //p')
        find "$PWD" -name "${package}_$(echo "$version" | sed 's/:/%3a/')_*.deb"
    done
    ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
