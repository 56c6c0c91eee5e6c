"""Tests of scripts/report/series.py."""

from datetime import timedelta
from typing import Literal

from msgspec.structs import replace

from scripts.buildkit.records import BuildRecord, StageRecord
from scripts.report import series
from tests.support.builds import STARTED, measured, record


def build(
    second: int, *targets: str, work: float, outcome: Literal["built", "failed"] = "built"
) -> BuildRecord:
    """Return a build of one stage that took `work` seconds."""
    return replace(
        record(),
        started=STARTED + timedelta(seconds=second),
        targets=list(targets),
        stages=[StageRecord("x", [], work)],
        outcome=outcome,
    )


def test_timelines_are_of_the_latest_and_longest_builds() -> None:
    """Timelines show the latest builds of each set of targets, and the longest build."""
    cold = build(0, "cpu", work=900)
    other = build(1, "dev", work=50)
    both = build(2, "cpu", "cuda12", work=60)
    failed = build(3, "cpu", "cuda12", work=5, outcome="failed")
    unchanged = build(4, "cpu", work=0.1)
    chosen = series.timeline_builds([cold, other, both, failed, unchanged])
    assert chosen == [failed, both, other, cold]
    assert series.timeline_builds([unchanged]) == []


def test_hit_rate_fell_below_the_best() -> None:
    """A hit rate fell if it is well below the best one of comparable builds."""
    good, bad = (replace(measured(*it), namespace="") for it in ((96, 4, 1), (40, 60, 2)))
    (rate,) = series.hit_rates([good, bad])
    assert rate.fell
    assert (rate.share, rate.best) == (0.4, 0.96)


def test_hit_rates_of_a_namespace_are_skipped() -> None:
    """Builds with cache mounts of their own are not in the series of hit rates."""
    assert series.hit_rates([measured(96, 4, 1)]) == []


def test_hit_rate_of_another_cache_is_not_marked() -> None:
    """Hit rates of different builders, or of a new cache and a full one, are not compared."""
    good, bad = (replace(measured(*it), namespace="") for it in ((96, 4, 1), (40, 60, 2)))
    moved = replace(bad, builder=replace(bad.builder, state="engine-2"))
    (rate,) = series.hit_rates([good, moved])
    assert not rate.fell
    assert len(rate.builds) == 2
    new = replace(good.builder, cache_created=STARTED + timedelta(seconds=3))
    (rate,) = series.hit_rates([replace(build, builder=new) for build in (good, bad)])
    assert not rate.fell
