#!/bin/sh
# Build libaom from /src: the programs, and a static library, as a shared one would replace the
# library that FFmpeg was built with. Result: /out/aom/{runtime,dev,manifest}.
set -eu
# shellcheck source=compile.sh
. /run/recipes/compile.sh
out=/out/aom
launch nasm

cmake -S /src -B /build/aom -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
    -DCMAKE_INSTALL_PREFIX=/usr/local -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_EXE_LINKER_FLAGS="$LDFLAGS -pie" \
    -DBUILD_SHARED_LIBS=OFF -DENABLE_TESTS=OFF -DENABLE_DOCS=OFF -DENABLE_TOOLS=OFF
ninja -C /build/aom
DESTDIR=$out/runtime cmake --install /build/aom --strip
split_dev
mv $out/runtime/usr/local/lib/* $out/dev/usr/local/lib/
install_licence libaom /src/LICENSE /src/PATENTS
mkdir -p $out/manifest
cp /src/source.json $out/manifest/libaom.json
report_caches

# Check that it encodes and decodes.
cd /build
printf 'YUV4MPEG2 W64 H64 F25:1 Ip A1:1 C420jpeg\nFRAME\n' >frame.y4m
head -c 6144 /dev/zero >>frame.y4m
$out/runtime/usr/local/bin/aomenc --cpu-used=9 --rt --quiet frame.y4m --output=frame.ivf
$out/runtime/usr/local/bin/aomdec --md5 frame.ivf
