"""The GPUs that the device code in a file is for."""

import re
import struct
from collections.abc import Iterable

from scripts.contents.elf import MAGIC

FATBIN_MAGIC = struct.pack("<I", 0xBA55ED50)


_KINDS = {1: "compute", 2: "sm"}  # PTX runs on newer GPUs, too; machine code on one


def gpu_code(content: bytes) -> frozenset[str]:
    """Return the GPUs that the CUDA kernels in a file are for: `sm_75`, `compute_90` (PTX).

    nvcc's container is a header (magic number, version 1, its size 16, the size of the entries)
    and entries, each with a header that has the kind, the sizes and the architecture.
    """
    found = set()
    at = content.find(FATBIN_MAGIC)
    while at >= 0:
        found |= set(_fatbin(content, at))
        at = content.find(FATBIN_MAGIC, at + 4)
    return frozenset(found)


def _fatbin(content: bytes, at: int) -> Iterable[str]:
    """Yield the GPUs of a container; nothing if the magic number is there by chance."""
    if len(content) < at + 16:
        return
    version, size, payload = struct.unpack_from("<HHQ", content, at + 4)
    end = at + size + payload
    if (version, size) != (1, 16) or end > len(content):
        return
    at += size
    while at + 32 <= end:
        kind, _, header, length = struct.unpack_from("<HHIQ", content, at)
        (arch,) = struct.unpack_from("<I", content, at + 28)
        if kind in _KINDS:
            yield f"{_KINDS[kind]}_{arch}"
        at += header + length


BUNDLE_MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"


_HIP = re.compile(r"hipv4-amdgcn-amd-amdhsa--(gfx[0-9a-f]+)")


def hip_code(content: bytes) -> frozenset[str]:
    """Return the GPUs that the HIP kernels in a file are for: `gfx90a`.

    clang's bundle is a magic number, the number of entries, and for each of them the offset
    from the magic number and the size of an ELF file, and its target.
    """
    found = set()
    at = content.find(BUNDLE_MAGIC)
    while at >= 0:
        found |= set(_bundle(content, at))
        at = content.find(BUNDLE_MAGIC, at + 1)
    return frozenset(found)


def _bundle(content: bytes, start: int) -> Iterable[str]:
    """Yield the GPUs of a bundle, if their code is complete."""
    at = start + len(BUNDLE_MAGIC)
    head = struct.Struct("<QQQ")
    (count,) = struct.unpack_from("<Q", content.ljust(at + 8, b"\0"), at)
    at += 8
    for _ in range(count):
        if at + head.size > len(content):
            return
        offset, size, length = head.unpack_from(content, at)
        at += head.size
        target = _HIP.fullmatch(content[at : at + length].decode(errors="replace"))
        at += length
        code = content[start + offset :][:size]
        if target and len(code) == size and code.startswith(MAGIC):
            yield target[1]
