"""A run of the rebuild bench under way: its results so far, and where they are written."""

import os
import platform
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.bench import contenders, results
from scripts.bench.contenders import Contender
from scripts.bench.registry import Registry
from scripts.bench.results import LIMIT, PROJECT, Result, Run
from scripts.bench.scenarios import COLD, SCENARIOS
from scripts.core import git
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS, RUN
from scripts.engine import client
from scripts.images import bases

DIRECTORY = RECORDS / "bench"
ROUNDS = 3
"""How often a short build is measured."""
SHORT, SHORT_WHEN_QUICK = 60.0, 10.0
"""Builds that take fewer seconds are repeated."""


@dataclass(frozen=True)
class State:
    """The inputs of one build that keep it apart from all others."""

    nonce: str
    """Part of every edit; new for each build."""
    base: str
    """The content of a file in the base image."""
    namespace: str
    """The namespace of the cache mounts."""
    repeat: int = 0


@dataclass
class Session:
    """A run of the bench under way."""

    run: Run
    path: Path
    base_source: str
    """Where the base image is from: `registry` or `bootstrap`."""
    cold_runs: int = 1
    """How often the first build is measured, each time with a new base and new cache mounts."""
    registry: Registry | None = None
    """Runs while a contender needs it."""

    def write(self) -> None:
        """Write the results so far; an interrupted write leaves the earlier file."""
        part = self.path.with_suffix(".part")
        part.write_bytes(results.encode(self.run))
        part.replace(self.path)

    def state(self, contender: Contender, repeat: int = 0) -> State:
        """Return a new state for a contender, with the base and cache mounts it always has."""
        owner = PROJECT if contender.name == LIMIT else contender.name
        apart = f"bench-{self.run.name}-{owner}"
        return State(uuid.uuid4().hex[:12], apart, apart, repeat)

    def requested(self, result: Result) -> int:
        """Return how often a scenario is to be built."""
        if result.scenario == COLD:
            return self.cold_runs
        short = SHORT_WHEN_QUICK if self.run.quick else SHORT
        again = result.seconds and result.seconds[0] < short
        return ROUNDS if again and SCENARIOS[result.scenario].repeats else 1


def machine() -> dict[str, Any]:
    """Describe what of this machine determines the durations."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    engine = client.require()
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(memory / 1e9),
        "system": platform.platform(),
        "engine": engine.version,
        "buildx": engine.buildx,
    }


def begin(*, resume: bool, quick: bool, cold_runs: int = 1) -> Session:
    """Start a new run, or continue the newest one.

    Raises:
        UserError: there is no run to continue, or its files or caches are gone.
    """
    base_source = bases.choose()
    if base_source == "bootstrap":
        bases.bootstrap()
    if not resume:
        when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        described = {**machine(), "bases": base_source}
        run = Run(when, git.revision(), described, contenders.digest(), quick)
        return Session(run, DIRECTORY / f"{run.name}{RUN}", base_source, cold_runs)
    path = newest()
    run = results.decode(path.read_bytes())
    if run.inputs != contenders.digest():
        raise UserError(
            "cannot resume the bench",
            f"the files that {path} was built from have changed since",
            f"Check out {run.revision}, or start a new run without --resume.",
        )
    if run.closed:
        raise UserError(
            "cannot resume the bench",
            f"the cache mounts of {path} are removed, so that later builds would not be warm",
            "Start a new run; --keep-state keeps the cache mounts of a run.",
        )
    say(f"resuming {path}")
    run.quick = run.quick and quick
    return Session(run, path, base_source, cold_runs)


def newest() -> Path:
    """Return the file of the latest run.

    Raises:
        UserError: there is none.
    """
    if paths := sorted(DIRECTORY.glob(f"*{RUN}")):
        return paths[-1]
    raise UserError(
        "there is no run of the rebuild bench",
        f"{DIRECTORY} has none",
        "Run `nox -s bench -- rebuild`.",
    )
