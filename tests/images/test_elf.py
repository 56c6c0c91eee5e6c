"""Programs and libraries."""

import posixpath
import re

from scripts.contents import elf
from tests.support.subject import PREFIX, Subject

DRIVER = re.compile(r"lib(cuda|nvcuvid|nvidia-[\w-]+)\.so\.1")
"""NVIDIA's driver. Its container toolkit mounts it from the host; no image has it."""


def test_needed_libraries_are_present(image: Subject) -> None:
    """The loader finds every library that an ELF file needs, except NVIDIA's driver."""
    cache = elf.cached_libraries(image.read("/etc/ld.so.cache"))
    missing = [
        f"{file.path} needs {name}"
        for file in image.elves
        for name in elf.unresolved(file, cache, image.exists)
        if not DRIVER.fullmatch(name)
    ]
    assert not missing, "\n".join(missing)


def test_symbols_resolve(image: Subject) -> None:
    """Every symbol that the project's programs and libraries need is present.

    FFmpeg is linked against an interface-only libvmaf, which must offer nothing that the
    real one lacks; and no stage may have built with a newer libc than the image's.
    """
    paths = " ".join(file.path for file in image.project_elves)
    output = image.host.run(f"for file in {paths}; do ldd -r $file 2>&1; done").stdout
    assert "libc.so.6" in output, f"ldd lists no library: {output!r}"
    errors = ("undefined symbol", "' not found (required by")
    undefined = [line for line in output.splitlines() if any(error in line for error in errors)]
    assert not undefined, "\n".join(undefined)


def test_project_binaries_are_hardened(image: Subject) -> None:
    """The project's binaries have full RELRO and are position-independent, without TEXTREL.

    Their stack is not executable either.
    """
    flaws = [f"{file.path} {flaw}" for file in image.project_elves for flaw in file.flaws]
    assert not flaws, "\n".join(flaws)


def test_project_binaries_search_only_the_prefix(image: Subject) -> None:
    """The project's binaries have no RUNPATH outside /usr/local.

    It would be a directory of the build, and a user who can create it could plant a library.
    """
    outside = [
        f"{file.path} searches {directory!r}"
        for file in image.project_elves
        for directory in file.search
        if not directory.startswith(("$ORIGIN", PREFIX))
    ]
    assert not outside, "\n".join(outside)


def test_libvmaf_is_one_file_with_links(image: Subject) -> None:
    """libvmaf.so and its SONAME are links to one file."""
    name = PREFIX + "lib/libvmaf.so"
    real = image.saved.resolve(name)
    library = elf.read(real, image.read(real))
    assert library
    assert re.fullmatch(r"libvmaf\.so\.\d+", library.soname)
    for link in (name, posixpath.join(PREFIX, "lib", library.soname)):
        _, entry = image.saved.merged[link]
        assert entry.link, f"{link} is a copy instead of a symbolic link"
        assert image.saved.resolve(link) == real
