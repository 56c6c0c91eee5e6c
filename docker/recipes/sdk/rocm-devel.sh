#!/bin/sh
# Install HIP $ROCM from the packages in sources.lock: compiler, headers, runtime.
# Result: the installed packages, and /out/rocm/manifest.
set -eu

part=hip$ROCM
/run/recipes/locked/locked.sh install "$part" --target-release testing hipcc libamdhip64-dev

entry() { /run/recipes/locked/locked.sh describe "$part/$2" "$1"; }
mkdir -p /out/rocm/manifest
cat >/out/rocm/manifest/rocm.json <<EOT
[$(entry HIP "libamdhip64-$ROCM"),
 $(entry hipcc hipcc),
 $(entry HSA-runtime libhsa-runtime64-1),
 $(entry comgr libamd-comgr3)]
EOT
hipcc --version
