#!/bin/sh
# Install the part of CUDA 13 that compiles kernels from NVIDIA's wheels, in NVIDIA's layout. pip
# checks the wheels against the digests in sources.lock.
# Result: /usr/local/cuda with the licence texts, and /out/cuda/manifest.
set -eu
# shellcheck source=../../lib/https.sh
. /run/recipes/https.sh

cuda=/usr/local/cuda
requirements=/tmp/requirements.txt
mkdir -p /out/cuda/manifest /tmp/sdk
/run/recipes/locked/locked.sh requirements cuda13 >$requirements

# pip downloads into the mount: it checks the digests of the wheels there and fetches the others.
# The mount may hold other wheels, so those of the list are selected by name.
downloads=/root/.cache/pip/wheels
pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary=:all: \
    --require-hashes --requirement $requirements --dest $downloads
sed -n 's/^\([^#=]*\)==\([^ ]*\) --hash=\(.*\)/\1 \2 \3/p' $requirements |
    while read -r name version digest; do
        wheel=$(echo $downloads/"$(echo "$name" | tr - _)-$version"-*.whl)
        unzip -q -o "$wheel" 'nvidia/cu13/*' -d /tmp/sdk
        mkdir -p "/tmp/sdk/nvidia/cu13/licences/$name"
        unzip -q -j "$wheel" '*.dist-info/licenses/*' -d "/tmp/sdk/nvidia/cu13/licences/$name"
        printf '{"name": "%s", "version": "%s", "source": "PyPI wheel %s", "digest": "%s"}\n' \
            "$name" "$version" "$(basename "$wheel")" "$digest"
    done >/out/cuda/manifest/cuda.json
rm /tmp/sdk/nvidia/cu13/lib/libnvvm.so.4 # 74 MB, which nvcc does not load
mv /tmp/sdk/nvidia/cu13 $cuda
rm -r /tmp/sdk
chmod -R u=rwX,go=rX $cuda # the programs are executable only by their owner
ln -s lib $cuda/lib64
ln -s libcudart.so.13 $cuda/lib/libcudart.so
test "$(grep -c . /out/cuda/manifest/cuda.json)" = "$(grep -c == $requirements)"
rm $requirements
$cuda/bin/nvcc --version
