"""Small faults in ELF files, made where no compiler is at hand."""

import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

from elftools.elf.elffile import ELFFile

from scripts.contents.elf import FATBIN_MAGIC

Patch = Callable[[bytes], bytes]

_EXEC = 2  # ET_EXEC
_TYPE = 16  # where e_type stands


def rename(old: str, new: str) -> Patch:
    """Give a name in a string table, a codec's or a symbol's, another of the same length."""
    assert len(old) == len(new)

    def patch(content: bytes) -> bytes:
        patched = content.replace(f"\0{old}\0".encode(), f"\0{new}\0".encode())
        assert patched != content, f"no {old} to rename"
        return patched

    return patch


def _put(content: bytes, form: str, offset: int, value: int) -> bytes:
    patched = bytearray(content)
    struct.pack_into(form, patched, offset, value)
    return bytes(patched)


def fixed_address(content: bytes) -> bytes:
    """Make a position-independent file one with a fixed address."""
    return _put(content, "<H", _TYPE, _EXEC)


def executable_stack(content: bytes) -> bytes:
    """Ask for a stack that can be executed."""
    elf: Any = ELFFile(BytesIO(content))
    kinds = [segment["p_type"] for segment in elf.iter_segments()]
    header = elf["e_phoff"] + kinds.index("PT_GNU_STACK") * elf["e_phentsize"]
    return _put(content, "<I", header + 4, 7)


def _dynamic(content: bytes, tag: str) -> tuple[int, int]:
    """Return where an entry of the dynamic section stands, and its value."""
    elf: Any = ELFFile(BytesIO(content))
    section = elf.get_section_by_name(".dynamic")
    names = [entry.entry.d_tag for entry in section.iter_tags()]
    at = names.index(tag)
    return section["sh_offset"] + 16 * at, section.get_tag(at).entry.d_val


def lazy_binding(content: bytes) -> bytes:
    """Take the wish to be bound at start away, which leaves the relocations writable."""
    for tag, now in (("DT_FLAGS", 8), ("DT_FLAGS_1", 1)):
        offset, value = _dynamic(content, tag)
        content = _put(content, "<Q", offset + 8, value & ~now)
    return content


def text_relocations(content: bytes) -> bytes:
    """Claim relocations in the code."""
    offset, value = _dynamic(content, "DT_FLAGS")
    return _put(content, "<Q", offset + 8, value | 4)


def relative_runpath(content: bytes) -> bytes:
    """Turn a program's place for its debugger into a RUNPATH, with a needed library's name."""
    offset, _ = _dynamic(content, "DT_DEBUG")
    _, name = _dynamic(content, "DT_NEEDED")
    return _put(_put(content, "<Q", offset, 29), "<Q", offset + 8, name)


def other_gpu(content: bytes) -> bytes:
    """Say of the first kernel that it is for a GPU that nobody asked for."""
    return _put(content, "<I", content.index(FATBIN_MAGIC) + 16 + 28, 61)


def other_gfx(content: bytes) -> bytes:
    """Say of one HIP kernel that it is for a GPU that nobody asked for."""
    patched = content.replace(b"amdhsa--gfx90a", b"amdhsa--gfx90c")
    assert patched != content, "no gfx90a to rename"
    return patched
