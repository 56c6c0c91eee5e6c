#!/bin/sh
# Build hip-smoke for the GPUs of $HIP_TARGETS. Result: /out/hip-smoke/{runtime,manifest}.
set -eu
# shellcheck source=compile.sh
. /run/recipes/compile.sh
out=/out/hip-smoke
program=$out/runtime/usr/local/libexec/vmaf/hip-smoke

flags='' listed=''
for target in $HIP_TARGETS; do
    hipcc --offload-arch="$target" -nogpuinc -nogpulib --cuda-device-only -fsyntax-only \
        -x hip /dev/null || {
        echo "hip-smoke.sh: hipcc does not support the GPU '$target'" >&2
        exit 1
    }
    flags="$flags --offload-arch=$target"
    listed="$listed${listed:+, }\"$target\""
done

# hipcc is a wrapper, so its content does not identify the compiler. The manifest and the versions
# of clang's packages do.
clang=$(dpkg-query -W 'clang-[0-9]*' 'rocm-device-libs-[0-9]*' 2>/dev/null || true)
CCACHE_COMPILERCHECK="string:$(cat /out/rocm/manifest/rocm.json)$clang"
export CCACHE_COMPILERCHECK

cd /build
cp /run/smoke/hip-smoke.cpp .
# shellcheck disable=SC2086 # a list of flags
ccache hipcc -O2 -Wall -Wextra -Werror -fPIE $flags -c hip-smoke.cpp -o hip-smoke.o
mkdir -p "$(dirname $program)" $out/manifest
# shellcheck disable=SC2086 # a list of flags
hipcc -pie -s $LDFLAGS hip-smoke.o -o $program
cat >$out/manifest/hip-smoke.json <<EOT
{"name": "hip-smoke", "version": "$(hipcc --version | sed -n 's/^HIP version: //p')",
 "source": "docker/smoke/hip-smoke.cpp", "digest": "sha256:$(sha256sum hip-smoke.cpp | cut -d' ' -f1)",
 "gfx": [$listed]}
EOT
report_caches

# Check that it starts. It exits with 3 on a machine without a GPU, such as most builders.
code=0
$program || code=$?
test $code = 0 || test $code = 3
