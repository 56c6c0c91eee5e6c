"""The formula of docs/scale.md."""

import pytest

from scripts.images import sizes
from scripts.workers import cost

FLEET = cost.Fleet(
    images=["a", "b"],
    worker=6 * 10**9,
    packages=2 * 10**9,
    compiled=10**9,
    runs=10,
    prices=cost.Prices(disk=0.5, traffic=0.01),
)
ACCEPTED = {"a": 10**9, "b": 3 * 10**9, "c": 9 * 10**9}


def test_disks_grow_with_the_workers_and_traffic_does_not() -> None:
    """Each worker stores everything; each image is loaded once, from any worker."""
    assert [cost.disk_bytes(FLEET, count) for count in (1, 4)] == [6 * 10**9, 24 * 10**9]
    assert cost.run_bytes(FLEET, ACCEPTED) == 4 * 10**9


@pytest.mark.parametrize(("workers", "expected"), [(1, 3 + 12), (4, 12 + 12)])
def test_month_adds_disks_and_traffic(workers: int, expected: float) -> None:
    """24 GB of disk at 0.5, and 30 days of 10 runs with 4 GB each at 0.01."""
    assert cost.month(FLEET, workers, ACCEPTED) == pytest.approx(expected)


def test_table_has_the_measured_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables are made of the file and of the accepted sizes only."""
    monkeypatch.setattr(cost, "read", lambda: FLEET)
    monkeypatch.setattr(sizes, "baselines", lambda: ACCEPTED)
    text = cost.markdown([4])
    assert "| 4 | 24.0 GB | 8.0 GB | 4.0 GB | 24.00 |" in text
    assert text.endswith("a remote compile cache: 1000 MB.")


def test_file_has_known_images() -> None:
    """The file can be read, and each of its images has an accepted size."""
    assert set(cost.read().images) <= set(sizes.baselines())
