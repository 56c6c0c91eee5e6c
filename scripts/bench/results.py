"""The results of the rebuild bench, and their history in docs/performance.json."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from scripts.buildkit.rawjson import EXPORT
from scripts.buildkit.records import StageRecord
from scripts.core.paths import PERFORMANCE

PROJECT, LIMIT = "project", "limit"
"""The names of the contender that is this checkout, and of the lower bound."""

_FETCHED = re.compile(r"Fetched ([\d.,]+) ([kMGT]?)B in ")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class Result(msgspec.Struct):
    """The builds of one contender in one scenario."""

    scenario: str
    contender: str
    target: str
    seconds: list[float] = []
    """The duration of each build, from the command to the exported image."""
    hits: float | None = None
    """The hit rate of the compiler caches in the last build; None without lookups."""
    downloaded_bytes: int = 0
    """The largest number of bytes that apt fetched in a build, package indexes included."""
    digests_equal: bool | None = None
    """Whether the project's files are the same as in a cold build; None if not compared."""
    note: str = ""
    """The error in the image; empty if the image is correct."""
    stages: dict[str, list[float]] = {}
    """The seconds of each stage that was not cached, one value per build."""

    def add(self, seconds: float, stages: Iterable[StageRecord], downloaded_bytes: int) -> None:
        """Add one build."""
        stages = list(stages)
        counts = [count for stage in stages for count in stage.lookups.values()]
        total = sum(count.total for count in counts)
        self.hits = round(sum(count.hits for count in counts) / total, 4) if total else None
        self.downloaded_bytes = max(self.downloaded_bytes, downloaded_bytes)
        for stage in stages:
            if not stage.cached:
                self.stages.setdefault(stage.name, []).append(round(stage.seconds, 2))
        self.seconds.append(round(seconds, 2))

    @property
    def value(self) -> float:
        """The median duration of the builds in seconds."""
        return median(self.seconds)

    @property
    def compile_seconds(self) -> float | None:
        """The seconds of the libvmaf and FFmpeg steps; None unless both ran."""
        steps = [self.stages.get(f"{name}-{self.target}") for name in ("libvmaf", "ffmpeg")]
        return sum(median(step) for step in steps if step) if all(steps) else None

    @property
    def export(self) -> float:
        """The seconds of the image export."""
        return median(self.stages.get(EXPORT, [0.0]))


class Run(msgspec.Struct):
    """One run of the rebuild bench on one machine."""

    when: str
    """The start of the run in UTC, in ISO 8601."""
    revision: str
    machine: dict[str, Any]
    inputs: str = ""
    """The digest of the files that the images were built from."""
    quick: bool = False
    results: list[Result] = []
    limits: dict[str, dict[str, float]] = {}
    """The seconds of work that no cache can avoid, by compile stage and kind of work."""
    closed: bool = False
    """Whether its cache mounts are removed, so that it cannot be resumed."""

    @property
    def name(self) -> str:
        """The start of the run, for file names and for the namespace of its cache mounts."""
        return self.when.replace("-", "").replace(":", "").lower()

    def result(self, scenario: str, contender: str, target: str) -> Result:
        """Return the result of a contender in a scenario; add an empty one if there is none."""
        for result in self.results:
            if (result.scenario, result.contender) == (scenario, contender):
                return result
        new = Result(scenario, contender, target)
        self.results.append(new)
        return new

    def by_scenario(self) -> dict[str, dict[str, Result]]:
        """Return the results that have builds, by scenario and contender."""
        rows: dict[str, dict[str, Result]] = {}
        for result in self.results:
            if result.seconds:
                rows.setdefault(result.scenario, {})[result.contender] = result
        return rows


def encode(value: Run | list[Run]) -> bytes:
    """Encode a run or a list of runs as indented JSON, without results that have no builds."""
    complete = (
        [_with_builds(run) for run in value] if isinstance(value, list) else _with_builds(value)
    )
    return msgspec.json.format(msgspec.json.encode(complete), indent=1) + b"\n"


def _with_builds(run: Run) -> Run:
    results = [result for result in run.results if result.seconds]
    return msgspec.structs.replace(run, results=results)


def decode(text: bytes) -> Run:
    """Decode a run.

    Raises:
        msgspec.DecodeError: the text is not a run.
    """
    return msgspec.json.decode(text, type=Run)


def history() -> list[Run]:
    """Return the runs in docs/performance.json, oldest first.

    Raises:
        msgspec.DecodeError: the file is not a history of runs.
    """
    if not PERFORMANCE.exists():
        return []
    return msgspec.json.decode(PERFORMANCE.read_bytes(), type=list[Run])


def store(run: Run) -> None:
    """Add a run to the history, or replace its earlier state."""
    runs = [stored for stored in history() if stored.when != run.when] + [run]
    runs.sort(key=lambda stored: stored.when)
    PERFORMANCE.write_bytes(encode(runs))


def downloaded(log: Path) -> int:
    """Return the bytes that apt fetched in all steps of a build, according to its log."""
    total = 0.0
    for number, unit in _FETCHED.findall(log.read_text(errors="replace")):
        total += float(number.replace(",", "")) * _UNITS[unit]
    return int(total)


def speedup(slow: Result | None, fast: Result | None) -> float | None:
    """Return how many times faster `fast` is than `slow`; None if either is missing."""
    return slow.value / fast.value if slow and fast and fast.value else None


def rows(run: Run, titles: Mapping[str, str]) -> dict[str, dict[str, Result]]:
    """Return the results by scenario and contender, in the order of the titles."""
    results = run.by_scenario()
    return {name: results[name] for name in titles if name in results}


def with_limit(run: Run, titles: Mapping[str, str]) -> dict[str, dict[str, Result]]:
    """Return the results of the project and of the limit for the scenarios that have both."""
    pair = (PROJECT, LIMIT)
    return {
        name: {contender: row[contender] for contender in pair}
        for name, row in rows(run, titles).items()
        if set(pair) <= set(row)
    }
