"""Tests of scripts/core/mounted.py."""

from pathlib import Path

from scripts.core import mounted


def test_all_parts_of_a_disk_are_unmounted() -> None:
    """What a killed daemon left is unmounted, the latest first; other mounts stay."""
    mounts = """/dev/vda / ext4 rw 0 0
/dev/loop1 /srv/other/disk ext4 rw 0 0
/dev/loop0 /srv/x/disk ext4 rw 0 0
overlay /srv/x/disk/root/executor/1/rootfs overlay rw,upperdir=/srv/x/disk/root/1/fs 0 0
overlay /srv/buildkit-mount1 overlay rw,lowerdir=/srv/x/disk/root/2/fs:/srv/x/disk/root/3/fs 0 0
/dev/loop0 /srv/buildkit-mount2/file ext4 ro 0 0
overlay /srv/buildkit-mount3 overlay rw,lowerdir=/srv/other/disk/root/2/fs 0 0
"""
    assert mounted.points(mounts, Path("/srv/x/disk")) == [
        Path("/srv/buildkit-mount2/file"),
        Path("/srv/buildkit-mount1"),
        Path("/srv/x/disk/root/executor/1/rootfs"),
        Path("/srv/x/disk"),
    ]
