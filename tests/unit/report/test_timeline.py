"""When stages worked and when they waited."""

from datetime import datetime, timedelta

import pytest

from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.report.timeline import Bar, ticks, timeline
from tests.support.builds import STARTED

CCACHE = "--mount=type=cache,id=vmaf-ccache,target=/ccache,sharing=locked,uid=1000"
APT = "--mount=type=cache,id=vmaf-apt,target=/var/cache/apt,sharing=locked"


def at(second: float) -> datetime:
    """Return a time after the start of the build."""
    return STARTED + timedelta(seconds=second)


def stage(name: str, *spans: tuple[float, float], run: str = CCACHE) -> StageRecord:
    """Return a stage with one step that ran in these seconds."""
    times = [(at(start), at(end)) for start, end in spans]
    took = sum(end - start for start, end in spans)
    steps = {f"1/1 RUN {run} make": StepRecord(took, cached=not spans, spans=times)}
    return StageRecord(name, [], took, cached=not spans, steps=steps)


def record(*stages: StageRecord) -> BuildRecord:
    """Return a build of these stages."""
    return BuildRecord(["x"], {}, "", at(0), 9.0, "built", list(stages), {}, [])


def bars(*stages: StageRecord) -> dict[str, list[Bar]]:
    """Return the bars of each stage."""
    return {row.stage.name: list(row.bars) for row in timeline(record(*stages)).rows}


def test_a_stage_waits_for_the_mount_that_another_holds() -> None:
    """Of two stages that start together, the later one worked only after the other had ended."""
    found = bars(stage("late", (1, 8)), stage("early", (1, 4)))
    assert found["early"] == [Bar(0, 3, "1/1 RUN make")]
    assert found["late"] == [Bar(0, 3, "1/1 RUN make", "vmaf-ccache"), Bar(3, 7, "1/1 RUN make")]


def test_a_stage_waits_for_all_earlier_ones() -> None:
    """A stage waits until the last of them has ended, and that time counts once."""
    found = bars(stage("a", (0, 2)), stage("b", (0, 5)), stage("c", (1, 9)))
    assert [(bar.start, bar.end, bool(bar.awaits)) for bar in found["c"]] == [
        (1, 5, True),
        (5, 9, False),
    ]


@pytest.mark.parametrize(
    "other",
    [
        stage("other", (0, 4), run=APT),
        stage("other", (0, 4), run=CCACHE.replace("locked", "shared")),
        stage("other", (0, 4), run=""),
        stage("other", (0, 1)),
        stage("other"),
    ],
    ids=["another-mount", "not-locked", "no-mount", "before", "cached"],
)
def test_other_stages_are_not_waited_for(other: StageRecord) -> None:
    """Each of these differs from a wait in one respect."""
    assert not any(bar.awaits for bar in bars(stage("x", (1, 8)), other)["x"])


def test_overlapping_times_are_one_bar() -> None:
    """Duplicates of a step in several targets overlap; a step that was started again does not."""
    (row,) = timeline(record(stage("x", (1, 3), (2, 4), (6, 7)))).rows
    assert [(bar.start, bar.end) for bar in row.bars] == [(0, 3), (5, 6)]
    assert (row.total(waiting=False), row.total(waiting=True)) == (4, 0)


def test_an_instant_has_no_row() -> None:
    """Instant and cached stages have no row."""
    assert list(bars(stage("x", (1, 2)), stage("y", (1, 1.05)), stage("z"))) == ["x"]


def test_an_old_record_has_bars_without_times() -> None:
    """A record without times has one bar per stage, as long as the stage took."""
    old = stage("x", (1, 3))
    for step in old.steps.values():
        step.spans = []
    line = timeline(record(old, stage("y")))
    assert not line.timed
    assert [(row.stage.name, row.bars) for row in line.rows] == [("x", [Bar(0, 2, "all steps")])]
    assert line.length == 2


@pytest.mark.parametrize(
    ("length", "marks"),
    [(0, [0]), (3.5, [0, 1, 2, 3]), (45, [0, 10, 20, 30, 40]), (1277, [0, 300, 600, 900, 1200])],
)
def test_ticks_are_round(length: float, marks: list[float]) -> None:
    """The marks are round, and few."""
    assert ticks(length) == marks


def test_an_axis_of_any_length_has_few_ticks() -> None:
    """From milliseconds to years, an axis has at most eight marks."""
    assert all(len(ticks(10**power)) <= 8 for power in range(-3, 9))
