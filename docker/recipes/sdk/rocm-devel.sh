#!/bin/sh
# Install HIP $ROCM from the packages in sources.lock: compiler, headers, runtime.
# Result: the installed packages, and /out/rocm/manifest.
set -eu

part=hip$ROCM
/run/recipes/locked/locked.sh install "$part" --target-release testing hipcc libamdhip64-dev

mkdir -p /out/rocm/manifest
for entry in "libamdhip64-$ROCM HIP" "hipcc hipcc" "libhsa-runtime64-1 HSA-runtime" \
    "libamd-comgr3 comgr"; do
    /run/recipes/locked/locked.sh describe "$part/${entry% *}" "${entry#* }"
done >/out/rocm/manifest/rocm.json
hipcc --version
