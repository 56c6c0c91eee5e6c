#!/bin/sh
# Makes Debian testing a second source of packages. Its priority is below that of
# stable, so apt takes from it only what is asked for as PACKAGE/testing and what
# that needs newer than stable has it.
set -eu

# The mirror is the one that the image's own list names first.
mirror=$(sed -n -E 's/^deb ([^[ ]+) .*/\1/p; s/^URIs: ([^ ]+).*/\1/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
test -n "$mirror" && test -s $keys

# A release stays as it is; the index of testing is written anew twice a day and
# is valid for a week, so a mirror that is copied less often offers it expired.
echo "deb [signed-by=$keys check-valid-until=no] $mirror testing main" \
    >/etc/apt/sources.list.d/testing.list
cat >/etc/apt/preferences.d/testing <<'EOT'
Package: *
Pin: release a=testing
Pin-Priority: 100
EOT
