#!/bin/sh
# Install the part of CUDA 12 that compiles kernels from Debian's packages, in NVIDIA's layout,
# so that NVIDIA's image can replace this stage.
# The packages unpack to 2.6 GB, most of it libraries that nothing here links. So dpkg is not used:
# tar unpacks only the files that are needed.
# Result: /usr/local/cuda with the licence text, and /out/cuda/manifest.
set -eu

cuda=/usr/local/cuda
mkdir -p $cuda/bin $cuda/nvvm/bin $cuda/lib64 /out/cuda/manifest /tmp/sdk
unpack() { # PACKAGE PATTERN...
    package=$(/run/recipes/apt.sh download "$1") && shift
    dpkg-deb --fsys-tarfile "$package" | tar -x -C /tmp/sdk --wildcards \
        --exclude='*/compute-sanitizer' --exclude='*/nvdisasm' --exclude='*/cuda-gdb' "$@"
}
unpack nvidia-cuda-dev './usr/include/*' './usr/lib/x86_64-linux-gnu/libcuda*.a'
unpack nvidia-cuda-toolkit './usr/bin/*' './usr/include/*' './usr/lib/nvidia-cuda-toolkit/*' \
    ./usr/share/doc/nvidia-cuda-toolkit/copyright
cd /tmp/sdk/usr
rm bin/nvcc lib/nvidia-cuda-toolkit/bin/gcc lib/nvidia-cuda-toolkit/bin/g++ \
    lib/nvidia-cuda-toolkit/bin/nvcc.profile
mv lib/nvidia-cuda-toolkit/bin/cicc $cuda/nvvm/bin/
mv lib/nvidia-cuda-toolkit/bin/* bin/* $cuda/bin/
mv lib/nvidia-cuda-toolkit/libdevice $cuda/nvvm/
mv include $cuda/
install -D -m 644 -t $cuda/licences/cuda share/doc/nvidia-cuda-toolkit/copyright
mv lib/x86_64-linux-gnu/*.a $cuda/lib64/
# -isystem, as in newer releases of CUDA: glibc 2.41 and CUDA 12.4 declare four functions
# differently, which is an error only in headers that are not system headers.
cat >$cuda/bin/nvcc.profile <<'EOT'
TOP                = $(_HERE_)/..
CICC_PATH          = $(TOP)/nvvm/bin
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH              += $(CICC_PATH):$(_HERE_):
INCLUDES          += -isystem "$(TOP)/include" $(_SPACE_)
LIBRARIES         =+ $(_SPACE_) "-L$(TOP)/lib64"
EOT
cat >/out/cuda/manifest/cuda.json <<EOT
{"name": "CUDA", "version": "$(dpkg-deb -f "$package" Version)",
 "source": "Debian package nvidia-cuda-toolkit",
 "digest": "sha256:$(sha256sum "$package" | cut -d' ' -f1)"}
EOT
rm -rf /tmp/sdk
$cuda/bin/nvcc --version
