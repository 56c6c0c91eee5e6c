"""Compute from a record when each stage of a build worked and when it waited.

BuildKit counts the time that a step waits for a locked cache mount as part of the step. Only one
step at a time holds such a mount, until the step ends. If a step was running when another step
with the same mount ended, it cannot have started its work before. Mounts that another build held
at the same time are not in the record.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import shorten

from scripts.buildkit.rawjson import MOUNT
from scripts.buildkit.records import SHOWN, BuildRecord, StageRecord

_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000)
_TICKS = 6


@dataclass(frozen=True)
class Bar:
    """A period of a build, in seconds since the start of its first step."""

    start: float
    end: float
    what: str
    """The instruction."""
    awaits: str = ""
    """The cache mount that the stage waited for; empty if it worked."""


@dataclass(frozen=True)
class Row:
    """A stage and its bars."""

    stage: StageRecord
    bars: Sequence[Bar]

    def total(self, *, waiting: bool) -> float:
        """Return the seconds that the stage waited or, if `waiting` is false, worked."""
        return sum(bar.end - bar.start for bar in self.bars if bool(bar.awaits) is waiting)


@dataclass(frozen=True)
class Timeline:
    """The timeline of a build."""

    rows: Sequence[Row]
    """The stages that took at least `SHOWN` seconds, in the order of their start."""
    length: float
    timed: bool
    """Whether the record has the times of the steps; otherwise all bars start at 0."""


@dataclass
class _Span:
    stage: StageRecord
    text: str
    locks: frozenset[str]
    start: datetime
    end: datetime


def timeline(record: BuildRecord) -> Timeline:
    """Return the timeline of a build."""
    spans = sorted(_spans(record), key=lambda span: span.start)
    if not spans:
        shown = [stage for stage in record.stages if stage.seconds >= SHOWN]
        rows = [Row(stage, [Bar(0, stage.seconds, "all steps")]) for stage in shown]
        return Timeline(rows, max((stage.seconds for stage in shown), default=0), timed=False)
    zero, bars = spans[0].start, dict[str, list[Bar]]()
    for span in spans:
        what = shorten(MOUNT.sub("", span.text), 120, placeholder=" ...")
        start, end = ((time - zero).total_seconds() for time in (span.start, span.end))
        free, lock = _wait(span, spans)
        if lock:
            begun = (free - zero).total_seconds()
            bars.setdefault(span.stage.name, []).append(Bar(start, begun, what, lock))
            start = begun
        bars.setdefault(span.stage.name, []).append(Bar(start, end, what))
    stages = {stage.name: stage for stage in record.stages}
    rows = [Row(stages[name], of_stage) for name, of_stage in bars.items()]
    long = [row for row in rows if sum(bar.end - bar.start for bar in row.bars) >= SHOWN]
    return Timeline(long, max(bar.end for row in rows for bar in row.bars), timed=True)


def _spans(record: BuildRecord) -> Iterable[_Span]:
    """Yield the times of each step; overlapping times are duplicates and are merged."""
    for stage in record.stages:
        for text, step in stage.steps.items():
            merged: list[_Span] = []
            for start, end in sorted(step.spans):
                if merged and start <= merged[-1].end:
                    merged[-1].end = max(end, merged[-1].end)
                elif start < end:
                    merged.append(_Span(stage, text, _locks(text), start, end))
            yield from merged


def _locks(text: str) -> frozenset[str]:
    """Return the ids of the locked cache mounts of an instruction."""
    mounts = (
        dict(option.partition("=")[::2] for option in mount.split(","))
        for mount in MOUNT.findall(text)
    )
    return frozenset(
        mount.get("id") or mount.get("target", "")
        for mount in mounts
        if mount.get("type") == "cache" and mount.get("sharing") == "locked"
    )


def _wait(span: _Span, spans: Iterable[_Span]) -> tuple[datetime, str]:
    """Return when the last locked mount was released, and its id; empty without a wait."""
    others = (other for other in spans if span.start < other.end < span.end)
    return max(
        ((other.end, lock) for other in others for lock in span.locks & other.locks),
        default=(span.start, ""),
    )


def ticks(length: float) -> list[float]:
    """Return the ticks, in round seconds, of an axis that is `length` seconds long."""
    step = next((step for step in _STEPS if length / step <= _TICKS), length / _TICKS)
    return [step * number for number in range(int(length / step) + 1)] if length else [0]
