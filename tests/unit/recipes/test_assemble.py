"""The list of packages that assemble.sh writes for an image."""

from pathlib import Path

from scripts.core import process
from scripts.core.paths import ROOT

RECIPE = ROOT / "docker" / "recipes" / "assemble" / "assemble.sh"


def test_list_has_the_packages_that_no_elf_file_names(tmp_path: Path) -> None:
    """The list has the packages of ELF files, of components that list theirs, and `opened`.

    The loader finds the libraries of a component that lists its packages by their stubs, as the
    libraries themselves were built on another release of Debian.
    """
    for component, names in {
        "ffmpeg": {"runtime/lib": "", "opened": "ca-certificates\nlibvulkan1\n"},
        "hip-smoke": {"runtime/lib": "", "packages": "libamdhip64-6/testing\n"},
    }.items():
        for name, text in names.items():
            path = tmp_path / "in" / component / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for name, script in {
        "packages.sh": 'echo "of ${*##*/in/}, with ${LD_LIBRARY_PATH##*/in/}"',
        "versions.sh": 'echo "{}" >"$1"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    text = RECIPE.read_text()
    for old, new in {
        "/run/recipes/assemble/": f"{tmp_path}/",
        "/in/$component": f"{tmp_path}/in/$component",
        "/out": f"{tmp_path}/out",
    }.items():
        assert old in text
        text = text.replace(old, new)
    ran = process.run("sh", "-c", text, "sh", "ffmpeg", "hip-smoke")
    assert not ran.returncode, ran.stderr
    assert (tmp_path / "out" / "packages").read_text().splitlines() == [
        "of ffmpeg/runtime, with hip-smoke/interface/usr/local/lib",
        "ca-certificates",
        "libvulkan1",
        "libamdhip64-6/testing",
    ]
