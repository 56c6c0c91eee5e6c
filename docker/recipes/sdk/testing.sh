#!/bin/sh
# Make Debian testing a second source of packages. Its priority is below stable's, so apt takes
# from it only the packages requested as PACKAGE/testing, and dependencies of theirs that stable
# does not have in the version they need.
set -eu

# Use the first mirror of the image's own list.
mirror=$(sed -n -E 's/^deb (\[[^]]*\] )?([^[ ]+) .*/\2/p; s/^URIs: ([^ ]+).*/\1/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
test -n "$mirror" && test -s $keys

# The index of testing is valid for a week only, so a mirror that is synchronized less often
# has an expired one.
echo "deb [signed-by=$keys check-valid-until=no] $mirror testing main" \
    >/etc/apt/sources.list.d/testing.list
cat >/etc/apt/preferences.d/testing <<'EOT'
Package: *
Pin: release a=testing
Pin-Priority: 100
EOT
