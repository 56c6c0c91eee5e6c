#!/bin/sh
# Says which CUDA compiled the kernels. The stage of ours brings its manifest;
# of an image in its place (mounted at /cuda-devel, named by $CUDA_DEVEL) the
# compiler is asked. Result: /manifest/cuda.json.
set -eu

mkdir -p /manifest
if [ -s /cuda-devel/manifest/cuda.json ]; then
    cp /cuda-devel/manifest/cuda.json /manifest/
    exit
fi
cuda=/usr/local/cuda
version=$($cuda/bin/nvcc --version | sed -n 's/^Cuda compilation tools, .* V//p')
test -n "$version"
cat >/manifest/cuda.json <<EOM
{"name": "CUDA", "version": "$version",
 "source": "image ${CUDA_DEVEL:-given as cuda-devel}",
 "digest": "sha256:$(cat $cuda/bin/nvcc $cuda/bin/ptxas $cuda/nvvm/bin/cicc | sha256sum | cut -d' ' -f1)"}
EOM
