"""The device code in a file: which GPUs it is for, and what of NVIDIA's libraries is in it."""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import lz4.block
import zstandard

from scripts.contents.elf import MAGIC

FATBIN_MAGIC = struct.pack("<I", 0xBA55ED50)


_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP = zlib.MAX_WBITS | 16  # a gzip header
_KINDS = {1: "compute", 2: "sm"}  # PTX runs on newer GPUs, too; machine code on one
_PTX = 1
_PLAIN_PTX = re.compile(rb"^\.version \d[^\0]*", re.MULTILINE)
_TARGET = re.compile(r"^\.target sm_(\d+)", re.MULTILINE)
_LZ4, _ZSTD = 0x2000, 0x8000  # flags of an entry; CUDA 13 compresses with Zstandard

_LIBDEVICE_CONSTANTS = frozenset(
    {
        "0d3FE62E42FEFA39EF",
        "0d3FE921FB54442D18",
        "0d3FC5555555555511",
        "0d3FF71547652B82FE",
        "0d3FF921FB54442D18",
        "0f3C80F082",
        "0f3EAAAAAB",
        "0f3F22F983",
        "0f3F317218",
        "0f3F807B28",
        "0f3FB8AA3B",
        "0f3FD774EB",
        "0f4038AA3B",
        "0f40490FDB",
        "0f4B400001",
        "0fBD24D99A",
        "0fBFC90FDA",
        "0fCB40007F",
    }
)
"""Constants of which each mathematical function of libdevice has one in its PTX.

They were found by compiling a kernel for each of the 51 functions that are more than an instruction
(logf to atan2f, log to atan2) with nvcc 12.4 and 13.5. They are mathematical constants, such as
ln 2, so that other code may contain them, too: what is reported may not be libdevice.
"""


@dataclass(frozen=True)
class Entry:
    """The kernels of a container that are for one architecture."""

    offset: int
    """Its place in the file, in bytes."""
    kind: int
    """1 for PTX, 2 for machine code."""
    architecture: int
    flags: int
    compressed: int
    """The bytes of a compressed entry."""
    size: int
    """The bytes of a compressed entry's content."""
    data: bytes


def gpu_code(content: bytes) -> frozenset[str]:
    """Return the GPUs that the CUDA kernels in a file are for: `sm_75`, `compute_90` (PTX)."""
    containers = {
        f"{_KINDS[entry.kind]}_{entry.architecture}"
        for entry in entries(content)
        if entry.kind in _KINDS
    }
    plain = {f"compute_{_TARGET.findall(ptx)[0]}" for ptx in plain_ptx(content)}
    return frozenset(containers | plain)


def libdevice(content: bytes) -> frozenset[str]:
    """Return the traces of libdevice, NVIDIA's mathematical library, in a file's CUDA kernels.

    nvcc compiles the library's functions into the kernels that call them: as functions of the PTX,
    such as `__internal_accurate_pow`, or inlined, which leaves their constants.
    """
    traces: set[str] = set()
    for ptx in _ptx(content):
        traces.update(library_functions(ptx))
        traces.update(_LIBDEVICE_CONSTANTS.intersection(re.findall(r"\b0[fd][0-9A-F]+", ptx)))
    return frozenset(traces)


def library_functions(ptx: str) -> frozenset[str]:
    """Return the functions of a compiler's library that PTX declares; their names begin with `__`.

    A function of the kernel's own, which the compiler has not inlined, has another name.
    """
    return frozenset(re.findall(r"\.func\b[^;{]*?\b(__\w+)\s*\(", ptx))


def gzipped_ptx(content: bytes) -> Iterator[str]:
    """Yield the PTX in a file that is compressed with gzip, as FFmpeg stores it."""
    at = content.find(_GZIP_MAGIC)
    while at >= 0:
        with suppress(zlib.error):  # the magic number is there by chance
            text = zlib.decompressobj(_GZIP).decompress(content[at:])
            if b".target" in text:
                yield text.decode(errors="replace")
        at = content.find(_GZIP_MAGIC, at + 1)


def plain_ptx(content: bytes) -> Iterator[str]:
    """Yield the PTX in a file that is in no container; a zero byte ends it."""
    for match in _PLAIN_PTX.finditer(content):
        text = match[0].decode(errors="replace")
        if _TARGET.search(text):
            yield text


def _ptx(content: bytes) -> Iterator[str]:
    """Yield the PTX in a file, from CUDA's containers or plain."""
    yield from plain_ptx(content)
    for entry in entries(content):
        if entry.kind != _PTX:
            continue
        data = entry.data
        if entry.flags & _LZ4:
            data = lz4.block.decompress(data[: entry.compressed], uncompressed_size=entry.size)
        elif entry.flags & _ZSTD:
            decompressor = zstandard.ZstdDecompressor()
            data = decompressor.decompress(data[: entry.compressed], max_output_size=entry.size)
        yield data.decode(errors="replace")


def entries(content: bytes) -> Iterator[Entry]:
    """Yield the entries of all CUDA containers in a file.

    nvcc's container is a header (magic number, version 1, its size 16, the size of the entries)
    and entries, each with a header that has the kind, the sizes and the architecture.
    """
    at = content.find(FATBIN_MAGIC)
    while at >= 0:
        yield from _fatbin(content, at)
        at = content.find(FATBIN_MAGIC, at + 4)


def _fatbin(content: bytes, at: int) -> Iterator[Entry]:
    """Yield the entries of a container; none if the magic number is there by chance."""
    if len(content) < at + 16:
        return
    version, size, payload = struct.unpack_from("<HHQ", content, at + 4)
    end = at + size + payload
    if (version, size) != (1, 16) or end > len(content):
        return
    at += size
    while at + 64 <= end:
        kind, _, header, length, compressed = struct.unpack_from("<HHIQI", content, at)
        (architecture,) = struct.unpack_from("<I", content, at + 28)
        flags, _, original = struct.unpack_from("<QQQ", content, at + 40)
        data = content[at + header :][:length]
        yield Entry(at, kind, architecture, flags, compressed, original, data)
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
