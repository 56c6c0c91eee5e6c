#!/bin/sh
# Write libvmaf's interface: headers, libvmaf.pc, and a stub of each library. A stub has the SONAME and
# the exported names of the library, and no code. FFmpeg is compiled against it, so that an edit of
# libvmaf's code does not rebuild FFmpeg, and an edit of its interface does.
#
#   interface.sh /out/libvmaf        with the prefix of the compilers' names in CROSS
#
# A tree may install a second library, such as libvmafx.so.1 beside a compatible libvmaf.so.3.
# Result: interface/ beside runtime/ and dev/, a staging root.
set -eu

cd "$1"
mkdir -p interface/usr/local/lib
cp -r dev/usr/local/. interface/usr/local/
find runtime/usr/local/lib -name 'libvmaf*.so*' -type l -exec cp -P {} interface/usr/local/lib/ \;

# A stub is assembled from the list of names, which nm prints with their types. C would need the
# signatures; in assembly a label is enough. For a function and a variable the output is
#
#   vmaf_init T 18a0 2f   ->  .text, .globl vmaf_init, .type vmaf_init, @function, vmaf_init:
#   vmaf_log D 4010 8     ->  .data, .globl vmaf_log, .type vmaf_log, @object, ..., vmaf_log: .quad 0
names() { nm --dynamic --defined-only --format=posix "$1" | sed 's/^\([^ @]*\)@[^ ]*/\1/' | LC_ALL=C sort; }
find runtime/usr/local/lib -name 'libvmaf*.so*' -type f >/tmp/libraries
while read -r library; do
    soname=$(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }')
    names "$library" | awk '
        $2 ~ /[TWi]/ { print ".text\n.globl " $1 "\n.type " $1 ", @function\n" $1 ":" }
        $2 ~ /[BDRVu]/ { print ".data\n.globl " $1 "\n.type " $1 ", @object\n.size " $1 ", 8\n" $1 ": .quad 0" }
        END { print ".section .note.GNU-stack,\"\",@progbits" }' >/tmp/names.s
    stub=interface/usr/local/lib/$(basename "$library")
    # policy: allow compile-launcher: to assemble empty functions takes 0.1 s, which ccache cannot save
    "${CROSS}gcc" -shared -nostdlib -Wl,--build-id=none -Wl,-soname,"$soname" -o "$stub" /tmp/names.s

    # The stub must export the library's names, or FFmpeg would not load with the library.
    names "$library" | cut -d' ' -f1 | sort -u >/tmp/library-names
    names "$stub" | cut -d' ' -f1 | sort -u | cmp - /tmp/library-names
done </tmp/libraries
test -f interface/usr/local/lib/libvmaf.so
