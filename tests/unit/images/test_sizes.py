"""Tests of the baselines of image sizes and of the disk check."""

import json
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.images import sizes
from scripts.images.sizes import COPIES, GIGABYTE, SHARED_BYTES, check_disk, needed_bytes


@pytest.fixture(autouse=True)
def baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use baselines of two images; return their file."""
    path = tmp_path / "sizes.json"
    path.write_text('{"cpu": 100, "dev": 2000}')
    monkeypatch.setattr(sizes, "BASELINES", path)
    return path


def test_accepted_size_replaces_one_baseline(baselines: Path) -> None:
    """Accepting sizes keeps the baselines of other images and the order of the names."""
    sizes.accept({"cpu": 3, "all": 4})
    assert json.loads(baselines.read_text()) == {"all": 4, "cpu": 3, "dev": 2000}
    lines = baselines.read_text().splitlines()
    assert lines[1:4] == ['  "all": 4,', '  "cpu": 3,', '  "dev": 2000']


@pytest.mark.parametrize(
    ("missing", "existing", "expected"),
    [
        (["cpu"], [], SHARED_BYTES + COPIES * 100),
        (["cpu", "dev"], [], SHARED_BYTES + COPIES * 2100),
        (["dev"], ["cpu"], SHARED_BYTES + COPIES * 2000 + 100),
        ([], ["cpu", "dev"], 2100),
        (["new"], [], SHARED_BYTES + COPIES * 2000),
        ([], [], SHARED_BYTES),
    ],
    ids=["one", "two", "one exists", "both exist", "no baseline", "no image"],
)
def test_needed_space_follows_the_images(
    missing: list[str], existing: list[str], expected: int
) -> None:
    """A missing image needs the space of a cold build, an existing one its own size."""
    assert needed_bytes(missing, existing) == expected


def test_needed_space_of_the_project_covers_what_was_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The estimated space covers the measured 4 GB of `cpu` and 20 GB of all images."""
    monkeypatch.undo()
    assert 4 * GIGABYTE <= needed_bytes(["cpu"]) <= 6 * GIGABYTE
    names = [name for name in sizes.baselines() if not name.endswith("-arm64")]
    assert 20 * GIGABYTE <= needed_bytes(names) <= 30 * GIGABYTE


def test_disk_check_refuses_too_little_space() -> None:
    """A build that the disk has no space for is refused with both figures."""
    needed = 4 * GIGABYTE
    with pytest.raises(UserError, match=r"3\.0 GB are free .* need about 4\.0 GB"):
        check_disk(3 * GIGABYTE, needed)
    check_disk(needed, needed)


def test_disk_check_accepts_an_unknown_disk() -> None:
    """The disk of an engine on another machine is unknown, and no build is refused."""
    check_disk(None, 10**15)
