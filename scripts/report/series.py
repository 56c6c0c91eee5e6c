"""Time series over the recorded builds: hit rates and sizes; the builds to show in detail."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.filesize import decimal

from scripts.buildkit.measurements import Lookups
from scripts.buildkit.rawjson import CONTEXT, EXPORT
from scripts.buildkit.records import FEWEST_LOOKUPS, BuildRecord
from scripts.report import summary
from scripts.report.formatting import moment, percent

_WORK = 1.0
"""The total seconds of all stages below which a build counts as fully cached."""


@dataclass(frozen=True)
class Point:
    """A value of a series, as a point of a chart."""

    when: datetime
    value: float
    title: str


@dataclass(frozen=True)
class HitRate:
    """The latest hit rate of one stage in one compiler cache."""

    stage: str
    cache: str
    hits: int
    lookups: int
    when: datetime
    builds: Sequence[Point]
    """The hit rates of all builds up to this one, oldest first."""
    best: float
    """The best hit rate of this build and all comparable builds."""

    @property
    def share(self) -> float:
        """The hits per lookup."""
        return self.hits / self.lookups

    @property
    def fell(self) -> bool:
        """Whether the hit rate is so far below the best one that `nox -s build` warns."""
        return self.lookups >= FEWEST_LOOKUPS and self.best - self.share > summary.DROP


def work(build: BuildRecord) -> float:
    """Return the total seconds of the stages of a build, including time spent waiting."""
    stages = (stage for stage in build.stages if stage.name not in {CONTEXT, EXPORT})
    return sum(stage.seconds for stage in stages)


def timeline_builds(builds: Sequence[BuildRecord]) -> list[BuildRecord]:
    """Return the builds that the report shows as timelines, the latest first.

    They are the latest build that was not fully cached, the latest successful build of each other
    target, and the build with the most work.
    """
    worked = [build for build in reversed(builds) if work(build) >= _WORK]
    chosen, covered = worked[:1], set[str]()
    for build in worked:
        if build.outcome == "built" and not covered.issuperset(build.targets):
            chosen.append(build)
            covered.update(build.targets)
    chosen += [max(worked, key=work)] if worked else []
    return [build for build in worked if any(build is selected for selected in chosen)]


def hit_rates(builds: Iterable[BuildRecord]) -> list[HitRate]:
    """Return the latest hit rate of each stage and cache, sorted by cache and stage.

    Builds with a namespace are skipped, because they use other cache mounts.
    """
    series: dict[tuple[str, str], list[tuple[BuildRecord, Lookups]]] = {}
    for build in builds:
        for stage in build.stages if not build.namespace else ():
            for cache, lookups in stage.lookups.items():
                series.setdefault((cache, stage.name), []).append((build, lookups))
    return [_hit_rate(stage, cache, series[cache, stage]) for cache, stage in sorted(series)]


def _hit_rate(stage: str, cache: str, builds: Sequence[tuple[BuildRecord, Lookups]]) -> HitRate:
    latest, (hits, total) = builds[-1]
    points = [
        Point(
            build.started,
            count.hits / count.total,
            f"{moment(build.started)}: {count.hits} of {count.total}, "
            f"{percent(count.hits / count.total)}",
        )
        for build, count in builds
    ]
    rates = [
        point.value
        for point, (build, _) in zip(points, builds, strict=True)
        if build is latest
        or (summary.comparable(build, latest) and not summary.cache_was_empty(latest))
    ]
    return HitRate(stage, cache, hits, total, latest.started, points, max(rates))


def build_hit_rate(build: BuildRecord) -> float | None:
    """Return the hits per lookup of all stages and caches of a build; None without lookups."""
    hits, total = build.lookups
    return hits / total if total else None


def sizes(builds: Iterable[BuildRecord]) -> dict[str, list[Point]]:
    """Return the sizes of each tag in all builds."""
    points: dict[str, list[Point]] = {}
    for build in builds:
        for tag, size in build.sizes.items():
            title = f"{moment(build.started)}: {decimal(size)}"
            points.setdefault(tag, []).append(Point(build.started, size, title))
    return points
