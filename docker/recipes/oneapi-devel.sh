#!/bin/sh
# The part of oneAPI 2026 that SYCL programs and OpenCL on the CPU take, from
# Intel's wheels, which pip checks against the digests of oneapi/requirements.txt.
# The wheels unpack to 1.6 GB, each library up to three times over: only what is
# kept is written, under the name that the loader asks for.
# Result: /out/runtime, /out/dev (headers) and /out/manifest.
set -eu
# shellcheck source=https.sh
. /run/recipes/https.sh

wanted=2026
wheels=/tmp/wheels
lib=/out/runtime/opt/intel/oneapi/lib
licences=/out/runtime/opt/intel/oneapi/licensing
mkdir -p $lib $licences /out/dev/opt/intel/oneapi /out/manifest

for package in dpcpp-cpp-rt intel-opencl-rt; do
    found=$(sed -n "s/^$package==\\([^ ]*\\).*/\\1/p" /run/recipes/oneapi/requirements.txt)
    case $found in
    "$wanted".*) ;;
    *) echo "oneapi-devel.sh: $package is version '$found', expected $wanted.*" >&2 && exit 1 ;;
    esac
done

# The mount is where pip downloads to: it checks the digest of what is there and
# fetches the rest. (Its own cache stays empty behind a proxy that drops the
# headers it goes by.) Only the wheels asked for are read: the mount may hold others.
downloads=/root/.cache/pip/wheels
pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary=:all: \
    --require-hashes --requirement /run/recipes/oneapi/requirements.txt --dest $downloads
mkdir $wheels
sed -n 's/^\([^#=]*\)==\([^ ]*\) .*/\1 \2/p' /run/recipes/oneapi/requirements.txt \
    | while read -r name version; do
        ln -s $downloads/"$(echo "$name" | tr - _)-$version"-*.whl $wheels/
    done

# keep WHEEL FILE...: a name that the wheel does not have ends the build
keep() {
    wheel=$(ls $wheels/"$1"-*.whl) && shift
    for file in "$@"; do
        unzip -q -j "$wheel" "*.data/data/lib/$file" -d $lib
    done
}
# Found by ELF from the SYCL runtime and the OpenCL device.
keep intel_sycl_rt 'libsycl.so.?'
keep intel_cmplr_lib_ur libur_loader.so.0
keep intel_cmplr_lib_rt libsvml.so libirng.so libimf.so libintlc.so.5
keep umf libumf.so.1
keep tcmlib libhwloc.so.15
keep tbb libtbb.so.12
keep intel_opencl_rt 'libcommon_clang.so.*'
# Opened by name at run time:
# - how SYCL reaches Intel's GPUs; its way to OpenCL is inside the loader
keep intel_cmplr_lib_ur libur_adapter_level_zero.so.0 libur_adapter_level_zero_v2.so.0
# - TBB's allocator, slower without
keep tbb libtbbmalloc.so.2
# - OpenCL on the CPU, its settings, and the built-in functions for each kind of
#   CPU, as bitcode, as objects for its own linker, as libraries: it opens those
#   of the machine it finds itself on, and offers no device where one is missing
keep intel_opencl_rt 'libintelocl.so.*' cl.cfg 'clbltfn*.rtl' cllibrary.rtl 'cllibrary??.o' 'libocl_svml_??.so'

# The wheel's own .icd files name a folder of the packer's machine; that of the
# FPGA emulator names a library that is in no wheel.
mkdir -p /out/runtime/etc/OpenCL/vendors /out/runtime/etc/ld.so.conf.d
echo "/opt/intel/oneapi/lib/$(basename $lib/libintelocl.so.*)" >/out/runtime/etc/OpenCL/vendors/intel-cpu.icd
echo /opt/intel/oneapi/lib >/out/runtime/etc/ld.so.conf.d/oneapi.conf

unzip -q "$(ls $wheels/intel_sycl_rt-*.whl)" '*.data/data/include/*' -d /tmp/sycl
mv /tmp/sycl/*.data/data/include /out/dev/opt/intel/oneapi/

for wheel in "$wheels"/*.whl; do
    name=$(basename "$wheel" | cut -d- -f1)
    version=$(basename "$wheel" | cut -d- -f2)
    unzip -q -j "$wheel" '*.dist-info/LICENSE.txt' -d "$licences/$name"
    unzip -q -j -n "$wheel" '*/third-party-programs.txt' -d "$licences/$name" || [ $? = 11 ] # it has none
    printf '{"name": "%s", "version": "%s", "source": "PyPI wheel %s", "digest": "sha256:%s"}\n' \
        "$(echo "$name" | tr _ -)" "$version" "$(basename "$wheel")" "$(sha256sum "$wheel" | cut -d' ' -f1)"
done >/out/manifest/oneapi.json
rm -r $wheels /tmp/sycl
