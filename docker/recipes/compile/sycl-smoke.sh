#!/bin/sh
# Build /src/sycl-smoke.cpp with the toolchain's compiler, against the SYCL headers and libraries
# in /in/oneapi. Result: /out/sycl-smoke/runtime.
set -eu
# shellcheck source=compile.sh
. /run/recipes/compile.sh

oneapi=opt/intel/oneapi
lib=/in/oneapi/runtime/$oneapi/lib
program=/out/sycl-smoke/runtime/usr/local/libexec/vmaf/sycl-smoke
mkdir -p "$(dirname $program)" && cd /build
cp /src/sycl-smoke.cpp .
# The first definition silences a warning that is meant for SYCL's own compiler. The prefix map has
# messages name the headers by their path in the SDK.
ccache g++ -std=c++20 -O2 -Wall -Wextra -fPIE -DSYCL_DISABLE_FSYCL_SYCLHPP_WARNING \
    -DCL_TARGET_OPENCL_VERSION=300 -isystem /in/oneapi/dev/$oneapi/include \
    -ffile-prefix-map=/in/oneapi/dev= -c sycl-smoke.cpp -o sycl-smoke.o
# shellcheck disable=SC2086 # a list of flags
g++ -pie -s $LDFLAGS sycl-smoke.o $lib/libsycl.so.* -lOpenCL -o $program
report_caches

# Check that it computes on the CPU, as in the image.
mkdir vendors && ls $lib/libintelocl.so.* >vendors/intel-cpu.icd
export LD_LIBRARY_PATH=$lib OCL_ICD_VENDORS=/build/vendors
$program cpu
