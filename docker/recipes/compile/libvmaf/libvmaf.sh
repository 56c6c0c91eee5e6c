#!/bin/sh
# Build or test libvmaf from /src, with the requested backends that the source tree offers.
#
#   libvmaf.sh build|test [BACKEND...]
#
# `build` writes /out/libvmaf/{runtime,dev,interface,manifest}: library, program and models;
# headers and libvmaf.pc; what FFmpeg is compiled against; the entry of versions.json.
# `test` runs libvmaf's test suite and leaves its log in /out.
set -eu
# shellcheck source=../compile.sh
. /run/recipes/compile.sh
out=/out/libvmaf
verb=$1
shift

# The kernels' include paths are relative to a build directory inside the tree.
cp -r /src/libvmaf /src/model /build/
cd /build/libvmaf
# The library's own version names the commit, as versions.json does; there is no git here.
header=include/vcs_version.h.in
[ ! -f $header ] || sed -i "s/@VCS_TAG@/$(jq -r .version /src/source.json)/" $header

options=meson_options.txt
[ -f $options ] || options=meson.options # the name since Meson 1.1
# Print the type of an option: boolean or feature; nothing if the tree does not offer it.
kind() { sed -n "/^ *option('$1'/,/\btype *: *'[a-z]*'/s/.*\btype *: *'\([a-z]*\)'.*/\1/p" $options | head -n 1; }
offers() { [ "$(kind "$1")" ]; }

# Every feature of the tree is switched on or off here, so that none depends on what is installed;
# auto_features is for the options that are not listed.
backends=cpu
requested=" $* "
set -- -Dauto_features=disabled
for feature in cuda hip sycl vulkan dnn mcp metal; do
    case $(kind "enable_$feature") in
    boolean) on=true off=false ;;
    feature) on=enabled off=disabled ;;
    *)
        ! grep -q "option('enable_$feature'" $options || {
            echo "libvmaf.sh: enable_$feature in $options is no boolean and no feature" >&2
            exit 1
        }
        continue
        ;;
    esac
    case $requested in
    *" $feature "*) backends="$backends $feature" ;;
    *) on=$off ;;
    esac
    set -- "$@" "-Denable_$feature=$on"
done
case $backends in *hip* | *sycl*) set -- "$@" -Db_lto=false ;; esac # LTO does not support device code
case $backends in
*cuda*) # a tree without this option compiles its kernels with nvcc only
    [ -x /usr/local/cuda/bin/nvcc ] || set -- "$@" -Denable_nvcc=false
    ;;
esac
case $backends in
*hip*) # separate options enable the HIP kernels and list their GPUs
    ! offers enable_hipcc || set -- "$@" -Denable_hipcc=true
    ! offers hip_gfx_targets || set -- "$@" "-Dhip_gfx_targets=$(echo "$HIP_TARGETS" | tr ' ' ,)"
    ;;
esac
case $backends in *vulkan*) /run/recipes/libvmaf/subprojects.sh subprojects $out/manifest $out/runtime/usr/local/share/doc ;; esac

# Meson adds no launcher if CC is set, and prefers sccache if it is not. So CC names ccache.
export CC="ccache ${CC:-${CROSS}gcc}" CXX="ccache ${CXX:-${CROSS}g++}"
export PATH="/usr/local/cuda/bin:$PATH" NVCC_PREPEND_FLAGS='-ccbin g++-13'
launch nasm nvcc hipcc
set -- --prefix=/usr/local --libdir=lib --buildtype=release \
    -Denable_docs=false -Denable_float=true "$@"
if [ "$CROSS" ]; then
    cpu=${CROSS%%-*}
    cat >/build/cross.ini <<EOT
[binaries]
c = ['ccache', '${CROSS}gcc']
cpp = ['ccache', '${CROSS}g++']
ar = '${CROSS}gcc-ar'
strip = '${CROSS}strip'
pkg-config = '${CROSS}pkg-config'
[host_machine]
system = 'linux'
cpu_family = '$cpu'
cpu = '$cpu'
endian = 'little'
EOT
    set -- --cross-file=/build/cross.ini "$@"
fi

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
DESTDIR=$out/runtime meson install -C build --no-rebuild --strip --quiet
split_dev
mkdir -p $out/runtime/usr/local/share/vmaf $out/manifest
cp -r /src/model $out/runtime/usr/local/share/vmaf/
find $out/runtime/usr/local/share/vmaf/model -name '*.pkl*' -delete # superseded by .json
install_licence libvmaf /src/LICENSE* /src/COPYING* /src/libvmaf/LICENSE* /src/libvmaf/COPYING*
/run/recipes/libvmaf/interface.sh $out

# nvcc's -gencode=arch=compute_75,code=sm_75 is machine code, and clang's output is PTX.
gencode=$(grep -ohE 'gencode=arch=[a-z0-9_]*,code=[a-z0-9_]*|cuda-gpu-arch=sm_[0-9]*' build/build.ninja |
    sort -u | sed 's/.*code=//; s/.*arch=sm_/compute_/')
jq --arg options "$*" --arg backends "$backends" --arg gencode "$gencode" \
    '. + {options: $options, backends: ($backends | split(" ")),
          gencode: ($gencode | split("\n"))}' /src/source.json >$out/manifest/libvmaf.json
report_caches

# Check that it scores a frame without a --model: if xxd is missing, the build succeeds, but has
# no built-in model.
[ ! "$CROSS" ] || exit 0 # a test of the image scores a frame
frame() { printf 'YUV4MPEG2 W64 H64 F25:1 Ip A1:1 C420jpeg\nFRAME\n' && head -c 6144 /dev/zero; }
frame >/build/frame.y4m
export LD_LIBRARY_PATH="$out/runtime/usr/local/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
$out/runtime/usr/local/bin/vmaf --quiet --reference /build/frame.y4m --distorted /build/frame.y4m \
    --json --output /build/score.json
grep -q '"vmaf"' /build/score.json
