#!/bin/sh
# Create the user vmaf with the given ids, and its directories.
#
#   workbench-user.sh UID GID
set -eu
uid=$1 gid=$2

case $uid:$gid in
*[!0-9:]* | :* | *: | 0:* | *:0)
    echo "workbench-user.sh: VMAF_UID and VMAF_GID are '$uid' and '$gid', expected numbers above 0" >&2
    exit 1
    ;;
esac
# Some bases already use the id of a machine's first user (Ubuntu's has a user `ubuntu`).
if owner=$(getent passwd "$uid"); then
    userdel --remove "${owner%%:*}" 2>/dev/null || userdel "${owner%%:*}"
fi
getent group "$gid" >/dev/null || groupadd --gid "$gid" vmaf
useradd --no-log-init --uid "$uid" --gid "$gid" --create-home --shell /bin/bash vmaf
install -d -o "$uid" -g "$gid" /ccache /workspace
