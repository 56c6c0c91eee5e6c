"""Read ELF files: needed libraries, exported symbols, and hardening."""

import posixpath
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

MAGIC = b"\x7fELF"

DEFAULT_DIRECTORIES = (
    *(f"{lib}/{name}-linux-gnu" for name in ("x86_64", "aarch64") for lib in ("/lib", "/usr/lib")),
    *("/lib", "/usr/lib"),
)
"""The directories that Debian's loaders search after /etc/ld.so.cache."""

_EXECUTABLE = 1  # PF_X
_NOW = 1  # DF_1_NOW
_BIND_NOW = 8  # DF_BIND_NOW
_TEXTREL = 4  # DF_TEXTREL


@dataclass(frozen=True)
class Elf:
    """A program or shared library."""

    path: str
    machine: str
    """The processor, such as `EM_X86_64`."""
    soname: str
    needed: Sequence[str]
    search: Sequence[str]
    """The directories of RPATH and RUNPATH."""
    flaws: Sequence[str]
    """The missing hardening, one phrase each."""


def read(path: str, content: bytes) -> Elf | None:
    """Read a program or library; return None for any other ELF file, such as an object."""
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
        machine=elf["e_machine"],
        soname=dynamic["DT_SONAME"][0].soname if "DT_SONAME" in dynamic else "",
        needed=[tag.needed for tag in dynamic.get("DT_NEEDED", ())],
        search=[directory for entry in search for directory in entry.split(":")],
        flaws=list(_flaws(elf["e_type"], segments, values)),
    )


def sections(content: bytes) -> Iterator[tuple[str, memoryview]]:
    """Yield the name and content of each section; yield nothing if the file is not valid ELF."""
    view = memoryview(content)  # avoids a copy of a large library
    try:
        elf: Any = ELFFile(BytesIO(content))
        for section in elf.iter_sections():
            if section["sh_type"] not in ("SHT_NULL", "SHT_NOBITS"):
                yield section.name, view[section["sh_offset"] :][: section["sh_size"]]
    except ELFError:
        return


def exports(content: bytes) -> frozenset[str]:
    """Return the symbols that a shared library exports."""
    elf: Any = ELFFile(BytesIO(content))
    symbols = elf.get_section_by_name(".dynsym")
    return frozenset(
        symbol.name
        for symbol in (symbols.iter_symbols() if symbols else ())
        if symbol["st_shndx"] != "SHN_UNDEF"
    )


def _flaws(kind: str, segments: Mapping[str, Any], dynamic: Mapping[str, int]) -> Iterator[str]:
    """Yield the missing hardening."""
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
    """Return the paths in /etc/ld.so.cache by library name.

    glibc's format is a magic number, the number of entries, and 24 bytes for each entry, with
    the offsets of its name and path.
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
    """Return the needed libraries that the loader cannot load.

    The loader searches the RPATH or RUNPATH of the file, its cache, and the default directories.
    """
    origin = posixpath.dirname(elf.path)
    directories = [directory.replace("$ORIGIN", origin) for directory in elf.search]
    return [
        name
        for name in elf.needed
        if not exists(cache.get(name, "/nowhere"))
        and not any(
            exists(posixpath.join(directory, name))
            for directory in (*directories, *DEFAULT_DIRECTORIES)
        )
    ]
