#!/bin/sh
# apt for build steps, run with /var/cache/apt and /var/lib/apt mounted as caches.
#
#   apt.sh install PACKAGE...        install without recommends
#   apt.sh purge PACKAGE...          remove again what only this step needed
#   apt.sh enable deb-src|non-free   add to the image's own Debian sources
#   apt.sh download PACKAGE...       fetch into the cache, print the files
#   apt.sh source PACKAGE            fetch a verified source package into the current folder
set -eu

# Read after the image's own settings: Debian's container images delete every
# package after its installation, which would leave the mounted cache empty.
# The list of automatically installed packages must not live in the mount,
# where every other step would read it as its own; /dev/shm ends with the step.
conf=/dev/shm/apt-step.conf
cat > "$conf" <<'EOT'
#clear DPkg::Post-Invoke;
#clear APT::Update::Post-Invoke;
APT::Keep-Downloaded-Packages "true";
Binary::apt::APT::Keep-Downloaded-Packages "true";
APT::Get::List-Cleanup "false";
APT::Sandbox::User "root";
Dir::State::extended_states "/dev/shm/apt-step.states";
DPkg::Options { "--force-unsafe-io"; };
EOT
# The logs and backups of an installation are nothing an image needs.
trap 'rm -rf "$conf" /var/log/apt /var/log/dpkg.log /var/log/alternatives.log \
    /var/cache/debconf/*-old /var/lib/dpkg/*-old' EXIT

apt() { DEBIAN_FRONTEND=noninteractive apt-get -c "$conf" -q -y -o Dpkg::Use-Pty=0 "$@"; }

# Runs a command that needs the index of the image's sources. An index that a step of
# the last hour fetched will do, unless the command fails with it.
indexed() {
    stamp=/var/lib/apt/lists/fetched-$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | sha256sum | cut -c -16)
    if [ -n "$(find "$stamp" -mmin -60 2>/dev/null)" ] && "$@"; then return; fi
    apt update >&2
    touch "$stamp"
    "$@"
}

verb=$1
shift
case $verb in
install) indexed apt install --no-install-recommends "$@" ;;
purge)
    apt purge --autoremove "$@"
    ;;
enable)
    # A pulled image lists its sources in deb822 form, a bootstrapped one in lines.
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources; do
        [ -s "$list" ] || continue
        case $1 in
        non-free) sed -i -E 's/^(deb .* main)$/\1 contrib non-free/; s/^(Components: .*main)$/\1 contrib non-free/' "$list" ;;
        deb-src) sed -i -E 's/^deb (.*)$/&\ndeb-src \1/; s/^Types: deb$/Types: deb deb-src/' "$list" ;;
        *) echo "apt.sh: cannot enable '$1'" >&2 && exit 2 ;;
        esac
    done
    ;;
download)
    cd /var/cache/apt/archives
    indexed apt download "$@" >&2
    for package in "$@"; do
        version=$(apt-cache -c "$conf" show --no-all-versions "$package" | sed -n 's/^Version: //p')
        find "$PWD" -name "${package}_$(echo "$version" | sed 's/:/%3a/')_*.deb"
    done
    ;;
source) indexed apt source --download-only "$@" ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
