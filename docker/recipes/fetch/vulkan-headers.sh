#!/bin/sh
# Fetch the headers of Vulkan in the package of sources.lock.
# Result: /out/vulkan-headers, which is copied to /.
set -eu
out=/out/vulkan-headers/usr/local
dpkg-deb -x "$(/run/recipes/locked/locked.sh fetch vulkan-headers)" /tmp/vulkan
# In /usr/local/include they precede stable's in /usr/include.
mkdir -p $out/share
mv /tmp/vulkan/usr/include $out/
mv /tmp/vulkan/usr/share/vulkan $out/share/
rm -r /tmp/vulkan
test -f $out/include/vulkan/vulkan.h
