#!/bin/sh
# Install a maintainer's tools: the toolchain's packages, HIP, and PACKAGE... The list of the
# toolchain's packages is in its dpkg database, which is mounted at /run/dpkg.
#
#   workbench.sh PACKAGE...
#
# Result: the installed packages, and /out/*/manifest.
set -eu

# HIP is testing's, and packages that it shares with the others can be installed only once.
cat >/etc/apt/preferences.d/shared <<'EOT'
Package: src:gcc-16 src:glibc src:libdrm
Pin: release a=testing
Pin-Priority: 990
EOT
# An update of a package of the base would replace its files, which remain in the layer below.
dpkg-query -W -f '${Package}\n' >/tmp/base
dpkg-query --admindir=/run/dpkg -W -f '${Package}\n' | grep -vxFf /tmp/base >/tmp/toolchain
# Go's own tests are 50 MB, and some are programs for other machines.
xargs /run/recipes/locked/locked.sh install "hip$ROCM" \
    -o 'DPkg::Options::=--path-exclude=/usr/share/go-*/test/*' \
    -o 'DPkg::Options::=--path-exclude=/usr/share/go-*/src/*/testdata/*' "$@" </tmp/toolchain
rm /tmp/base /tmp/toolchain
/run/recipes/rocm-devel.sh
# ccache's directory has the names of all compilers but these two.
ln -s ../../bin/ccache /usr/lib/ccache/cc
ln -s ../../bin/ccache /usr/lib/ccache/c++

mkdir -p /out/workbench/manifest
dpkg-query -W -f '{"name": "${Package}", "version": "${Version}", "source": "Debian package ${Package}"}\n' \
    ccache clang cmake g++-13 gdb git golang-go libc6 libonnxruntime-dev \
    libshaderc-dev libvulkan-dev ninja-build python3 >/out/workbench/manifest/workbench.json
