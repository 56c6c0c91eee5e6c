"""Tests of the damage to files of cache mounts."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scripts.faults import damage
from scripts.faults.disk import Disk
from scripts.faults.faults import (
    Clock,
    HalfArchive,
    Objects,
    Packages,
    StoreHangs,
    copy_record,
)
from scripts.faults.victim import REMOTE_CACHE, Victim

CONTENT = b"0123456789"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the data of a builder with a layer, a compiler cache and apt's caches."""
    snapshots = tmp_path / "root" / "runc-overlayfs" / "snapshots" / "snapshots"
    for name in (
        "1/fs/var/cache/apt/archives/layer.deb",
        *(f"2/fs/cache/{n:x}/a/{'b' * 30}{kind}" for n in range(16) for kind in "RM"),
        *("2/fs/cache/a/stats", "2/fs/cache/ccache.conf", "2/fs/cache/tmp/xR", "2/fs/cache/a/lock"),
        *(f"2/fs/cache/depcache/{n:02x}/aR" for n in range(40)),
        *("3/fs/archives/a.deb", "3/fs/archives/b.deb", "3/fs/archives/lock", "3/fs/pkgcache.bin"),
        *("4/fs/lists/x_Packages", "4/fs/lists/fetched-1"),
    ):
        path = snapshots / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
    return tmp_path / "root"


@pytest.fixture
def victim(root: Path) -> Victim:
    """Return the victim with this data."""

    class _OfRoot(Victim):
        def __init__(self) -> None:
            pass

        @property
        def root(self) -> Path:
            return root

    return _OfRoot()


def contents(root: Path) -> dict[str, bytes]:
    """Return the files by path."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("way", "result"),
    [
        (damage.flip, b"01234" + bytes([ord("5") ^ 0xFF]) + b"6789"),
        (damage.cut, b"01234"),
        (damage.empty, b""),
    ],
)
def test_ways_of_damage(way: damage.Way, result: bytes) -> None:
    """A file gets one other byte, or loses its second half, or everything."""
    assert way(CONTENT) == result
    assert way(b"") == b""


def test_objects_of_both_caches_are_damaged(root: Path, victim: Victim) -> None:
    """Results and manifests of ccache and files of depcache are damaged, and nothing else."""
    before = contents(root)
    planted = Objects().plant(victim)
    assert planted == (
        "16 of 16 results of ccache, 16 of 16 manifests of ccache, 24 of 40 files of depcache"
    )
    after = contents(root)
    damaged = {path for path in before if before[path] != after[path]}
    assert len(damaged) == 16 + 16 + 24
    assert all("/cache/" in path and path.endswith(("R", "M")) for path in damaged)
    assert {after[path] for path in damaged} == {way(CONTENT) for way in damage.WAYS}


def test_packages_of_the_mount_are_damaged(root: Path, victim: Victim) -> None:
    """Packages in apt's cache mount are damaged, but not those in a layer."""
    assert Packages().plant(victim) == "2 of 2 packages"
    assert contents(root)[str(_layer(root).relative_to(root))] == CONTENT


def _layer(root: Path) -> Path:
    (path,) = root.rglob("layer.deb")
    return path


def test_files_of_each_mount_are_damaged(root: Path, victim: Victim) -> None:
    """Builds in several namespaces have mounts of their own; each gets its damage."""
    for number in (5, 6):
        store = (
            root / "runc-overlayfs" / "snapshots" / "snapshots" / f"{number}" / "fs" / "archives"
        )
        store.mkdir(parents=True)
        for name in range(40):
            (store / f"{name}.deb").write_bytes(CONTENT)
    assert Packages().plant(victim) == "50 of 82 packages"


def test_damaged_file_that_nothing_read_is_reported(victim: Victim) -> None:
    """A fault has no effect while all damaged files of a kind are as they were planted."""
    fault = Packages()
    fault.plant(victim)
    assert fault.without_effect() == "no damaged file was replaced: packages"
    path = next(iter(fault.damaged["packages"]))
    path.write_bytes(CONTENT)
    assert not fault.without_effect()
    path.unlink()
    assert not fault.without_effect()


def test_damage_keeps_the_date(tmp_path: Path) -> None:
    """Damage is not visible in the date of a file, nor to a comparison of dates."""
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    os.utime(path, (1.0, 2.0))
    assert list(damage.damage([path])) == [path]
    assert path.stat().st_mtime == 2.0


def test_empty_file_is_not_damaged(tmp_path: Path) -> None:
    """A file that cannot be damaged does not count."""
    (tmp_path / "x").touch()
    assert not damage.damage([tmp_path / "x"])


def test_files_are_spread() -> None:
    """The chosen files are spread over all; if there are few, all are chosen."""
    files = [Path(str(number)) for number in range(100)]
    assert [int(path.name) for path in damage.spread(files, 4)] == [0, 25, 50, 75]
    assert damage.spread(files[:3], 4) == files[:3]
    assert damage.spread([], 4) == []


def test_clock_dates_the_mounts(
    root: Path, victim: Victim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Files of the mounts get dates in the past and the future; layers keep theirs."""
    monkeypatch.setattr("scripts.faults.faults.RECORDS", tmp_path)
    (tmp_path / "records").mkdir()
    record = tmp_path / "records" / "20261127T000000.000Z-cpu.json"
    record.write_text(json.dumps({"started": "2026-11-27T00:00:00Z", "targets": ["cpu"]}))
    layer, now = _layer(root), datetime.now(UTC)
    fault = Clock()
    assert "in 3 cache mounts, 2 records" in fault.plant(victim)
    years = {
        datetime.fromtimestamp(path.stat().st_mtime, UTC).year
        for path in root.rglob("*")
        if path.is_file() and path != layer
    }
    assert {1990, 2037} <= years
    assert years - {1990, 2037} <= {now.year}  # pkgcache.bin
    assert datetime.fromtimestamp(layer.stat().st_mtime, UTC).year == now.year
    names = sorted(path.name for path in (tmp_path / "records").iterdir())
    assert names[0].startswith("19900101T000000.000Z-cpu")
    assert names[-1].startswith("20370101T000000.000Z-cpu")
    fault.repair(victim)
    assert list((tmp_path / "records").iterdir()) == [record]


def test_dated_results_that_nothing_used_are_reported(
    victim: Victim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The clock has no effect on a build with another compiler cache; a hit gets a new date."""
    monkeypatch.setattr("scripts.faults.faults.RECORDS", tmp_path)
    fault = Clock()
    fault.plant(victim)
    assert fault.without_effect() == "no dated result of ccache was used"
    fault.results[0].touch()
    assert not fault.without_effect()
    damage.date(fault.results)
    fault.results[0].unlink()
    assert not fault.without_effect()


def test_no_record_is_copied_if_there_is_none(tmp_path: Path) -> None:
    """The first run of a checkout has no record that could be copied."""
    assert copy_record(tmp_path, damage.PAST) == []


def test_store_that_nothing_asks_has_no_effect(
    victim: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A remote store that no build asked is reported; later builds do not get its address."""
    monkeypatch.delenv(REMOTE_CACHE, raising=False)
    fault = StoreHangs()
    assert fault.plant(victim) == "after 40 requests"
    assert fault.store
    assert os.environ[REMOTE_CACHE] == fault.store.address
    assert fault.without_effect() == "the store was asked 0 times, and never misbehaved"
    fault.store.misbehaved = 1
    assert not fault.without_effect()
    fault.repair(victim)
    assert REMOTE_CACHE not in os.environ


@pytest.mark.parametrize(
    ("codes", "problem"),
    [
        ({"save": 1}, ""),
        ({"save": 0, "load": 1}, ""),
        ({"save": 0, "load": 0}, "half of an archive was loaded without an error"),
    ],
)
def test_half_of_an_archive_must_be_refused(
    codes: dict[str, int], problem: str, victim: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest file of an archive is cut; it is reported if the archive is loaded anyway."""

    def cli(_verb: str, action: str, directory: str, *_: str) -> int:
        path = Path(directory, "blobs", "largest")
        if action == "save":
            path.parent.mkdir(parents=True)
            path.write_bytes(CONTENT)
            (path.parent / "index.json").write_bytes(b"{}")
        else:
            assert path.read_bytes() == CONTENT[:5]
        return codes[action]

    victim.disk = Disk(victim.root.parent)
    monkeypatch.setattr(victim, "cli", cli)
    fault = HalfArchive()
    planted = fault.plant(victim)  # nothing is planted without an archive
    assert bool(planted) == ("load" in codes)
    assert fault.without_effect() == problem
