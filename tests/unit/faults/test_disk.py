"""Tests of filling up a disk, without one."""

import os
from pathlib import Path

import pytest

from scripts.faults.disk import Disk


def test_disk_is_filled_and_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ballast takes everything but the rest of a block, and is removed."""
    capacity = 2 * 2**30 + 5 * 2**24 + 3 * 2**16 + 100

    def allocate(descriptor: int, offset: int, length: int) -> None:
        if offset + length > capacity:
            raise OSError
        os.truncate(descriptor, offset + length)

    monkeypatch.setattr(os, "posix_fallocate", allocate)
    disk = Disk(tmp_path)
    disk.mount.mkdir()
    assert disk.fill() == capacity - 100
    assert disk.ballast.exists()
    disk.free()
    assert not disk.ballast.exists()
    disk.free()
