"""Unmount what a BuildKit that was killed has left mounted."""

from pathlib import Path

from scripts.core import process


def unmount(directory: Path) -> None:
    """Unmount a directory, and first all that a killed daemon left mounted of it."""
    for point in points(Path("/proc/self/mounts").read_text(), directory):
        process.run("umount", "--lazy", str(point))


def points(mounts: str, directory: Path) -> list[Path]:
    """Return where the disk of a directory or parts of it are mounted, the latest first.

    Args:
        mounts: the content of /proc/self/mounts.
        directory: the mount point of a disk, or any other directory.
    """
    lines = [line.split() for line in mounts.splitlines()]
    devices = {source for source, target, *_ in lines if target == str(directory)}
    return [
        Path(target)
        for source, target, _, options, *_ in reversed(lines)
        if source in devices or f"{directory}/" in f"{target}/ {options}"
    ]
