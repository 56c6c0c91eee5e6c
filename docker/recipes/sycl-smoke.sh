#!/bin/sh
# Builds /src/sycl-smoke.cpp against the headers and libraries of
# /opt/intel/oneapi, with the compiler that builds everything else.
# Result: /out/runtime.
set -eu
# shellcheck source=compile.sh
. /run/recipes/compile.sh

oneapi=/opt/intel/oneapi
program=/out/runtime/usr/local/libexec/vmaf/sycl-smoke
mkdir -p "$(dirname $program)" && cd /build
cp /src/sycl-smoke.cpp .
# The first definition silences a warning that is for SYCL's own compiler.
ccache g++ -std=c++20 -O2 -Wall -Wextra -fPIE -DSYCL_DISABLE_FSYCL_SYCLHPP_WARNING \
    -DCL_TARGET_OPENCL_VERSION=300 -isystem $oneapi/include -c sycl-smoke.cpp -o sycl-smoke.o
# Word list: meant to be split.
# shellcheck disable=SC2086
g++ -pie -s $LDFLAGS sycl-smoke.o $oneapi/lib/libsycl.so.* -lOpenCL -o $program
report_caches

# Computes on the CPU, as it must in the image.
export LD_LIBRARY_PATH=$oneapi/lib OCL_ICD_VENDORS=/run/vendors
$program cpu
