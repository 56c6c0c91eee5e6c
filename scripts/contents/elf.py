"""What an ELF file says of itself: what it needs, what it offers, how it is hardened."""

import posixpath
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

MAGIC = b"\x7fELF"

DEFAULT_FOLDERS = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib")
"""Where Debian's loader looks for what is not in /etc/ld.so.cache."""

_EXECUTABLE = 1  # PF_X
_NOW = 1  # DF_1_NOW
_BIND_NOW = 8  # DF_BIND_NOW
_TEXTREL = 4  # DF_TEXTREL


@dataclass(frozen=True)
class Elf:
    """One program or shared library."""

    path: str
    soname: str
    needed: Sequence[str]
    search: Sequence[str]
    """Its RPATH and RUNPATH."""
    flaws: Sequence[str]
    """The hardening it lacks, a sentence each."""


def read(path: str, content: bytes) -> Elf | None:
    """Return what the ELF file says of itself, or None for a file that the loader never loads."""
    elf: Any = ELFFile(BytesIO(content))
    if elf["e_type"] not in ("ET_EXEC", "ET_DYN"):
        return None
    segments = {segment["p_type"]: segment for segment in elf.iter_segments()}
    dynamic: dict[str, list[Any]] = {}
    for tag in segments["PT_DYNAMIC"].iter_tags() if "PT_DYNAMIC" in segments else ():
        dynamic.setdefault(tag.entry.d_tag, []).append(tag)
    search = [tag.runpath for tag in dynamic.get("DT_RUNPATH", ())]
    search += [tag.rpath for tag in dynamic.get("DT_RPATH", ())]
    values = {name: tags[0].entry.d_val for name, tags in dynamic.items()}
    return Elf(
        path=path,
        soname=dynamic["DT_SONAME"][0].soname if "DT_SONAME" in dynamic else "",
        needed=[tag.needed for tag in dynamic.get("DT_NEEDED", ())],
        search=[folder for entry in search for folder in entry.split(":")],
        flaws=list(_flaws(elf["e_type"], segments, values)),
    )


def sections(content: bytes) -> Iterator[tuple[str, memoryview]]:
    """Yield the sections that have a content, by their names; none of what is no ELF file."""
    view = memoryview(content)  # the largest libraries are not to be held twice
    try:
        elf: Any = ELFFile(BytesIO(content))
        for section in elf.iter_sections():
            if section["sh_type"] not in ("SHT_NULL", "SHT_NOBITS"):
                yield section.name, view[section["sh_offset"] :][: section["sh_size"]]
    except ELFError:
        return


def exports(content: bytes) -> frozenset[str]:
    """Return the names that a shared library offers."""
    elf: Any = ELFFile(BytesIO(content))
    symbols = elf.get_section_by_name(".dynsym")
    return frozenset(
        symbol.name
        for symbol in (symbols.iter_symbols() if symbols else ())
        if symbol["st_shndx"] != "SHN_UNDEF"
    )


def _flaws(kind: str, segments: Mapping[str, Any], dynamic: Mapping[str, int]) -> Iterator[str]:
    """Yield the hardening that is missing, a sentence each."""
    flags, flags_1 = dynamic.get("DT_FLAGS", 0), dynamic.get("DT_FLAGS_1", 0)
    if kind == "ET_EXEC":
        yield "is loaded at a fixed address (not PIE)"
    stack = segments.get("PT_GNU_STACK")
    if stack is None or stack["p_flags"] & _EXECUTABLE:
        yield "has an executable stack"
    now = "DT_BIND_NOW" in dynamic or flags & _BIND_NOW or flags_1 & _NOW
    if dynamic and not ("PT_GNU_RELRO" in segments and now):
        yield "leaves its relocations writable (not full RELRO)"
    if "DT_TEXTREL" in dynamic or flags & _TEXTREL:
        yield "has relocations in its code (TEXTREL)"


def cached_libraries(cache: bytes) -> dict[str, str]:
    """Return the paths of /etc/ld.so.cache by library name: what ldconfig found.

    The format is glibc's: a magic, the number of entries, 24 bytes for each,
    with two offsets into the file where the name and the path stand.
    """
    start = cache.find(b"glibc-ld.so.cache1.1")
    if start < 0:
        return {}

    def text(offset: int) -> str:
        offset += start
        return cache[offset : cache.index(b"\0", offset)].decode()

    (count,) = struct.unpack_from("<I", cache, start + 20)
    entries = struct.iter_unpack("<iIIIQ", cache[start + 48 :][: 24 * count])
    return {text(name): text(path) for _, name, path, _, _ in entries}


def unresolved(elf: Elf, cache: Mapping[str, str], exists: Callable[[str], bool]) -> list[str]:
    """Return the libraries that the loader would not find for this file.

    It looks in the file's own search path, in the cache, in the default folders.
    """
    origin = posixpath.dirname(elf.path)
    folders = [folder.replace("$ORIGIN", origin) for folder in elf.search]
    return [
        name
        for name in elf.needed
        if not exists(cache.get(name, "/nowhere"))
        and not any(exists(posixpath.join(folder, name)) for folder in (*folders, *DEFAULT_FOLDERS))
    ]


FATBIN_MAGIC = struct.pack("<I", 0xBA55ED50)
_KINDS = {1: "compute", 2: "sm"}  # PTX, for any newer GPU; machine code, for one


def gpu_code(content: bytes) -> frozenset[str]:
    """Return the GPUs that the CUDA kernels in a file are for: `sm_75`, `compute_90` (PTX).

    nvcc's container is a header (magic, version 1, its size 16, the size of
    what follows) and entries, each with a header of its own that holds the
    kind, the sizes and the architecture.
    """
    found = set()
    at = content.find(FATBIN_MAGIC)
    while at >= 0:
        found |= set(_fatbin(content, at))
        at = content.find(FATBIN_MAGIC, at + 4)
    return frozenset(found)


def _fatbin(content: bytes, at: int) -> Iterable[str]:
    """Yield what the container at one place is for; nothing if the magic stood there by chance."""
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

    clang's bundle is a magic, the number of entries, and for each of them the
    place and size of an ELF file, counted from the magic, and its target.
    """
    found = set()
    at = content.find(BUNDLE_MAGIC)
    while at >= 0:
        found |= set(_bundle(content, at))
        at = content.find(BUNDLE_MAGIC, at + 1)
    return frozenset(found)


def _bundle(content: bytes, start: int) -> Iterable[str]:
    """Yield what the bundle at one place is for: targets whose code is really there."""
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
