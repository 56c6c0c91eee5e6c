#!/bin/sh
# Write the manifest of a CUDA image that is not this project's. $CUDA_DEVEL is the image's name;
# the version is nvcc's. Result: /out/cuda/manifest/cuda.json.
set -eu

cuda=/usr/local/cuda
out=/out/cuda/manifest
mkdir -p $out
version=$($cuda/bin/nvcc --version | sed -n 's/^Cuda compilation tools, .* V//p')
test -n "$version"
cat >$out/cuda.json <<EOM
{"name": "CUDA", "version": "$version",
 "source": "image ${CUDA_DEVEL:-replaced as cuda-given}",
 "digest": "sha256:$(cat $cuda/bin/nvcc $cuda/bin/ptxas $cuda/nvvm/bin/cicc | sha256sum | cut -d' ' -f1)"}
EOM
