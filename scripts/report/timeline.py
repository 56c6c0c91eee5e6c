"""When each stage of a build worked and when it waited, as far as the record can tell.

BuildKit counts the time that a step waits for a locked cache mount as the step's
own. But only one step at a time holds such a mount, up to its end: a step that
ran while another with the same mount ended cannot have begun its work before.
What a build beside this one held is not seen.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import shorten

from scripts.buildkit.records import SHOWN, Record, Stage, read_time, step_spans

_MOUNT = re.compile(r"--mount=(\S*)")
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000)
_TICKS = 6


@dataclass(frozen=True)
class Bar:
    """A time within a build, in seconds after the first step began."""

    start: float
    end: float
    what: str
    """The instruction."""
    awaits: str = ""
    """The cache mount that it waited for; empty where it worked."""


@dataclass(frozen=True)
class Row:
    """A stage."""

    stage: Stage
    bars: Sequence[Bar]

    def total(self, *, waiting: bool) -> float:
        """Return the seconds that it waited, or worked."""
        return sum(bar.end - bar.start for bar in self.bars if bool(bar.awaits) is waiting)


@dataclass(frozen=True)
class Timeline:
    """A build."""

    rows: Sequence[Row]
    """Its stages that took some time, in the order they began."""
    length: float
    timed: bool
    """Whether the record knows when steps began; all bars begin at 0 where it does not."""


@dataclass
class _Span:
    stage: Stage
    text: str
    locks: frozenset[str]
    start: datetime
    end: datetime


def timeline(record: Record) -> Timeline:
    """Lay out a build in time."""
    spans = sorted(_spans(record), key=lambda span: span.start)
    if not spans:
        took = [stage for stage in record.stages if stage.seconds >= SHOWN]
        rows = [Row(stage, [Bar(0, stage.seconds, "all steps")]) for stage in took]
        return Timeline(rows, max((stage.seconds for stage in took), default=0), timed=False)
    zero, bars = spans[0].start, dict[str, list[Bar]]()
    for span in spans:
        what = shorten(_MOUNT.sub("", span.text), 120, placeholder=" ...")
        start, end = ((time - zero).total_seconds() for time in (span.start, span.end))
        free, lock = _wait(span, spans)
        if lock:
            begun = (free - zero).total_seconds()
            bars.setdefault(span.stage.name, []).append(Bar(start, begun, what, lock))
            start = begun
        bars.setdefault(span.stage.name, []).append(Bar(start, end, what))
    stages = {stage.name: stage for stage in record.stages}
    rows = [Row(stages[name], found) for name, found in bars.items()]
    long = [row for row in rows if sum(bar.end - bar.start for bar in row.bars) >= SHOWN]
    return Timeline(long, max(bar.end for row in rows for bar in row.bars), timed=True)


def _spans(record: Record) -> Iterable[_Span]:
    """Yield when each step was at it; what overlaps within a step is told twice by BuildKit."""
    for stage in record.stages:
        for text, step in stage.steps.items():
            known: list[_Span] = []
            for times in sorted(step_spans(step)):
                start, end = map(read_time, times)
                if known and start <= known[-1].end:
                    known[-1].end = max(end, known[-1].end)
                elif start < end:
                    known.append(_Span(stage, text, _locks(text), start, end))
            yield from known


def _locks(text: str) -> frozenset[str]:
    """Return the ids of the cache mounts that an instruction has to itself."""
    mounts = (
        dict(word.partition("=")[::2] for word in mount.split(","))
        for mount in _MOUNT.findall(text)
    )
    return frozenset(
        mount.get("id") or mount.get("target", "")
        for mount in mounts
        if mount.get("type") == "cache" and mount.get("sharing") == "locked"
    )


def _wait(span: _Span, spans: Iterable[_Span]) -> tuple[datetime, str]:
    """Return when the last of the mounts was free, and which that was."""
    others = (other for other in spans if span.start < other.end < span.end)
    return max(
        ((other.end, lock) for other in others for lock in span.locks & other.locks),
        default=(span.start, ""),
    )


def ticks(length: float) -> list[float]:
    """Return round numbers of seconds for an axis of that length."""
    step = next((step for step in _STEPS if length / step <= _TICKS), length / _TICKS)
    return [step * number for number in range(int(length / step) + 1)] if length else [0]
