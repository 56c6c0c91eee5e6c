#!/bin/sh
# Build or test FFmpeg from /src for one variant, or with the features of several.
#
#   ffmpeg.sh build|test VARIANT...
#
# `build` writes /out/ffmpeg/{runtime,dev,opened,manifest}: programs and libraries; headers and .pc
# files; packages that no ELF file names; the entry of versions.json. `test` runs checkasm and the
# FATE tests that need no sample files, and checks the list of files that configure may read.
# In the environment, VMAF_SPLIT_CONFIG=0 compiles every object with the complete config.h, and
# FFMPEG_WITHOUT names features that are left out, such as "libjxl libsrt".
set -eu
# shellcheck source=../compile.sh
. /run/recipes/compile.sh
out=/out/ffmpeg
verb=$1
shift
variants=$*

# The features that configure enables: "VARIANT...: FEATURE...". They are disabled for all other
# variants, as configure would enable some of them by itself.
options='' left_out=''
while IFS=: read -r where features; do
    state=disable
    for variant in $variants; do
        case " $where " in
        *' all '* | *" $variant "*) state=enable ;;
        esac
    done
    for feature in $features; do
        chosen=$state
        case " ${FFMPEG_WITHOUT-} " in
        *" $feature "*) left_out="$left_out $feature" chosen=disable ;;
        esac
        # FFmpeg 9 compiles its shaders with glslc when it is built. Older releases compile them
        # when they run, with libshaderc.
        [ "$feature" != libshaderc ] || grep -qx ' *libshaderc' /src/configure || continue
        options="$options --$chosen-$feature"
    done
done <<'EOT'
all: gpl version3
all: libvmaf
all: libx264 libx265
all: libaom libsvtav1
all: libdav1d libvpx
all: librav1e libsrt
all: libwebp libjxl
all: libopenjpeg lcms2
all: libvidstab
all: libopus libvorbis
all: libmp3lame libsoxr
all: libass libfreetype
all: libfontconfig libfribidi
all: libharfbuzz libzimg
all: libxml2 openssl
all: zlib bzlib lzma
cuda12: ffnvcodec cuda
cuda12: nvenc nvdec
cuda12: cuvid cuda-llvm
vulkan: vulkan libshaderc
vulkan: libplacebo
ffmpeg rocm oneapi2026: vaapi libdrm
rocm oneapi2026: opencl
oneapi2026: libvpl
ffmpeg: libtheora libxvid
ffmpeg: libkvazaar libsnappy
ffmpeg: libspeex libtwolame
ffmpeg: libopencore-amrnb libopencore-amrwb
ffmpeg: libvo-amrwbenc librubberband
ffmpeg: librist libssh
ffmpeg: libzmq libbluray
none: nonfree cuda-nvcc
EOT
for feature in ${FFMPEG_WITHOUT-}; do
    case " $left_out " in
    *' libvmaf '* | *' gpl '* | *' version3 '*)
        echo "ffmpeg.sh: FFMPEG_WITHOUT cannot leave out '$feature'" >&2 && exit 1
        ;;
    *" $feature "*) ;;
    *) echo "ffmpeg.sh: FFMPEG_WITHOUT names '$feature', which is no feature of this list" >&2 && exit 1 ;;
    esac
done

# List all files that configure could read, so that a file that it looks for and that is missing
# changes the list when it appears. That is the complete image without the kernel's directories,
# this step's own, and the files that BuildKit mounts; and FFmpeg's tree without the C and assembly
# sources that configure does not name.
reach() {
    find / \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \
        -o -path /var -o -path /build -o -path /ccache -o -path /out -o -path /src \
        -o -path /etc/hosts -o -path /etc/hostname -o -path /etc/resolv.conf \) -prune \
        -o -print0 2>/dev/null || true # configure cannot enter these directories either
    find /src \( -path /src/doc -o -path /src/tests \) -prune \
        -o -not -name '*.c' -not -name '*.asm' -not -name '*.S' -print0
    grep -oE '[[:alnum:]_/]+\.c\>' /src/configure | while read -r name; do
        [ ! -f "/src/$name" ] || printf '/src/%s\0' "$name"
    done
}

# clang compiles the CUDA filters without anything of NVIDIA's. It would look for CUDA and write the
# PTX version of the release that it finds, which is not in ccache's key; so it gets no path. ccache
# identifies clang by its version, as all of it but the driver is in shared libraries.
set --
case " $variants " in
*' cuda12 '*)
    clang=$(dpkg-query -W -f '${Version}' clang-19)
    set -- --nvcc="ccache compiler_check=string:clang-$clang clang-19" \
        --nvccflags='--cuda-gpu-arch=sm_30 -O2 --cuda-path=/none'
    ;;
esac

mkdir /build/ffmpeg && cd /build/ffmpeg

if [ "$CROSS" ]; then
    set -- "$@" --enable-cross-compile --target-os=linux --arch="${CROSS%%-*}" \
        --cross-prefix="$CROSS" --pkg-config="${CROSS}pkg-config"
fi

# configure's own compiles are not cached: storing them takes longer than running them.
# shellcheck disable=SC2086 # a list of options
reach | CCACHE_DISABLE=1 /run/cache/runcache.py /src/configure --prefix=/usr/local \
    --cc="ccache ${CROSS}gcc" --cxx="ccache ${CROSS}g++" --extra-ldflags="$LDFLAGS" \
    --enable-shared --disable-static --enable-pic --extra-ldexeflags=-pie \
    --disable-autodetect --enable-pthreads --disable-debug --disable-doc --disable-ffplay \
    $options "$@" || {
    tail -n 30 ffbuild/config.log || true # configure writes none for an unknown option
    exit 1
}
[ "${VMAF_SPLIT_CONFIG:-1}" = 0 ] || python3 /run/recipes/ffmpeg/split-config.py /src "${CROSS}gcc"

launch nasm

# V=1: make starts the compilers directly, without a shell that prints the file's name first.
# -r: make does not try its built-in rules, as FFmpeg has its own.
# If configure's result was cached, most objects are, too. make is then busy itself, so one more
# job is faster. It would be slower if the objects had to be compiled.
jobs=$(nproc)
! grep -qx 'hit configure' "$DEPCACHE_LOG" || jobs=$((jobs + 1))
report_progress &
make -j"$jobs" -r --silent V=1
kill $!

if [ "$verb" = test ]; then
    report_caches
    # Check the list of reach: with the listed sources only, configure must write the same headers.
    mkdir /build/within && cd /build/within
    reach | grep -z '^/src' | tar -cP --null --no-recursion -T - | tar -xP --transform 's,^/src,/build/within/src,'
    eval "CCACHE_DISABLE=1 src/configure $(sed -n 's/^FFMPEG_CONFIGURATION=//p' /build/ffmpeg/ffbuild/config.mak)" >/dev/null
    for header in config.h config_components.h; do cmp "$header" "/build/ffmpeg/$header"; done
    cd /build/ffmpeg
    LD_LIBRARY_PATH=$(printf '%s:' "$PWD"/lib*)/usr/local/lib
    export LD_LIBRARY_PATH
    make --silent -k -j"$(nproc)" fate 2>&1 | tee /out/fate.log | grep -vE '^(TEST|GEN)' || true
    tests=$(grep -c '^TEST' /out/fate.log)
    failed=$(grep -cE '^make.*Error' /out/fate.log || true)
    printf '#measure {"tests": {"run": %d, "failed": %d}}\n' "$tests" "$failed"
    [ "$tests" -gt 1000 ] && [ "$failed" = 0 ]
    exit
fi

make --silent install DESTDIR=$out/runtime
split_dev
rm -r $out/runtime/usr/local/share/ffmpeg
install_licence ffmpeg /src/LICENSE.md /src/COPYING.*
# Code of NVIDIA's headers is compiled in.
install_licence nv-codec-headers /usr/local/share/doc/nv-codec-headers/copyright
# Packages that no ELF file names: TLS reads certificates, and libraries open Vulkan's loader and
# VA-API's drivers by name. Debian has Intel's driver for its own processors only.
echo ca-certificates >$out/opened
case " $variants " in *' vulkan '*) echo libvulkan1 >>$out/opened ;; esac
case " $variants $TARGETARCH" in *' ffmpeg amd64') echo intel-media-va-driver >>$out/opened ;; esac
mkdir -p $out/manifest
sed -n 's/^#define FFMPEG_CONFIGURATION "\(.*\)"$/\1/p' config.h | sed 's/\\"/"/g' >/build/configuration
jq --rawfile configure /build/configuration '. + {configure: ($configure | rtrimstr("\n"))}' \
    /src/source.json >$out/manifest/ffmpeg.json
report_caches

# Check that it starts and has the libvmaf filter. What is for another architecture starts in the
# last stage of the image.
[ ! "$CROSS" ] || exit 0
export LD_LIBRARY_PATH=$out/runtime/usr/local/lib:/usr/local/lib
$out/runtime/usr/local/bin/ffmpeg -hide_banner -filters 2>/dev/null | grep -qw libvmaf
