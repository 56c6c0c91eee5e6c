"""The savings of builds from the cache mounts, computed from the records of builds."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.filesize import decimal

from scripts.buildkit.measurements import Lookups
from scripts.buildkit.records import BuildRecord, StageRecord
from scripts.caches.mounts import CacheMount, DeclaredMount

COLD = 0.2
"""The hit rate below which a stage counts as cold."""


@dataclass(frozen=True)
class Savings:
    """The savings of the stages of a build from a cache mount."""

    hits: Mapping[str, Lookups] = field(default_factory=dict)
    """The lookups in a compiler cache, or the bytes of packages, by program."""
    seconds: float | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class MountUsage:
    """The last recorded build that used a cache mount."""

    build: str
    """The start of the build."""
    stages: Sequence[str]
    """The stages that used the mount."""
    savings: Savings
    outcome: str = "built"
    """The outcome of the build: built or failed."""

    @property
    def rates(self) -> str:
        """The hit rates, one program per line."""
        rates = (
            f"{name} {count.hits / count.total:.0%}"
            for name, count in self.savings.hits.items()
            if count.total
        )
        return "\n".join(rates).replace("%", " %") or "-"

    @property
    def saved(self) -> str:
        """The bytes or seconds that were saved."""
        if self.savings.bytes is not None:
            return decimal(self.savings.bytes)
        return "-" if self.savings.seconds is None else f"{self.savings.seconds:.0f} s"


@dataclass(frozen=True)
class Row:
    """A cache mount in the table."""

    name: str
    directory: str
    purpose: str
    mount: CacheMount | None
    """None if no build has created it yet."""
    usage: MountUsage | None
    """None if no recorded build has used it."""


Meter = Callable[[Sequence[StageRecord], Sequence[BuildRecord]], Savings]
"""Computes the savings of stages, with all records for comparison."""


def compiled_code(*caches: str) -> Meter:
    """Return a meter of the lookups in some compiler caches, and of the seconds saved.

    The seconds are saved compared with a cold run of each stage, the shortest one on record. Both
    durations are wall-clock times, which include waiting for the mount and are affected by other
    load on the machine.
    """

    def meter(stages: Sequence[StageRecord], builds: Sequence[BuildRecord]) -> Savings:
        saved = [
            max(0.0, min(cold) - stage.seconds)
            for stage in stages
            if stage.main_cache in caches and (cold := cold_seconds(stage.name, builds))
        ]
        hits = {}
        for name in caches:
            counts = [stage.lookups.get(name, Lookups(0, 0)) for stage in stages]
            hits[name] = Lookups(sum(c.hits for c in counts), sum(c.total for c in counts))
        return Savings(hits, seconds=sum(saved) if saved else None)

    return meter


def cold_seconds(name: str, builds: Iterable[BuildRecord]) -> list[float]:
    """Return the durations of a stage in the builds in which it had almost no hits."""
    return [
        stage.seconds
        for build in builds
        if build.outcome == "built"
        for stage in build.stages
        if stage.name == name and (rate := stage.hit_rate) is not None and rate < COLD
    ]


def debian_packages(stages: Sequence[StageRecord], _builds: Sequence[BuildRecord]) -> Savings:
    """Return the bytes of packages that apt needed and did not download."""
    measured = [stage.measurements.apt for stage in stages if stage.measurements.apt]
    if not measured:
        return Savings()
    needed = sum(apt.needed for apt in measured)
    cached = needed - sum(apt.fetched for apt in measured)
    return Savings({"apt": Lookups(cached, needed)}, bytes=cached)


def not_measured(_stages: Sequence[StageRecord], _builds: Sequence[BuildRecord]) -> Savings:
    """Return no savings, for a program that prints no measurements."""
    return Savings()


PURPOSES: Mapping[str, tuple[str, Meter]] = {
    "/ccache": ("compiled code", compiled_code("ccache", "depcache")),
    "/sccache": ("compiled Rust", compiled_code("sccache")),
    "/var/cache/apt": ("Debian packages", debian_packages),
    "/var/lib/apt": ("Debian's index", not_measured),
    "/var/cache/sources": ("locked sources", not_measured),
    "/root/.cache/pip": ("Python packages", not_measured),
    "/go/pkg/mod": ("Go modules", not_measured),
    "/root/.cache/go-build": ("compiled Go", not_measured),
    "/cargo/registry": ("crates", not_measured),
    "/cargo/git": ("crates from git", not_measured),
}
"""The contents of a mount, and the function that computes its savings, by directory."""


def last_usage(mount: CacheMount, builds: Sequence[BuildRecord]) -> MountUsage | None:
    """Return the last recorded build that used a mount; None if there is none."""
    mounts = re.compile(rf"--mount=(?=\S*\btype=cache\b)\S*\bid={re.escape(mount.id)}(?![\w.-])")
    for build in reversed(builds):
        stages = [
            stage
            for stage in build.stages
            if any(mounts.search(t) and not step.cached for t, step in stage.steps.items())
        ]
        if stages and build.namespace == mount.namespace:
            _, meter = _purpose(mount.directory)
            names = [stage.name for stage in stages]
            started = f"{build.started:%Y-%m-%dT%H:%M:%SZ}"
            return MountUsage(started, names, meter(stages, builds), build.outcome)
    return None


def rows(
    existing: Sequence[CacheMount],
    declared: Sequence[DeclaredMount],
    builds: Sequence[BuildRecord],
) -> list[Row]:
    """Return a row for each existing mount, then for each declared mount that does not exist."""
    table = []
    for mount in existing:
        purpose = _purpose(mount.directory)[0] if mount.belongs_to_project else "another project"
        usage = last_usage(mount, builds)
        table.append(Row(mount.name, mount.directory, purpose, mount, usage))
    default = [mount for mount in existing if not mount.namespace]
    for missing in declared:
        if not any(missing.matches(mount) for mount in default):
            directory = missing.mount.target
            table.append(Row(missing.id, directory, _purpose(directory)[0], None, None))
    return table


def _purpose(directory: str) -> tuple[str, Meter]:
    return PURPOSES.get(directory, ("", not_measured))
