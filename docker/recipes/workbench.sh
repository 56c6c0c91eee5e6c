#!/bin/sh
# Installs what a maintainer works with: the toolchain's packages, read from its
# own database so that there is one list of them; HIP; and PACKAGE...
#
#   workbench.sh PACKAGE...
#
# Mounted: /run/dpkg, the toolchain's packages. Result: the installed packages,
# and /manifest.
set -eu

# HIP is of testing, and what it shares with the rest can be there only once.
cat >/etc/apt/preferences.d/shared <<'EOT'
Package: src:gcc-16 src:glibc src:libdrm
Pin: release a=testing
Pin-Priority: 990
EOT
dpkg-query --admindir=/run/dpkg -W -f '${Package}\n' >/tmp/toolchain
# Go's own tests are 50 MB that nobody runs here, programs for other machines among them.
xargs /run/recipes/apt.sh install \
    -o 'DPkg::Options::=--path-exclude=/usr/share/go-*/test/*' \
    -o 'DPkg::Options::=--path-exclude=/usr/share/go-*/src/*/testdata/*' "$@" </tmp/toolchain
rm /tmp/toolchain
/run/recipes/rocm-devel.sh
# ccache's folder has every compiler's name but these two
ln -s ../../bin/ccache /usr/lib/ccache/cc
ln -s ../../bin/ccache /usr/lib/ccache/c++

dpkg-query -W -f '{"name": "${Package}", "version": "${Version}", "source": "Debian package ${Package}"}\n' \
    ccache clang cmake g++-13 gdb git golang-go libc6 libonnxruntime-dev libplacebo-dev \
    libshaderc-dev libvulkan-dev ninja-build python3 >/manifest/workbench.json
