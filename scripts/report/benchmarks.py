"""The results of the benches in docs/performance.json and build/bench/, for the report."""

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
"""The contender that the others are compared with."""
CONTENDERS = (BEFORE, "registry", "adr", "project", "limit")
"""The order of the columns."""

_REBUILDS = (RUN, "-rebuild.json")
"""The ends of the names of the rebuild bench's files; the second has figures, as other benches."""
T = TypeVar("T")


class Result(Struct):
    """The builds of one contender in one scenario; see scripts/bench/results.py."""

    scenario: str
    contender: str
    target: str
    seconds: list[Annotated[float, Meta(gt=0)]]


class Run(Struct):
    """A run of the rebuild bench."""

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
    """The median seconds of the contenders in one scenario."""

    scenario: str
    target: str
    seconds: Mapping[str, float]

    def times_faster(self, contender: str) -> float | None:
        """Return how many times faster a contender is than the builds before cache mounts."""
        before, other = self.seconds.get(BEFORE), self.seconds.get(contender)
        return before / other if before and other else None


def rebuilds(run: Run) -> list[Rebuild]:
    """Return the medians of a run, in the order in which it measured them."""
    medians: dict[tuple[str, str], dict[str, float]] = {}
    for result in run.results:
        if result.seconds:
            row = medians.setdefault((result.scenario, result.target), {})
            row[result.contender] = median(result.seconds)
    return [Rebuild(*key, seconds) for key, seconds in medians.items()]


def newest_run() -> Run | None:
    """Return the newest run of the rebuild bench that has results, or None.

    A run is in build/bench/ until it is added to the history in docs/performance.json.
    """
    runs = _read(PERFORMANCE, list[Run], "a history of the rebuild bench") or []
    for path in sorted((RECORDS / "bench").glob(f"*{RUN}")):
        run = _read(path, Run, "a run of the rebuild bench")
        runs += [run] if run else []
    return max((run for run in runs if rebuilds(run)), key=lambda run: run.when, default=None)


def newest_figures() -> dict[str, list[Figure]]:
    """Return the newest figures of each bench other than the rebuild bench, by its name."""
    figures: dict[str, list[Figure]] = {}
    for path in sorted((RECORDS / "bench").glob("*.json")):
        if not path.name.endswith(_REBUILDS):
            name = path.stem.partition("-")[2] or path.stem
            figures[name] = _read(path, list[Figure], "the figures of a bench") or figures.get(
                name, []
            )
    return {name: rows for name, rows in figures.items() if rows}


def _read(path: Path, of: type[T], what: str) -> T | None:
    """Return the content of a file; None if it is absent, or with a message if it is invalid."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=of)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, OSError, RecursionError) as error:
        say(f"ignoring {path.name}, which is not {what}: {error}")
        return None
