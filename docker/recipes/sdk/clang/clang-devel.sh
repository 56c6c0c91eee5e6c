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

# Check that a kernel compiles.
cat >/tmp/kernel.cu <<'EOT'
__global__ void add(unsigned long long *sum, int value) {
    atomicAdd(sum, (unsigned long long)__shfl_down_sync(~0u, value, 1));
}
EOT
CCACHE_DISABLE=1 $cuda/bin/clang --cuda-gpu-arch=sm_75 --cuda-device-only -S /tmp/kernel.cu -o /tmp/kernel.ptx
grep -q '^\.target sm_75' /tmp/kernel.ptx
rm /tmp/kernel.*
