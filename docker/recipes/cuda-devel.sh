#!/bin/sh
# The part of CUDA 12 that compiling kernels takes, from Debian's packages, laid
# out as NVIDIA lays it out, so that NVIDIA's own image can stand in for it.
# The packages unpack to 2.6 GB, nearly all of it libraries nothing here links:
# they are unpacked past the package manager and only what is kept is written.
# Result: /usr/local/cuda and /manifest.
set -eu

cuda=/usr/local/cuda
mkdir -p $cuda/bin $cuda/nvvm/bin $cuda/lib64 /manifest /tmp/sdk
unpack() { # PACKAGE PATTERN...
    package=$(/run/recipes/apt.sh download "$1") && shift
    dpkg-deb --fsys-tarfile "$package" | tar -x -C /tmp/sdk --wildcards \
        --exclude='*/compute-sanitizer' --exclude='*/nvdisasm' --exclude='*/cuda-gdb' "$@"
}
unpack nvidia-cuda-dev './usr/include/*' './usr/lib/x86_64-linux-gnu/libcuda*.a'
unpack nvidia-cuda-toolkit './usr/bin/*' './usr/include/*' './usr/lib/nvidia-cuda-toolkit/*'
cd /tmp/sdk/usr
rm bin/nvcc lib/nvidia-cuda-toolkit/bin/gcc lib/nvidia-cuda-toolkit/bin/g++ \
    lib/nvidia-cuda-toolkit/bin/nvcc.profile
mv lib/nvidia-cuda-toolkit/bin/cicc $cuda/nvvm/bin/
mv lib/nvidia-cuda-toolkit/bin/* bin/* $cuda/bin/
mv lib/nvidia-cuda-toolkit/libdevice $cuda/nvvm/
mv include $cuda/
mv lib/x86_64-linux-gnu/*.a $cuda/lib64/
# -isystem, as newer releases of CUDA have it: glibc 2.41 declares four functions
# that CUDA 12.4 declares otherwise, which is an error only in ordinary headers.
cat >$cuda/bin/nvcc.profile <<'EOT'
TOP                = $(_HERE_)/..
CICC_PATH          = $(TOP)/nvvm/bin
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH              += $(CICC_PATH):$(_HERE_):
INCLUDES          += -isystem "$(TOP)/include" $(_SPACE_)
LIBRARIES         =+ $(_SPACE_) "-L$(TOP)/lib64"
EOT
cat >/manifest/cuda.json <<EOT
{"name": "CUDA", "version": "$(dpkg-deb -f "$package" Version)",
 "source": "Debian package nvidia-cuda-toolkit",
 "digest": "sha256:$(sha256sum "$package" | cut -d' ' -f1)"}
EOT
rm -rf /tmp/sdk
$cuda/bin/nvcc --version
