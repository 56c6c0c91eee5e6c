#!/bin/sh
# Install HIP 6's compiler and headers from AMD's devel image ($ROCM_DEVEL), whose /opt/rocm is
# mounted at /rocm-given. HIP's runtime is Debian testing's, as in the image: programs are linked
# here with the library that they load there.
# Result: /opt/rocm, the installed packages, and /out/rocm/manifest.
set -eu

major=6
sdk=/rocm-given
rocm=/opt/rocm
version=$(sed -n 's/^HIP_VERSION_MAJOR=//p' $sdk/share/hip/version || true)
if [ "$version" != $major ]; then
    echo "rocm-vendor.sh: ${ROCM_DEVEL:-rocm-given} has HIP version ${version:-none}, expected $major" >&2
    exit 1
fi

# The C++ headers are stable's, as testing's are too new for the clang of ROCm 6.
/run/recipes/locked/locked.sh install hip$major --target-release testing binutils libamdhip64-$major libc6-dev
/run/recipes/apt.sh install libgcc-14-dev libstdc++-14-dev
mkdir -p $rocm /out/rocm/manifest
(cd $sdk && cp -a --parents amdgcn bin/hipcc bin/hipconfig include lib/llvm share/hip $rocm/)
ln -s lib/llvm $rocm/llvm
ln -s /usr/lib/x86_64-linux-gnu/libamdhip64.so.$major $rocm/lib/libamdhip64.so
ln -s $rocm/bin/hipcc $rocm/bin/hipconfig /usr/local/bin/

compiler=$(hipcc --version | sed -n 's/^HIP version: //p')
test -n "$compiler"
runtime=$(/run/recipes/locked/locked.sh describe hip$major/libamdhip64-$major HIP)
cat >/out/rocm/manifest/rocm.json <<EOT
[$runtime,
 {"name": "hipcc", "version": "$compiler", "source": "image ${ROCM_DEVEL:-replaced as rocm-given}",
  "digest": "sha256:$(cat $rocm/bin/hipcc "$(readlink -f $rocm/llvm/bin/clang)" | sha256sum | cut -d' ' -f1)"}]
EOT
