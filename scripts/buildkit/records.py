"""What a build leaves behind: a table, a record for later builds to compare with, an error."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, datetime
from itertools import chain
from math import inf
from typing import Any, get_args, get_origin, get_type_hints

from scripts.buildkit.progress import Outcome
from scripts.buildkit.rawjson import Build, Step
from scripts.core.console import say
from scripts.core.paths import RECORDS

COMPILER_CACHES = ("ccache", "depcache")
"""Those whose hits a recipe may report, by the name of the measure."""
_MISSED = ("miss", "unsafe")
"""What the name of a count has in it that is neither a hit nor passed on to a compiler."""
FEWEST_CALLS = 20
"""A hit rate of less calls tells nothing."""
NO_RECORD = (ArithmeticError, LookupError, OSError, RecursionError, TypeError, ValueError)
"""What reading JSON may raise that was not written by us, or is damaged."""
SHOWN = 0.1
"""A stage that took less seconds is not worth a row."""


@dataclass
class Stage:
    """What one stage of a Dockerfile cost, or the loading of contexts or writing of images."""

    name: str
    targets: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cached: bool = True
    measures: dict[str, Any] = field(default_factory=dict)
    """Those of its steps; numbers are added up."""
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Seconds, whether cached, and the times it began and ended, by instruction.

    Twins in several targets are one. Records older than November 2026 have no times.
    """

    @property
    def rates(self) -> dict[str, tuple[int, int]]:
        """By compiler cache, how often it had the answer and how often it was asked."""
        found = {}
        for cache, counts in self.measures.items():
            if isinstance(counts, dict):
                numbers = {key: n for key, n in counts.items() if isinstance(n, int) and n >= 0}
                hits = sum(n for key, n in numbers.items() if "hit" in key)
                missed = [n for key, n in numbers.items() if any(word in key for word in _MISSED)]
                if calls := hits + sum(missed):
                    found[cache] = (hits, calls)
        return found

    @property
    def calls(self) -> tuple[int, int]:
        """How often ccache had the answer, and how often it was asked."""
        return self.rates.get("ccache", (0, 0))

    @property
    def hit_rate(self) -> float | None:
        """Hits per call; None where too few calls were made to tell."""
        hits, calls = self.calls
        return hits / calls if calls >= FEWEST_CALLS else None

    def add(self, step: Step) -> None:
        """Count one more step in."""
        self.targets += [name for name in step.targets if name not in self.targets]
        self.seconds += step.seconds
        self.cached = self.cached and step.cached
        place = f"{step.number}/{step.of} " if step.number else ""
        text = f"{place}{step.text}"
        twin = self.steps.setdefault(text, {"seconds": 0.0, "cached": True, "spans": []})
        twin["seconds"] = round(twin["seconds"] + step.seconds, 3)
        twin["cached"] = twin["cached"] and step.cached
        twin["spans"] += [[_stamp(time) for time in span] for span in step.worked]
        _add(self.measures, step.measures)


def _stamp(time: datetime) -> str:
    """Write a time as the records have it."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _add(total: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add numbers to numbers, go down into mappings, and take the later of anything else."""
    for key, value in more.items():
        before = total.get(key)
        if isinstance(value, dict):
            total[key] = dict(before) if isinstance(before, dict) else {}
            _add(total[key], value)
        else:
            numbers = isinstance(value, int | float) and isinstance(before, int | float)
            total[key] = before + value if numbers else value


def stages(build: Build) -> list[Stage]:
    """Return what each stage cost, in the order they were begun."""
    found: dict[str, Stage] = {}
    done = (step for step in build.steps.values() if step.done)
    for step in sorted(done, key=lambda step: min(step.spans)):
        found.setdefault(step.stage, Stage(step.stage)).add(step)
    return list(found.values())


@dataclass
class Record:
    """One build, as kept in build/records/."""

    targets: list[str]
    options: dict[str, Any]
    namespace: str
    started: str
    seconds: float
    outcome: str
    """`built` or `failed`."""
    stages: list[Stage]
    sizes: dict[str, int]
    """The bytes of each image, by tag."""
    warnings: list[str]

    def write(self) -> None:
        """Keep it for later builds to compare with."""
        stamp = self.started.replace(":", "").replace("-", "")
        path = RECORDS / "records" / f"{stamp}-{'-'.join(self.targets)}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, default=str), encoding="utf-8")


def record(
    outcome: Outcome,
    *,
    targets: Sequence[str],
    options: Mapping[str, Any],
    namespace: str,
    sizes: Mapping[str, int],
) -> Record:
    """Return what is worth keeping of a build; `options` is whatever makes sense of it later."""
    return Record(
        targets=list(targets),
        options=dict(options),
        namespace=namespace,
        started=_stamp(outcome.started),
        seconds=round(outcome.seconds, 3),
        outcome="failed" if outcome.returncode else "built",
        stages=stages(outcome.build),
        sizes=dict(sizes),
        warnings=outcome.build.warnings,
    )


def _read(text: str) -> Record:
    """Turn JSON into a record; raises whatever tells that it is none."""
    data = json.loads(text)
    found = Record(**{**data, "stages": [Stage(**stage) for stage in data["stages"]]})
    if not _fits(found, Record):
        raise TypeError
    steps = [step for stage in found.stages for step in stage.steps.values()]
    if not all(_fits(step["seconds"], float) and _fits(step["cached"], bool) for step in steps):
        raise TypeError
    for time in (found.started, *chain(*(span for step in steps for span in step_spans(step)))):
        read_time(time)
    return found


def _fits(value: Any, kind: Any) -> bool:  # noqa: ANN401 (JSON may be anything)
    """Whether JSON is of a type; a number is one that can be drawn."""
    if origin := get_origin(kind):  # list or dict
        inside = value.values() if isinstance(value, dict) else value
        return isinstance(value, origin) and all(_fits(one, get_args(kind)[-1]) for one in inside)
    if kind in {int, float}:
        return isinstance(value, int | float) and 0 <= float(value) < inf
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return all(_fits(getattr(value, name), hint) for name, hint in hints.items())
    return kind is Any or isinstance(value, kind)


def read_time(text: str) -> datetime:
    """Read a time of a record."""
    return datetime.fromisoformat(text).astimezone(UTC)


def step_spans(step: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return when a step began and ended, each time; nothing where the record is too old."""
    return [(start, end) for start, end in step.get("spans", ())]


def records() -> list[Record]:
    """Return the records of earlier builds, oldest first; says which files are none."""
    found = []
    for path in sorted((RECORDS / "records").glob("*.json")):
        try:
            found.append(_read(path.read_text(encoding="utf-8")))
        except NO_RECORD:
            say(f"{path.relative_to(RECORDS)} is no record of a build and is left out")
    return found
