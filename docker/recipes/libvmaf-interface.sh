#!/bin/sh
# What FFmpeg may know of libvmaf: headers, libvmaf.pc, and a library of the same
# SONAME and the same exported names with nothing behind them. FFmpeg is compiled
# against this, so an edit of libvmaf's code does not reach it, and an edit of
# libvmaf's interface does. Result: /out/interface, a staging root.
set -eu

library=$(find /libvmaf/runtime/usr/local/lib -name 'libvmaf.so.*.*.*' -type f)
soname=$(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }')
mkdir -p /out/interface/usr/local/lib
cp -r /libvmaf/dev/usr/local/. /out/interface/usr/local/

nm --dynamic --defined-only --format=posix "$library" | LC_ALL=C sort | awk '
    { name = $1; sub(/@.*/, "", name) }
    $2 ~ /[TWi]/ { print ".text\n.globl " name "\n.type " name ", @function\n" name ":" }
    $2 ~ /[BDRVu]/ { print ".data\n.globl " name "\n.type " name ", @object\n.size " name ", 8\n" name ": .quad 0" }
    END { print ".section .note.GNU-stack,\"\",@progbits" }' >/tmp/names.s
stub=/out/interface/usr/local/lib/$(basename "$library")
# policy: allow compile-mount, compile-launcher: empty functions take 0.1 s, less than the cache's lock
gcc -shared -nostdlib -Wl,--build-id=none -Wl,-soname,"$soname" -o "$stub" /tmp/names.s
ln -s "$(basename "$library")" "/out/interface/usr/local/lib/$soname"
ln -s "$soname" /out/interface/usr/local/lib/libvmaf.so

# Same names as the library, or FFmpeg would be linked against a fiction.
names() { nm --dynamic --defined-only --format=posix "$1" | cut -d' ' -f1 | sed 's/@.*//' | LC_ALL=C sort -u; }
names "$library" >/tmp/real
names "$stub" | cmp - /tmp/real
