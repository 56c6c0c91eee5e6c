"""What is read from ELF files, from the loader's cache and from CUDA's containers."""

import gzip
import platform
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import lz4.block
import pytest
import zstandard

from scripts.contents import elf, gpu_code
from tests.support.fatbin import fatbin

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc on this machine")

HARDENED = ("-fPIC", "-shared", "-Wl,-z,relro,-z,now,-z,noexecstack")


def build(directory: Path, *flags: str, source: str = "int one(void) { return 1; }") -> elf.Elf:
    """Compile one file and read it."""
    (directory / "one.c").write_text(source)
    out = directory / "libone.so"
    subprocess.run(["gcc", "-o", out, *flags, directory / "one.c"], check=True)
    found = elf.read("/usr/lib/libone.so", out.read_bytes())
    assert found
    return found


def test_python_needs_the_c_library() -> None:
    """The Python interpreter is read as an ELF file that needs the C library."""
    found = elf.read(sys.executable, Path(sys.executable).resolve().read_bytes())
    assert found
    assert "libc.so.6" in found.needed


@needs_gcc
def test_names_and_search_path_are_read(tmp_path: Path) -> None:
    """SONAME, NEEDED, RUNPATH and the exported names of an ELF file are read."""
    flags = ("-Wl,-soname,libone.so.1", "-Wl,--no-as-needed", "-lm")
    found = build(tmp_path, *HARDENED, *flags, "-Wl,-rpath,/build/lib:$ORIGIN")
    assert found.soname == "libone.so.1"
    assert "libm.so.6" in found.needed
    assert found.search == ["/build/lib", "$ORIGIN"]
    offered = elf.exports((tmp_path / "libone.so").read_bytes())
    assert "one" in offered
    assert "printf" not in offered


@needs_gcc
def test_object_file_is_not_read(tmp_path: Path) -> None:
    """An object file is not read as a program or a library, as nothing loads it."""
    (tmp_path / "one.c").write_text("int one;")
    subprocess.run(["gcc", "-c", "-o", tmp_path / "one.o", tmp_path / "one.c"], check=True)
    assert elf.read("/one.o", (tmp_path / "one.o").read_bytes()) is None


@needs_gcc
@pytest.mark.parametrize(
    ("flags", "flaw"),
    [
        (HARDENED, ""),
        ((*HARDENED, "-Wl,-z,lazy"), "RELRO"),
        ((*HARDENED, "-Wl,-z,norelro"), "RELRO"),
        ((*HARDENED, "-Wl,-z,execstack"), "executable stack"),
        (("-no-pie", "-Wl,-z,relro,-z,now"), "fixed address"),
    ],
    ids=["none", "lazy binding", "no relro", "executable stack", "no pie"],
)
def test_missing_hardening_is_a_flaw(tmp_path: Path, flags: tuple[str, ...], flaw: str) -> None:
    """Lazy binding, missing RELRO, an executable stack and a fixed address are flaws."""
    found = build(tmp_path, *flags, source="int main(void) { return 0; }")
    assert [flaw in text for text in found.flaws] == ([True] if flaw else [])


@needs_gcc
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the instruction is x86's")
def test_relocations_in_code_are_a_flaw(tmp_path: Path) -> None:
    """Relocations in code, which programs cannot share, are a flaw of a library."""
    source = '__asm__(".globl f\\nf: movabs $f, %rax\\nret\\n.section .note.GNU-stack");'
    flags = (*HARDENED, "-Wl,-z,notext")
    assert any("TEXTREL" in flaw for flaw in build(tmp_path, *flags, source=source).flaws)


def loader_cache(libraries: dict[str, str]) -> bytes:
    """Return an /etc/ld.so.cache as ldconfig writes it."""
    entries, text = b"", b""
    start = 48 + 24 * len(libraries)
    for name, path in libraries.items():
        places = start + len(text), start + len(text) + len(name) + 1
        entries += struct.pack("<iIIIQ", 0x303, *places, 0, 0)
        text += f"{name}\0{path}\0".encode()
    head = b"glibc-ld.so.cache1.1" + struct.pack("<II", len(libraries), len(text))
    return head.ljust(48, b"\0") + entries + text


def test_cache_of_the_loader_is_read() -> None:
    """The loader's cache gives the path of each library; another file gives none."""
    libraries = {"libvmaf.so.3": "/usr/local/lib/libvmaf.so.3", "libc.so.6": "/lib/libc.so.6"}
    assert elf.cached_libraries(loader_cache(libraries)) == libraries
    assert elf.cached_libraries(b"") == {}


def test_libraries_are_searched_as_by_the_loader() -> None:
    """A library is searched in RUNPATH, the loader's cache and its default directories."""
    found = elf.Elf(
        path="/opt/app/bin/app",
        machine="EM_X86_64",
        soname="",
        needed=["libown.so", "libcached.so", "libc.so.6", "libstale.so", "libelsewhere.so"],
        search=["$ORIGIN/../lib"],
        flaws=[],
    )
    cache = {"libcached.so": "/usr/local/lib/libcached.so", "libstale.so": "/gone/libstale.so"}
    files = {
        "/opt/app/bin/../lib/libown.so",
        "/usr/local/lib/libcached.so",
        "/usr/local/lib/libelsewhere.so",
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
    }
    missing = elf.unresolved(found, cache, files.__contains__)
    assert missing == ["libstale.so", "libelsewhere.so"]


def test_gpus_of_cuda_kernels_are_read() -> None:
    """The GPUs of all CUDA containers in a file are read, of machine code and of PTX."""
    content = b"code" + fatbin((2, 75), (2, 80)) + b"data" + fatbin((1, 90), (9, 1)) + b"end"
    assert gpu_code.gpu_code(content) == {"sm_75", "sm_80", "compute_90"}


@pytest.mark.parametrize(
    "content",
    [b"", gpu_code.FATBIN_MAGIC, gpu_code.FATBIN_MAGIC + bytes(40), fatbin((2, 75))[:-1]],
    ids=["nothing", "end of file", "other header", "cut off"],
)
def test_incomplete_cuda_container_has_no_gpu(content: bytes) -> None:
    """The magic number of a CUDA container, or a truncated container, is no GPU code."""
    assert gpu_code.gpu_code(content) == frozenset()


COMPRESSIONS: Mapping[str, tuple[int, Callable[[bytes], bytes]]] = {
    "plain": (0, bytes),
    "LZ4": (0x2000, lambda text: lz4.block.compress(text, store_size=False)),
    "Zstandard": (0x8000, lambda text: zstandard.ZstdCompressor().compress(text)),
}
"""The flag of an entry, and how its PTX is compressed."""
CALL = b".func (.param .b64 r) __internal_accurate_pow\n(\n.param .b64 x\n)\n;\n"


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(
    ("ptx", "traces"),
    [
        (b".visible .entry k(\n)\n{ fma.rn.f32 %f2, %f1, 0f40000000, 0f38000000; }", set()),
        (CALL, {"__internal_accurate_pow"}),
        (b".func (.param .b32 r) clamp(\n.param .b32 x\n)\n{ }", set()),
        (b"fma.rn.f32 %f2, %f1, 0f3FB8AA3B, %f1;", {"0f3FB8AA3B"}),
    ],
    ids=["the kernel's own code", "function", "the kernel's own function", "inlined function"],
)
def test_libdevice_is_found_in_compressed_ptx(
    compression: str, ptx: bytes, traces: set[str]
) -> None:
    """Libdevice's functions are found in PTX, called or inlined, however it is compressed."""
    flag, compress = COMPRESSIONS[compression]
    content = b"code" + fatbin((1, 90), data=compress(ptx), flags=flag) + fatbin((2, 90))
    assert gpu_code.libdevice(content) == traces


def test_ptx_without_a_container_is_read() -> None:
    """PTX as text, which clang's build of libvmaf embeds, is read up to the zero byte."""
    ptx = b"//\n.version 6.3\n.target sm_75\nfma.rn.f32 %f2, %f1, 0f3FB8AA3B, %f1;\n"
    content = b"\x7fELF\0" + ptx + b"\0.gnu.version \0.version 1\n\0" + fatbin((2, 90))
    assert gpu_code.gpu_code(content) == {"compute_75", "sm_90"}
    assert gpu_code.libdevice(content) == {"0f3FB8AA3B"}
    assert list(gpu_code.plain_ptx(content)) == [ptx.decode().removeprefix("//\n")]


def test_ptx_in_gzip_is_read() -> None:
    """PTX that is compressed with gzip is read wherever it is in a file, and other data is not."""
    ptx = ".version 4.2\n.target sm_30\n"
    other = gzip.compress(b"text")
    content = b"code\x1f\x8b\x08" + gzip.compress(ptx.encode()) + other + bytes(8)
    assert list(gpu_code.gzipped_ptx(content)) == [ptx]


def bundle(*codes: tuple[str, bytes]) -> bytes:
    """Return clang's bundle with an entry for each target and its code."""
    size = 32 + sum(24 + len(target) for target, _ in codes)
    entries, code = b"", b""
    for target, content in codes:
        entries += struct.pack("<QQQ", size + len(code), len(content), len(target))
        entries += target.encode()
        code += content
    return gpu_code.BUNDLE_MAGIC + struct.pack("<Q", len(codes)) + entries + code


def hip(gfx: str, code: bytes = elf.MAGIC + b"kernel") -> tuple[str, bytes]:
    """Return the entry of one GPU."""
    return f"hipv4-amdgcn-amd-amdhsa--{gfx}", code


def test_gpus_of_hip_kernels_are_read() -> None:
    """The GPUs of all HIP bundles in a file are read, without the empty entry of the host."""
    host = ("host-x86_64-unknown-linux-gnu-", b"")
    two = bundle(host, hip("gfx90a"), hip("gfx1030"))
    content = b"code" + two + b"data" + bundle(hip("gfx906"))
    assert gpu_code.hip_code(content) == {"gfx90a", "gfx1030", "gfx906"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        gpu_code.BUNDLE_MAGIC,
        gpu_code.BUNDLE_MAGIC + b"\1" * 20,
        bundle(hip("gfx906"))[:-1],
        bundle(hip("gfx906", b"")),
        bundle(hip("gfx906", b"no ELF file")),
    ],
    ids=["nothing", "end of file", "nonsense", "cut off", "no code", "other code"],
)
def test_hip_target_without_code_has_no_gpu(content: bytes) -> None:
    """A target without code in a HIP bundle, or a truncated bundle, is no GPU code."""
    assert gpu_code.hip_code(content) == frozenset()
