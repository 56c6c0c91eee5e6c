#!/bin/sh
# Print what decides whether the results of the compiler cache are hits: the programs that compile,
# and the headers of the C library that nearly every source includes, one `NAME DIGEST` a line.
set -eu

digest() { sha256sum | cut -d' ' -f1; }

for name in gcc g++ gcc-13 g++-13 as nasm; do
    printf '%s %s\n' "$name" "$(digest <"$(command -v "$name")")"
done
for compiler in gcc gcc-13; do
    for part in cc1 cc1plus; do
        printf '%s-%s %s\n' "$compiler" "$part" "$(digest <"$("$compiler" -print-prog-name=$part)")"
    done
done
printf '#include <%s.h>\n' errno inttypes math pthread stdio stdlib string unistd |
    gcc -E -M -x c - | grep -o '/[^ ]*\.h' | sort -u >/tmp/headers
printf 'headers %s\n' "$(xargs cat </tmp/headers | digest)"
rm /tmp/headers
# The formats of the caches.
printf 'ccache %s\n' "$(ccache --version | head -n 1 | digest)"
