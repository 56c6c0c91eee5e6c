"""Read the results of benchmarks from docs/performance.json and build/bench/."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from scripts.core.console import say
from scripts.core.paths import PERFORMANCE, RECORDS, RUN

BEFORE = "before"
"""The contender that all other contenders are compared with."""
CONTENDERS = (BEFORE, "registry", "adr", "project", "limit")
"""The contenders in the order of the columns."""

_REBUILDS = (RUN, "-rebuild.json")
"""The suffixes of the rebuild bench's files: its runs and its figures."""
T = TypeVar("T")


class Result(Struct):
    """The builds of one contender in one scenario; see scripts/bench/results.py."""

    scenario: str
    contender: str
    target: str
    seconds: list[Annotated[float, Meta(gt=0)]]


class Run(Struct):
    """A run of the rebuild bench; see scripts/bench/results.py."""

    when: Annotated[datetime, Meta(tz=True)]
    revision: str
    machine: dict[str, Any]
    results: list[Result]


class Figure(Struct):
    """A number that a bench measured; see scripts/bench/figure.py."""

    name: str
    value: float
    unit: str = ""
    samples: list[float] = []


@dataclass(frozen=True)
class Rebuild:
    """The median duration of each contender in one scenario, in seconds."""

    scenario: str
    target: str
    seconds: Mapping[str, float]

    def speedup(self, contender: str) -> float | None:
        """Return how many times faster a contender is than `BEFORE`; None without both results."""
        before, measured = self.seconds.get(BEFORE), self.seconds.get(contender)
        return before / measured if before and measured else None


def rebuilds(run: Run) -> list[Rebuild]:
    """Return the medians of a run, in the order of the measurements."""
    medians: dict[tuple[str, str], dict[str, float]] = {}
    for result in run.results:
        if result.seconds:
            row = medians.setdefault((result.scenario, result.target), {})
            row[result.contender] = median(result.seconds)
    return [Rebuild(*key, seconds) for key, seconds in medians.items()]


def newest_run() -> Run | None:
    """Return the newest run of the rebuild bench that has results, or None.

    A run is in build/bench/ until `--update-docs` adds it to docs/performance.json.
    """
    runs = _read(PERFORMANCE, list[Run], "a history of the rebuild bench") or []
    for path in sorted((RECORDS / "bench").glob(f"*{RUN}")):
        run = _read(path, Run, "a run of the rebuild bench")
        runs += [run] if run else []
    return max((run for run in runs if rebuilds(run)), key=lambda run: run.when, default=None)


def newest_figures() -> dict[str, list[Figure]]:
    """Return the newest figures of each bench by its name, without the rebuild bench."""
    figures: dict[str, list[Figure]] = {}
    for path in sorted((RECORDS / "bench").glob("*.json")):
        if not path.name.endswith(_REBUILDS):
            name = path.stem.partition("-")[2] or path.stem
            figures[name] = _read(path, list[Figure], "the figures of a bench") or figures.get(
                name, []
            )
    return {name: rows for name, rows in figures.items() if rows}


def _read(path: Path, of: type[T], what: str) -> T | None:
    """Return the content of a file; None if it does not exist or, with a message, is invalid."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=of)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, OSError, RecursionError) as error:
        say(f"ignoring {path.name}, which is not {what}: {error}")
        return None
