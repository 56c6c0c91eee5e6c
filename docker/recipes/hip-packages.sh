#!/bin/sh
# Names the packages that HIP code and all else need at run time.
#
#   hip-packages.sh ROOT    the staging root of the HIP code
#
# Mounted: /run/packages, those of all else, from stable; /run/dpkg, the packages
# of the base. Result: /out/packages, what the base has not; HIP's from testing.
set -eu

/run/recipes/runtime-packages.sh "$1"
dpkg-query --admindir=/run/dpkg -W -f '${Package}\n' >/tmp/base
grep -vxFf /tmp/base /out/packages >/tmp/hip
grep -q '^libamdhip64' /tmp/hip
sed 's#$#/testing#' /tmp/hip >/out/packages
cat /run/packages >>/out/packages
