#!/bin/sh
# Put clang in the place of nvcc: /usr/local/cuda has what libvmaf's build calls, and nothing of
# NVIDIA's. Result: /usr/local/cuda and /out/cuda/manifest.
set -eu
cuda=/usr/local/cuda
mkdir -p $cuda/bin $cuda/include /out/cuda/manifest
cd /run/recipes/clang
install -m 755 clang bin2c $cuda/bin/
install -m 644 vmaf-cuda.h $cuda/include/
cat >/out/cuda/manifest/clang.json <<EOT
{"name": "clang", "version": "$(dpkg-query -W -f '${Version}' clang-19)",
 "source": "Debian package clang-19"}
EOT

clang-19 -print-targets | grep -q nvptx64 || {
    echo "clang-devel.sh: clang-19 cannot compile for NVIDIA's GPUs (NVPTX)" >&2
    exit 1
}
$cuda/bin/clang --version
