#!/bin/sh
# The part of CUDA 12 that compiling kernels takes, from Debian's packages, laid
# out as NVIDIA lays it out, so that NVIDIA's own image can stand in for it.
# The packages unpack to 2.6 GB, nearly all of it libraries nothing here links:
# they are unpacked past the package manager and only what is kept is written.
# Result: /usr/local/cuda and /manifest.
set -eu

cuda=/usr/local/cuda
mkdir -p $cuda/bin $cuda/nvvm/bin $cuda/lib64 /manifest /tmp/sdk
/run/recipes/apt.sh download nvidia-cuda-toolkit nvidia-cuda-dev >/tmp/packages
while read -r package; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C /tmp/sdk --wildcards \
        --exclude='*/compute-sanitizer' --exclude='*/nvdisasm' --exclude='*/cuda-gdb' \
        './usr/bin/*' './usr/include/*' './usr/lib/nvidia-cuda-toolkit/*' \
        './usr/lib/x86_64-linux-gnu/libcuda*.a' || exit 1
done </tmp/packages
cd /tmp/sdk/usr
rm bin/nvcc lib/nvidia-cuda-toolkit/bin/gcc lib/nvidia-cuda-toolkit/bin/g++ \
    lib/nvidia-cuda-toolkit/bin/nvcc.profile
mv lib/nvidia-cuda-toolkit/bin/cicc $cuda/nvvm/bin/
mv lib/nvidia-cuda-toolkit/bin/* bin/* $cuda/bin/
mv lib/nvidia-cuda-toolkit/libdevice $cuda/nvvm/
mv include $cuda/
mv lib/x86_64-linux-gnu/*.a $cuda/lib64/
cat >$cuda/bin/nvcc.profile <<'EOT'
TOP                = $(_HERE_)/..
CICC_PATH          = $(TOP)/nvvm/bin
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH              += $(CICC_PATH):$(_HERE_):
INCLUDES          += "-I$(TOP)/include" $(_SPACE_)
LIBRARIES         =+ $(_SPACE_) "-L$(TOP)/lib64"
EOT
toolkit=$(head -n 1 /tmp/packages)
cat >/manifest/cuda.json <<EOT
{"name": "CUDA", "version": "$(dpkg-deb -f "$toolkit" Version)",
 "source": "Debian package nvidia-cuda-toolkit",
 "digest": "sha256:$(sha256sum "$toolkit" | cut -d' ' -f1)"}
EOT
rm -rf /tmp/sdk /tmp/packages
$cuda/bin/nvcc --version
