#!/bin/sh
# What oneapi-devel.sh takes out of Intel's wheels, from Intel's toolkit image:
# its /opt/intel/oneapi is mounted at /oneapi-sdk, $ONEAPI_DEVEL names it.
# Result: /out/runtime, /out/dev (headers) and /out/manifest.
set -eu

wanted=2026
sdk=/oneapi-sdk
image=${ONEAPI_DEVEL:-oneapi-sdk}
lib=/out/runtime/opt/intel/oneapi/lib
mkdir -p $lib /out/dev/opt/intel/oneapi /out/manifest

version=$(basename "$(readlink -f $sdk/compiler/latest)")
case $version in
"$wanted".*) ;;
*) echo "oneapi-vendor.sh: $image has compiler version '$version', expected $wanted.*" >&2 && exit 1 ;;
esac

# keep WHEEL FILE...: the wheels' names mean nothing here; a library keeps all of
# the names that fit, the first as a file, the others as links to it
keep() {
    shift
    for pattern in "$@"; do
        find $sdk/compiler/latest/lib/ $sdk/tbb/latest/lib/ $sdk/tcm/latest/lib/ $sdk/umf/latest/lib/ \
            ! -type d -name "$pattern" -printf '%d %p\n' | sort -n | cut -d' ' -f2 >/tmp/found
        if [ ! -s /tmp/found ]; then
            echo "oneapi-vendor.sh: $image has no $pattern" >&2
            exit 1
        fi
        while read -r file; do
            name=$(basename "$file")
            real=$(readlink -f "$file")
            known=$(sed -n "s#^$real ##p" /tmp/kept)
            if [ -e "$lib/$name" ]; then
                continue
            elif [ "$known" ]; then
                ln -s "$known" "$lib/$name"
            else
                cp "$real" "$lib/$name"
                echo "$real $name" >>/tmp/kept
            fi
        done </tmp/found
    done
}
: >/tmp/kept
# shellcheck source=oneapi/parts.sh
. /run/recipes/oneapi/parts.sh

cp -rL $sdk/compiler/latest/include /out/dev/opt/intel/oneapi/
cp -rL $sdk/licensing /out/runtime/opt/intel/oneapi/

# entry NAME FILE
entry() {
    printf '{"name": "%s", "version": "%s", "source": "image %s", "digest": "sha256:%s"}\n' \
        "$1" "$version" "$image" "$(sha256sum "$2" | cut -d' ' -f1)"
}
{
    entry intel-sycl-rt $lib/libsycl.so.?
    entry intel-opencl-rt "$(find $lib -type f -name 'libintelocl.so.*')"
} >/out/manifest/oneapi.json
