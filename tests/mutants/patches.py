"""Add faults to binary files, without a compiler."""

import gzip
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

from elftools.elf.elffile import ELFFile

from scripts.contents import gpu_code
from scripts.contents.gpu_code import FATBIN_MAGIC
from tests.support.fatbin import fatbin

Patch = Callable[[bytes], bytes]
"""A function that adds a fault to the content of a file."""

# Offsets and values of the ELF format, for 64 bits and little-endian.
_TYPE_OFFSET = 16  # e_type in the header
_TYPE_EXECUTABLE = 2  # ET_EXEC
_SEGMENT_FLAGS_OFFSET = 4  # p_flags in a program header
_READ_WRITE_EXECUTE = 7
_DYNAMIC_ENTRY_SIZE = 16  # a tag and a value, 8 bytes each
_TAG_RUNPATH = 29  # DT_RUNPATH
_BIND_NOW = {"DT_FLAGS": 8, "DT_FLAGS_1": 1}  # DF_BIND_NOW and DF_1_NOW
_TEXT_RELOCATIONS = 4  # DF_TEXTREL in DT_FLAGS

# The offset of the compute capability of the first kernel in a fat binary.
_FATBIN_HEADER_SIZE = 16
_CAPABILITY_OFFSET = 28


def rename(old: str, new: str) -> Patch:
    """Return a patch that renames a codec or symbol in a string table, keeping its length."""
    assert len(old) == len(new)

    def patch(content: bytes) -> bytes:
        patched = content.replace(f"\0{old}\0".encode(), f"\0{new}\0".encode())
        assert patched != content, f"the file has no {old} to rename"
        return patched

    return patch


def _write(content: bytes, form: str, offset: int, value: int) -> bytes:
    """Return the content with a number at an offset, packed in a `struct` format."""
    patched = bytearray(content)
    struct.pack_into(form, patched, offset, value)
    return bytes(patched)


def with_libdevice(content: bytes) -> bytes:
    """Add a kernel that calls a function of libdevice."""
    ptx = b".func (.param .b64 r) __internal_accurate_pow\n(\n.param .b64 x\n)\n;\n"
    return content + fatbin((1, 75), data=ptx)


def with_filter(ptx: str) -> Patch:
    """Return a patch that adds the PTX of a CUDA filter, compressed by gzip as in FFmpeg."""
    return lambda content: content + gzip.compress(ptx.encode())


def fixed_address(content: bytes) -> bytes:
    """Change the type of a position-independent program to a program for a fixed address."""
    return _write(content, "<H", _TYPE_OFFSET, _TYPE_EXECUTABLE)


def executable_stack(content: bytes) -> bytes:
    """Request an executable stack."""
    elf: Any = ELFFile(BytesIO(content))
    types = [segment["p_type"] for segment in elf.iter_segments()]
    header = elf["e_phoff"] + types.index("PT_GNU_STACK") * elf["e_phentsize"]
    return _write(content, "<I", header + _SEGMENT_FLAGS_OFFSET, _READ_WRITE_EXECUTE)


def _dynamic(content: bytes, tag: str) -> tuple[int, int]:
    """Return the offset and the value of an entry of the dynamic section."""
    elf: Any = ELFFile(BytesIO(content))
    section = elf.get_section_by_name(".dynamic")
    tags = [entry.entry.d_tag for entry in section.iter_tags()]
    index = tags.index(tag)
    offset = section["sh_offset"] + _DYNAMIC_ENTRY_SIZE * index
    return offset, section.get_tag(index).entry.d_val


def lazy_binding(content: bytes) -> bytes:
    """Remove the flags for binding at start, so that the relocations stay writable."""
    for tag, flag in _BIND_NOW.items():
        offset, value = _dynamic(content, tag)
        content = _write(content, "<Q", offset + 8, value & ~flag)
    return content


def text_relocations(content: bytes) -> bytes:
    """Set the flag for relocations in the code."""
    offset, value = _dynamic(content, "DT_FLAGS")
    return _write(content, "<Q", offset + 8, value | _TEXT_RELOCATIONS)


def relative_runpath(content: bytes) -> bytes:
    """Replace the DT_DEBUG entry with a RUNPATH, whose path is the name of a needed library."""
    offset, _ = _dynamic(content, "DT_DEBUG")
    _, name = _dynamic(content, "DT_NEEDED")
    return _write(_write(content, "<Q", offset, _TAG_RUNPATH), "<Q", offset + 8, name)


def other_gpu(content: bytes) -> bytes:
    """Change the architecture of the first CUDA kernel to one that no build requests, sm_61."""
    offset = content.index(FATBIN_MAGIC) + _FATBIN_HEADER_SIZE + _CAPABILITY_OFFSET
    return _write(content, "<I", offset, 61)


def without_gpu(architecture: int) -> Patch:
    """Return a patch that declares the kernels for a GPU to be for its successor."""

    def patch(content: bytes) -> bytes:
        found = [entry for entry in gpu_code.entries(content) if entry.architecture == architecture]
        assert found, f"no kernel is for {architecture}"
        for entry in found:
            offset = entry.offset + _CAPABILITY_OFFSET
            content = _write(content, "<I", offset, architecture + 1)
        return content

    return patch


def other_gfx(content: bytes) -> bytes:
    """Change the architecture of a HIP kernel to one that no build requests, gfx90c."""
    patched = content.replace(b"amdhsa--gfx90a", b"amdhsa--gfx90c")
    assert patched != content, "the file has no gfx90a to rename"
    return patched
