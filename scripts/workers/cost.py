"""What a fleet of workers stores, transfers and costs, computed from sizes that were measured."""

from collections.abc import Iterable, Mapping

import msgspec

from scripts.core.paths import ROOT
from scripts.images import sizes

MEASURED = ROOT / "docs" / "scale.json"
"""The measured sizes and the assumed prices; docs/notes/workers.md says how they were measured."""
DAYS = 30
"""The days of a month."""


class Prices(msgspec.Struct, frozen=True):
    """Prices in any currency."""

    disk: float
    """For a gigabyte of disk and a month."""
    traffic: float
    """For a gigabyte of traffic."""


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes in bytes, and the assumptions."""

    images: list[str]
    """The images that were built."""
    worker: int
    """What one worker stores after it has built all of them."""
    packages: int
    """The packages, modules and sources that a worker without data downloads."""
    compiled: int
    """The objects in its compile cache."""
    runs: int
    """Assumed: how often a day all images are built."""
    prices: Prices
    """Assumed."""


def read() -> Fleet:
    """Return what docs/scale.json has."""
    return msgspec.json.decode(MEASURED.read_bytes(), type=Fleet)


def disk_bytes(fleet: Fleet, workers: int) -> int:
    """Return the disk space of all workers: each of them may have built each image once."""
    return workers * fleet.worker


def run_bytes(fleet: Fleet, accepted: Mapping[str, int]) -> int:
    """Return the traffic of a run, which loads each image into the engine once.

    Args:
        fleet: the measured sizes.
        accepted: the size of each image in bytes, by its name.
    """
    return sum(accepted[name] for name in fleet.images)


def month(fleet: Fleet, workers: int, accepted: Mapping[str, int]) -> float:
    """Return the costs of disks and traffic for a month."""
    disk = disk_bytes(fleet, workers) * fleet.prices.disk
    traffic = DAYS * fleet.runs * run_bytes(fleet, accepted) * fleet.prices.traffic
    return (disk + traffic) / sizes.GIGABYTE


def markdown(counts: Iterable[int] = (1, 2, 8)) -> str:
    """Return the table of docs/scale.md.

    Args:
        counts: the numbers of workers.
    """
    fleet, accepted = read(), sizes.baselines()
    lines = [
        f"For {', '.join(fleet.images)}; {fleet.runs} runs a day, {fleet.prices.disk} for a GB of",
        f"disk and month, {fleet.prices.traffic} for a GB of traffic:",
        "",
        "| workers | disks | downloads of the first run | traffic of a run | cost of a month |",
        "|---:|---:|---:|---:|---:|",
        *(
            f"| {count} | {_gb(disk_bytes(fleet, count))} | {_gb(count * fleet.packages)} "
            f"| {_gb(run_bytes(fleet, accepted))} | {month(fleet, count, accepted):.2f} |"
            for count in counts
        ),
        "",
        f"Compiled objects, for a remote compile cache: {fleet.compiled / 10**6:.0f} MB.",
    ]
    return "\n".join(lines)


def _gb(size: int) -> str:
    return f"{size / sizes.GIGABYTE:.1f} GB"
