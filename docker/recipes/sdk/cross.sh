#!/bin/sh
# Install the cross compilers for TARGETARCH, if that is not the build machine's architecture.
#
#   cross.sh
#
# Result: /etc/cross with the prefix of their names, such as aarch64-linux-gnu-. The recipes read it;
# without it they compile for the build machine.
set -eu
[ "$TARGETARCH" != "$BUILDARCH" ] || exit 0

case $TARGETARCH in
amd64) triplet=x86_64-linux-gnu ;;
arm64) triplet=aarch64-linux-gnu ;;
*) echo "cross.sh: no cross compiler is known for $TARGETARCH" >&2 && exit 1 ;;
esac
/run/recipes/apt.sh target libc6-dev libstdc++-14-dev pkgconf
/run/recipes/apt.sh install "g++-$(echo "$triplet" | tr _ -)"
echo "$triplet-" >/etc/cross

# Check that they start.
"$triplet-gcc" --version
"$triplet-pkg-config" --version
