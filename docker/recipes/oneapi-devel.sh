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
# shellcheck source=oneapi/parts.sh
. /run/recipes/oneapi/parts.sh

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
