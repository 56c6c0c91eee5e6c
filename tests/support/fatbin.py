"""Write fat binaries of CUDA kernels, in the format of nvcc."""

import struct

from scripts.contents.gpu_code import FATBIN_MAGIC


def fatbin(*codes: tuple[int, int], data: bytes = b"kernel", flags: int = 0) -> bytes:
    """Return a fat binary with an entry for each kind and architecture.

    Args:
        codes: the kind, 1 for PTX and 2 for machine code, and the architecture of each entry.
        data: the code of each entry, compressed according to the flags.
        flags: 0x2000 for LZ4, 0x8000 for Zstandard.
    """
    entries = b""
    for kind, arch in codes:
        length = -(-len(data) // 8) * 8
        head = struct.pack("<HHIQIIHHI", kind, 0x101, 64, length, len(data), 0, 0, 0, arch)
        head = head.ljust(40, b"\0") + struct.pack("<QQQ", flags, 0, 4096)
        entries += head + data.ljust(length, b"\0")
    return FATBIN_MAGIC + struct.pack("<HHQ", 1, 16, len(entries)) + entries
