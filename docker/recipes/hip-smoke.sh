#!/bin/sh
# Builds hip-smoke for the GPUs that the image is declared for.
# Result: /out/runtime and /out/manifest.
set -eu
# shellcheck source=compile.sh
. /run/recipes/compile.sh

flags='' listed=''
for target in $HIP_TARGETS; do
    hipcc --offload-arch="$target" -nogpuinc -nogpulib --cuda-device-only -fsyntax-only \
        -x hip /dev/null || { echo "hip-smoke.sh: hipcc knows no GPU '$target'" >&2 && exit 1; }
    flags="$flags --offload-arch=$target"
    listed="$listed${listed:+, }\"$target\""
done

# hipcc only starts clang, so its own bytes do not tell one compiler from another;
# what ccache is to tell apart is what the manifest names, and Debian's clang.
CCACHE_COMPILERCHECK="string:$(cat /manifest/rocm.json && dpkg-query -W 'clang-[0-9]*' 'rocm-device-libs-[0-9]*' 2>/dev/null || true)"
export CCACHE_COMPILERCHECK

cd /build
cp /run/smoke/hip-smoke.cpp .
# shellcheck disable=SC2086 # flags are words
ccache hipcc -O2 -Wall -Wextra -Werror -fPIE $flags -c hip-smoke.cpp -o hip-smoke.o
mkdir -p /out/runtime/usr/local/libexec/vmaf /out/manifest
# shellcheck disable=SC2086 # LDFLAGS are words
hipcc -pie -s $LDFLAGS hip-smoke.o -o /out/runtime/usr/local/libexec/vmaf/hip-smoke
cat >/out/manifest/hip-smoke.json <<EOT
{"name": "hip-smoke", "version": "$(hipcc --version | sed -n 's/^HIP version: //p')",
 "source": "docker/smoke/hip-smoke.cpp", "digest": "sha256:$(sha256sum hip-smoke.cpp | cut -d' ' -f1)",
 "gfx": [$listed]}
EOT
report_caches

# Starts; 3 is its word for a machine without a GPU, as a builder is.
code=0
/out/runtime/usr/local/libexec/vmaf/hip-smoke || code=$?
test $code = 0 || test $code = 3
