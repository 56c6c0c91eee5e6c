"""Tests of filling up a disk, without one."""

import os
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.faults import disk
from scripts.faults.disk import Disk


def test_disk_is_filled_and_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ballast takes everything but the rest of a block, and is removed."""
    capacity = 2 * 2**30 + 5 * 2**24 + 3 * 2**16 + 100

    def allocate(descriptor: int, offset: int, length: int) -> None:
        if offset + length > capacity:
            raise OSError
        os.truncate(descriptor, offset + length)

    monkeypatch.setattr(os, "posix_fallocate", allocate)
    small = Disk(tmp_path)
    small.mount.mkdir()
    assert small.fill() == capacity - 100
    assert small.ballast.exists()
    small.free()
    assert not small.ballast.exists()
    small.free()


def test_disk_needs_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without space for the file, no disk is made."""
    monkeypatch.setattr(disk, "BYTES", 2**62)
    with pytest.raises(UserError, match="not enough disk space"), disk.mounted(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
