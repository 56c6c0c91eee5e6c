"""Tests of scripts/report/timeline.py."""

from datetime import timedelta

import pytest

from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.report.timeline import Bar, ticks, timeline
from tests.support.builds import STARTED

CCACHE = "--mount=type=cache,id=vmaf-ccache,target=/ccache,sharing=locked,uid=1000"
APT = "--mount=type=cache,id=vmaf-apt,target=/var/cache/apt,sharing=locked"


def stage(name: str, *spans: tuple[float, float], run: str = CCACHE) -> StageRecord:
    """Return a stage of one step that ran in these periods, in seconds after `STARTED`."""
    times = [
        (STARTED + timedelta(seconds=start), STARTED + timedelta(seconds=end))
        for start, end in spans
    ]
    seconds = sum(end - start for start, end in spans)
    steps = {f"1/1 RUN {run} make": StepRecord(seconds, not spans, times)}
    return StageRecord(name, [], seconds, cached=not spans, steps=steps)


def record(*stages: StageRecord) -> BuildRecord:
    """Return a build of these stages."""
    return BuildRecord(["x"], {}, "", STARTED, 9.0, "built", list(stages), {}, [])


def bars(*stages: StageRecord) -> dict[str, list[Bar]]:
    """Return the bars of each stage."""
    return {row.stage.name: list(row.bars) for row in timeline(record(*stages)).rows}


def test_stage_waits_for_the_mount_of_another() -> None:
    """In the timeline, the later of two steps with one locked mount waited for the other."""
    rows = bars(stage("late", (1, 8)), stage("early", (1, 4)))
    assert rows["early"] == [Bar(0, 3, "1/1 RUN make")]
    assert rows["late"] == [Bar(0, 3, "1/1 RUN make", "vmaf-ccache"), Bar(3, 7, "1/1 RUN make")]


def test_stage_waits_until_the_last_of_several_ends() -> None:
    """In the timeline, a step waits until the last of several steps with its mount ends."""
    rows = bars(stage("a", (0, 2)), stage("b", (0, 5)), stage("c", (1, 9)))
    assert [(bar.start, bar.end, bool(bar.awaits)) for bar in rows["c"]] == [
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
def test_stage_does_not_wait_for_unrelated_steps(other: StageRecord) -> None:
    """In the timeline, a step waits only for steps with its locked mount at the same time."""
    assert not any(bar.awaits for bar in bars(stage("x", (1, 8)), other)["x"])


def test_overlapping_periods_of_a_step_are_joined() -> None:
    """A step's overlapping duplicates in several targets are one bar; a later run is another."""
    (row,) = timeline(record(stage("x", (1, 3), (2, 4), (6, 7)))).rows
    assert [(bar.start, bar.end) for bar in row.bars] == [(0, 3), (5, 6)]
    assert (row.total(waiting=False), row.total(waiting=True)) == (4, 0)


def test_instant_stage_has_no_row() -> None:
    """A stage that took an instant, or was cached, has no row in the timeline."""
    assert list(bars(stage("x", (1, 2)), stage("y", (1, 1.05)), stage("z"))) == ["x"]


def test_record_without_times_has_bars_from_zero() -> None:
    """A timeline without the times of steps has a bar of each stage's seconds."""
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
def test_ticks_are_round_numbers(length: float, marks: list[float]) -> None:
    """The marks of a timeline's axis are round numbers from 0."""
    assert ticks(length) == marks


def test_ticks_are_few() -> None:
    """A timeline's axis of any length has at most eight marks."""
    assert all(len(ticks(10**power)) <= 8 for power in range(-3, 9))
