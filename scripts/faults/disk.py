"""A small disk for the data of a BuildKit, which can be filled up: a loop device."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.core import process
from scripts.core.console import UserError
from scripts.core.mounted import unmount
from scripts.images.sizes import GIGABYTE

BYTES = 10 * GIGABYTE
"""The size of the disk. The file is sparse: it takes as much as the builds write."""
_PIECES = (2**30, 2**24, 2**16)


@dataclass(frozen=True)
class Disk:
    """A file system in a file."""

    directory: Path
    """The directory with the file, and the mount point."""

    @property
    def mount(self) -> Path:
        """The mount point."""
        return self.directory / "disk"

    @property
    def ballast(self) -> Path:
        """The file that fills the disk up."""
        return self.mount / "ballast"

    def fill(self) -> int:
        """Fill the disk up; return the bytes that this took."""
        end = 0
        with self.ballast.open("wb") as file:
            for size in _PIECES:
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), end, size)
                        end += size
        return end

    def free(self) -> None:
        """Remove what fills the disk up."""
        self.ballast.unlink(missing_ok=True)


@contextmanager
def mounted(directory: Path) -> Iterator[Disk]:
    """Make and mount a disk in a directory, and remove it.

    Raises:
        UserError: there is no space for the disk, or it cannot be made or mounted.
    """
    if (free := shutil.disk_usage(directory).free) < BYTES:
        raise UserError(
            "not enough disk space for the faults",
            f"{free / GIGABYTE:.1f} GB are free in {directory.parent}",
            f"Free {BYTES / GIGABYTE:.0f} GB, or set TMPDIR to a directory that has them.",
        )
    disk = Disk(directory)
    disk.mount.mkdir(parents=True)
    image = directory / "disk.img"
    with image.open("wb") as file:
        file.truncate(BYTES)
    try:
        _run("mkfs.ext4", "-q", "-m", "0", str(image))
        _run("mount", "-o", "loop", str(image), str(disk.mount))
        try:
            yield disk
        finally:
            unmount(disk.mount)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(*command: str) -> None:
    done = process.run(*command)
    if done.returncode:
        raise UserError(
            "cannot make a disk for the faults",
            f"`{' '.join(command[:2])}`: {done.stderr.strip()}",
            "It requires root, e2fsprogs and loop devices.",
        )
