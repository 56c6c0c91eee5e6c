#!/bin/sh
# Write the manifest of a CUDA image that is not this project's. $CUDA_DEVEL is the image's name;
# the version is nvcc's. Result: /out/cuda/manifest/cuda.json, and the licence text of NVIDIA's image
# in CUDA's directory.
set -eu

cuda=/usr/local/cuda
out=/out/cuda/manifest
mkdir -p $out
text=/NGC-DL-CONTAINER-LICENSE
[ ! -f $text ] || install -D -m 644 -t $cuda/licences/cuda $text
version=$($cuda/bin/nvcc --version | sed -n 's/^Cuda compilation tools, .* V//p')
test -n "$version"
cat >$out/cuda.json <<EOM
{"name": "CUDA", "version": "$version",
 "source": "image ${CUDA_DEVEL:-replaced as cuda-given}",
 "digest": "sha256:$(cat $cuda/bin/nvcc $cuda/bin/ptxas $cuda/nvvm/bin/cicc | sha256sum | cut -d' ' -f1)"}
EOM
