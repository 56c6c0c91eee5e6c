#!/bin/sh
# Install the files that oneapi-devel.sh takes from Intel's wheels from Intel's toolkit image
# ($ONEAPI_DEVEL), whose /opt/intel/oneapi is mounted at /oneapi-given.
# Result: /out/oneapi/{runtime,dev,manifest}; dev has the headers.
set -eu

major=2026
sdk=/oneapi-given
image=${ONEAPI_DEVEL:-oneapi-given}
out=/out/oneapi
lib=$out/runtime/opt/intel/oneapi/lib
mkdir -p $lib $out/dev/opt/intel/oneapi $out/manifest

version=$(basename "$(readlink -f $sdk/compiler/latest)")
case $version in
"$major".*) ;;
*) echo "oneapi-vendor.sh: $image has compiler version '$version', expected $major.*" >&2 && exit 1 ;;
esac

# keep WHEEL FILE...: copy the libraries that match, ignoring the wheel's name. The first name of a
# library becomes the file, and its other names become links to it.
keep() {
    shift
    for pattern in "$@"; do
        find $sdk/compiler/latest/lib/ $sdk/tbb/latest/lib/ $sdk/tcm/latest/lib/ $sdk/umf/latest/lib/ \
            ! -type d -name "$pattern" -printf '%d %p\n' | sort -n | cut -d' ' -f2 >/tmp/matches
        if [ ! -s /tmp/matches ]; then
            echo "oneapi-vendor.sh: $image has no $pattern" >&2
            exit 1
        fi
        while read -r file; do
            name=$(basename "$file")
            real=$(readlink -f "$file")
            file_name=$(sed -n "s#^$real ##p" /tmp/copied)
            if [ -e "$lib/$name" ]; then
                continue
            elif [ "$file_name" ]; then
                ln -s "$file_name" "$lib/$name"
            else
                cp "$real" "$lib/$name"
                echo "$real $name" >>/tmp/copied
            fi
        done </tmp/matches
    done
}
: >/tmp/copied
# shellcheck source=../oneapi/libraries.sh
. /run/recipes/libraries.sh

cp -rL $sdk/compiler/latest/include $out/dev/opt/intel/oneapi/
cp -rL $sdk/licensing $out/runtime/opt/intel/oneapi/

# entry NAME FILE
entry() {
    printf '{"name": "%s", "version": "%s", "source": "image %s", "digest": "sha256:%s"}\n' \
        "$1" "$version" "$image" "$(sha256sum "$2" | cut -d' ' -f1)"
}
{
    entry intel-sycl-rt $lib/libsycl.so.?
    entry intel-opencl-rt "$(find $lib -type f -name 'libintelocl.so.*')"
} >$out/manifest/oneapi.json
