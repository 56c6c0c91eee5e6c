"""Every program and library loads, and ours are hardened the way Debian's are."""

import posixpath
import re

from scripts.contents import elf
from tests.support.subject import OURS, Subject

DRIVER = re.compile(r"lib(cuda|nvcuvid|nvidia-[\w-]+)\.so\.1")
"""NVIDIA's driver: on the host, mounted by its container toolkit, never in an image."""


def test_every_library_resolves(image: Subject) -> None:
    """The loader finds all that any ELF file needs; the driver's libraries alone may be absent."""
    cache = elf.cached_libraries(image.read("/etc/ld.so.cache"))
    missing = [
        f"{one.path} needs {name}"
        for one in image.elves
        for name in elf.unresolved(one, cache, image.exists)
        if not DRIVER.fullmatch(name)
    ]
    assert not missing, "\n".join(missing)


def test_every_symbol_resolves(image: Subject) -> None:
    """Real libvmaf has what its stand-in promised FFmpeg, and no builder had a newer libc."""
    paths = " ".join(one.path for one in image.our_elves)
    told = image.host.run(f"for file in {paths}; do ldd -r $file 2>&1; done").stdout
    assert "libc.so.6" in told, f"ldd told nothing: {told}"
    signs = ("undefined symbol", "' not found (required by")
    undefined = [line for line in told.splitlines() if any(sign in line for sign in signs)]
    assert not undefined, "\n".join(undefined)


def test_ours_are_hardened(image: Subject) -> None:
    """Full RELRO, no executable stack, no code that is written to, no fixed address."""
    flaws = [f"{one.path} {flaw}" for one in image.our_elves for flaw in one.flaws]
    assert not flaws, "\n".join(flaws)


def test_ours_search_no_folder_of_the_build(image: Subject) -> None:
    """A RUNPATH outside /usr/local is a folder of the build, and anyone's who can make it."""
    found = [
        f"{one.path} searches {folder!r}"
        for one in image.our_elves
        for folder in one.search
        if not folder.startswith(("$ORIGIN", OURS))
    ]
    assert not found, "\n".join(found)


def test_libvmaf_is_one_file_with_a_chain_of_names(image: Subject) -> None:
    """Programs ask for the SONAME, compilers for libvmaf.so: both are links to the one library."""
    name = OURS + "lib/libvmaf.so"
    real = image.saved.resolve(name)
    library = elf.read(real, image.read(real))
    assert library
    assert re.fullmatch(r"libvmaf\.so\.\d+", library.soname)
    for link in (name, posixpath.join(OURS, "lib", library.soname)):
        _, entry = image.saved.merged[link]
        assert entry.link, f"{link} is no symbolic link but a copy"
        assert image.saved.resolve(link) == real
