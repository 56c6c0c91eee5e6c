#!/bin/sh
# Builds or tests libvmaf from /src, with those of the wanted backends that the
# source tree offers.
#
#   libvmaf.sh build|test [BACKEND...]
#
# build leaves /out/runtime (library, program, models), /out/dev (headers, .pc)
# and /out/manifest; test runs the project's own suite and leaves its log in /out.
set -eu
# shellcheck source=compile.sh
. /run/recipes/compile.sh
verb=$1
shift

# The kernels' include paths are relative to a build folder inside the tree.
cp -r /src/libvmaf /src/model /build/
cd /build/libvmaf

offers() { grep -q "^option('$1'" meson_options.txt; }
backends=cpu
set -- "$@" -- # the wanted backends, then the options they turn into
while [ "$1" != -- ]; do
    if offers "enable_$1"; then
        backends="$backends $1"
        set -- "$@" "-Denable_$1=true"
    fi
    shift
done
shift
case $backends in *hip* | *sycl*) set -- "$@" -Db_lto=false ;; esac # device code takes no part in it
case $backends in
*hip*) # its kernels, and the GPUs they are for, are options of their own
    ! offers enable_hipcc || set -- "$@" -Denable_hipcc=true
    ! offers hip_gfx_targets || set -- "$@" "-Dhip_gfx_targets=$(echo "$HIP_TARGETS" | tr ' ' ,)"
    ;;
esac

# Meson adds no launcher of its own where CC is set, and prefers sccache where it
# is not: so the launcher is named.
export CC="ccache ${CC:-gcc}" CXX="ccache ${CXX:-g++}"
export PATH="/usr/local/cuda/bin:$PATH" NVCC_PREPEND_FLAGS='-ccbin g++-13'
launch nasm nvcc hipcc
set -- --prefix=/usr/local --libdir=lib --buildtype=release \
    -Denable_docs=false -Denable_float=true "$@"

setup() {
    meson setup build "$@" || { tail -n 40 build/meson-logs/meson-log.txt && exit 1; }
}

if [ "$verb" = test ]; then
    setup "$@" -Denable_tests=true
    ninja -C build
    report_caches
    meson test -C build --print-errorlogs | tee /out/tests.log
    printf '#measure {"tests": {"run": %d, "failed": %d}}\n' \
        "$(awk '$1 == "Ok:" { print $2 }' /out/tests.log)" "$(awk '$1 == "Fail:" { print $2 }' /out/tests.log)"
    grep -q '^Fail: *0 *$' /out/tests.log && grep -q '^Timeout: *0 *$' /out/tests.log
    exit
fi

setup "$@" --default-library=shared -Denable_tests=false
ninja -C build
DESTDIR=/out/runtime meson install -C build --no-rebuild --strip --quiet
split_dev
mkdir -p /out/runtime/usr/local/share/vmaf /out/manifest
cp -r /src/model /out/runtime/usr/local/share/vmaf/
find /out/runtime/usr/local/share/vmaf/model -name '*.pkl*' -delete # superseded by .json

gencode=$(grep -oh 'gencode=arch=[a-z0-9_]*,code=[a-z0-9_]*' build/build.ninja | sort -u | sed 's/.*code=//')
jq --arg options "$*" --arg backends "$backends" --arg gencode "$gencode" \
    '. + {options: $options, backends: ($backends | split(" ")),
          gencode: ($gencode | split("\n"))}' /src/source.json >/out/manifest/libvmaf.json
report_caches

# It must score a frame without being told a model: where xxd is missing, the
# build succeeds with no model built in.
frame() { printf 'YUV4MPEG2 W64 H64 F25:1 Ip A1:1 C420jpeg\nFRAME\n' && head -c 6144 /dev/zero; }
frame >/build/frame.y4m
LD_LIBRARY_PATH=/out/runtime/usr/local/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} /out/runtime/usr/local/bin/vmaf \
    --quiet --reference /build/frame.y4m --distorted /build/frame.y4m --json --output /build/score.json
grep -q '"vmaf"' /build/score.json
