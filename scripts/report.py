"""What a build leaves behind: a table, a record for later builds to compare with, an error."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, datetime
from itertools import chain
from math import inf
from typing import Any, get_args, get_origin, get_type_hints

from rich.filesize import decimal
from rich.table import Table

from scripts.console import UserError, console, say
from scripts.paths import RECORDS, ROOT
from scripts.progress import Outcome
from scripts.rawjson import Build, Step

COMPILER_CACHES = ("ccache", "depcache")
"""Those whose hits a recipe may report, by the name of the measure."""
_MISSED = ("miss", "unsafe")
"""What the name of a count has in it that is neither a hit nor passed on to a compiler."""
FEWEST_CALLS = 20
"""A hit rate of less calls tells nothing."""
DROP = 0.10
"""How far a hit rate may fall below its best before somebody is told."""
_LAST_LINES = 20
NO_RECORD = (ArithmeticError, LookupError, OSError, RecursionError, TypeError, ValueError)
"""What reading JSON may raise that was not written by us, or is damaged."""
SHOWN = 0.1
"""A stage that took less seconds is not worth a row."""
_HINTS = {
    "exit code: 137": "Exit code 137 means killed, mostly for want of memory.",
    "no space left": "The disk is full: `docker system df` shows what the engine keeps on it.",
}


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


@dataclass(frozen=True)
class Drop:
    """A stage that ccache serves worse than it once did."""

    stage: str
    before: float
    now: float

    def __str__(self) -> str:
        """One line to shout."""
        return (
            f"ccache: {self.stage} fell from {self.before:.0%} to {self.now:.0%} hits: "
            "its compile flags or headers no longer match what the cache holds (docs/caching.md)"
        ).replace("%", " %")


def hit_rate_drops(latest: Record, earlier: Iterable[Record]) -> list[Drop]:
    """Return the stages whose hit rate is well below the best of earlier builds alike.

    Alike are builds that succeeded, in the same namespace of cache mounts. A
    stage that never was measured before is cold, not a drop.
    """
    best: dict[str, float] = {}
    for old in earlier:
        alike = old.outcome == "built" and old.namespace == latest.namespace
        for stage in old.stages if alike and old.started < latest.started else ():
            if (rate := stage.hit_rate) is not None:
                best[stage.name] = max(rate, best.get(stage.name, 0.0))
    return [
        Drop(stage.name, best[stage.name], rate)
        for stage in latest.stages
        if (rate := stage.hit_rate) is not None and best.get(stage.name, 0.0) - rate > DROP
    ]


def _rate(hits: int, calls: int) -> str:
    """Return hits for people; nothing where nothing was asked."""
    return f"{hits} of {calls}, {hits / calls:.0%}".replace("%", " %") if calls else ""


def summary(latest: Record, drops: Iterable[Drop] = ()) -> None:
    """Print the closing table, the images with their sizes, and any drop in red."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("stage", "for"):
        table.add_column(heading, overflow="fold")
    for heading in ("time", "steps cached", *(f"{name} hits" for name in COMPILER_CACHES)):
        table.add_column(heading, justify="right")
    worth = [stage for stage in latest.stages if stage.seconds >= SHOWN or stage.measures]
    for stage in worth:
        cached = sum(step["cached"] for step in stage.steps.values())
        # Targets that nobody asked for give their stages to those asked for.
        asked = [name for name in stage.targets if name in latest.targets]
        table.add_row(
            stage.name,
            " ".join(asked or stage.targets),
            f"{stage.seconds:.1f} s",
            f"{cached} of {len(stage.steps)}",
            *(_rate(*stage.rates.get(name, (0, 0))) for name in COMPILER_CACHES),
        )
    if worth:
        console.print(table)
    folded = len(latest.stages) - len(worth)
    say(f"{latest.outcome} in {latest.seconds:.1f} s, {folded} more cached or instant")
    for tag, size in latest.sizes.items():
        say(f"{tag}  {decimal(size)}")
    for warning in latest.warnings:
        say(f"warning: {warning}")
    for drop in drops:
        console.print(str(drop), style="bold red", markup=False, soft_wrap=True)


def failure(outcome: Outcome) -> UserError:
    """Return the error that tells people what failed in a build, where, and what to do."""
    build, step, source = outcome.build, outcome.build.failed, outcome.build.source
    todo = [f"The full log is {outcome.log}."]
    what = f"stage {step.stage} failed" if step and step.number else "the build failed"
    if step:
        lines = [step.error.rpartition("did not complete successfully: ")[2], *step.tail]
        todo.append("Mend this and build again: what is done stays cached.")
    else:
        lines = build.text[-1:] or [f"buildx ended with code {outcome.returncode}, and no word"]
        todo.append("`nox -s engine -- --status` says whether an engine answers.")
    todo += [hint for sign, hint in _HINTS.items() if any(sign in line for line in lines)]
    reason, *tail = lines
    why = [reason, *(f"  | {line}" for line in tail[-_LAST_LINES:])]
    if source:
        # The buildx of 2024 tells the file without its folder.
        files = [path.relative_to(ROOT) for path in ROOT.glob(source.file)]
        files += [
            path.relative_to(ROOT)
            for folder in ("docker", "dev")
            for path in (ROOT / folder).rglob(source.file)
        ]
        file = files[0] if len(files) == 1 else source.file
        why += [
            f"at {file}:{source.line}",
            *(f"  {line}" for line in source.instruction.splitlines()),
        ]
    elif step:
        why.append(f"at {step.label}")
    return UserError(what, "\n".join(why), "\n".join(todo))
