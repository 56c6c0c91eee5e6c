"""The packages that packages.sh finds from the names in ELF files, without running any."""

from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.paths import ROOT

RECIPE = ROOT / "docker" / "recipes" / "assemble" / "packages.sh"
NATIVE, FOREIGN = "elf64-x86-64", "elf64-little"

PROGRAMS = {
    # objdump prints what a file of this test says about itself
    "objdump": """
grep -q '^format ' "$2" || exit 1
sed -n "s,^format ,$2:     file format ,p" "$2"
[ "$1" = -f ] || sed -n 's/^needed /  NEEDED  /p; s/^runpath /  RUNPATH  /p' "$2"
""",
    # the package of /lib/NAME is NAME's first word
    "dpkg-query": r"""
[ "$1" = -S ] || { echo base; exit; }
shift
for path; do
    case $path in */system/*) echo "$(basename "$path" | sed 's/\..*//'):arm64: $path" ;; esac
done
""",
}


class World:
    """A directory with ELF files, and the programs that packages.sh runs."""

    def __init__(self, directory: Path) -> None:
        """Write the programs."""
        self.directory = directory
        for name, script in PROGRAMS.items():
            path = directory / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/sh\n{script}")
            path.chmod(0o755)

    def write(self, path: str, *lines: str, elf_format: str = FOREIGN) -> None:
        """Write an ELF file: its format, and lines such as `needed libx.so.1`."""
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join([f"format {elf_format}", *lines]) + "\n")
        file.chmod(0o755)

    def run(self, *arguments: str) -> process.CompletedProcess[str]:
        """Run packages.sh on `root`; the loader searches `other`, then `system`."""
        text = RECIPE.read_text()
        for old, new in {
            "/tmp/": f"{self.directory}/",  # noqa: S108 - replaced
            "'^/(usr/)?lib(64)?/'": f"'^{self.directory}/system/'",
            "/,/usr/,": "/,/,",
            "/usr/local/lib ": f"{self.directory}/root/lib ",
        }.items():
            assert old in text
            text = text.replace(old, new)
        searched = f"{self.directory}/other:{self.directory}/system"
        environment = {"PATH": f"{self.directory}/bin:/usr/bin:/bin", "LD_LIBRARY_PATH": searched}
        command = ("sh", "-c", text, "sh", *arguments, str(self.directory / "root"))
        return process.run(*command, env=environment)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a root with a program that needs a library, which needs another one."""
    world = World(tmp_path)
    world.write("root/bin/program", "needed libdirect.so.1", "needed libown.so.1")
    world.write("root/lib/libown.so.1", "needed libfar.so.2")
    world.write("system/libdirect.so.1", "needed libindirect.so.1")
    world.write("system/libindirect.so.1")
    world.write("system/libfar.so.2")
    return world


def test_packages_are_those_of_all_needed_libraries(world: World) -> None:
    """The list has the packages of the needed libraries, and of those that they need."""
    ran = world.run()
    assert not ran.returncode, ran.stderr
    assert ran.stdout.split() == ["libdirect", "libfar", "libindirect"]


def test_library_is_of_the_files_format(world: World) -> None:
    """A library of another architecture does not count, although it is found first."""
    world.write("other/libdirect.so.1", elf_format=NATIVE)
    assert "libdirect" in world.run().stdout.split()
    (world.directory / "system" / "libdirect.so.1").unlink()
    ran = world.run()
    assert ran.returncode
    assert "program needs libdirect.so.1, which is not found" in ran.stderr


def test_runpath_is_searched(world: World) -> None:
    """A library is also found in the directory that the file names, relative to itself."""
    world.write("system/private/libprivate.so.1")
    world.write(
        "root/bin/program", "needed libprivate.so.1", "runpath $ORIGIN/../../system/private"
    )
    assert "libprivate" in world.run().stdout.split()


def test_scripts_are_skipped(world: World) -> None:
    """An executable script is no ELF file and needs nothing."""
    script = world.directory / "root" / "bin" / "script"
    script.write_text("#!/bin/sh\nneeded libnothing.so.1\n")
    script.chmod(0o755)
    assert not world.run().returncode


def test_packages_of_the_base_are_left_out(world: World) -> None:
    """With --testing, packages of the image's base are left out, and others are from testing."""
    world.write("root/bin/program", "needed base.so.1", "needed libfar.so.2")
    world.write("system/base.so.1")
    ran = world.run("--testing", "/run/dpkg")
    assert ran.stdout.split() == ["libfar/testing"]
