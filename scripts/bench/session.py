"""The current run of the rebuild bench: its results so far, and the file that stores them."""

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
"""The number of measurements of a short build."""
SHORT, SHORT_WHEN_QUICK = 60.0, 10.0
"""The seconds below which a build is short, in a full and in a quick run."""


@dataclass(frozen=True)
class State:
    """The inputs that make a build unique."""

    nonce: str
    """A new random value for each build, which is part of every edit."""
    base: str
    """The content of the marker file in the base image."""
    namespace: str
    """The namespace of the cache mounts."""
    repeat: int = 0


@dataclass
class Session:
    """The current run of the bench."""

    run: Run
    path: Path
    base_source: str
    """The source of the base image: `registry` or `bootstrap`."""
    cold_runs: int = 1
    """The number of cold builds, each with a new base and new cache mounts."""
    registry: Registry | None = None
    """The registry, which runs for remote contenders only."""

    def write(self) -> None:
        """Write the results so far, atomically."""
        part = self.path.with_suffix(".part")
        part.write_bytes(results.encode(self.run))
        part.replace(self.path)

    def state(self, contender: Contender, repeat: int = 0) -> State:
        """Return a new state for a contender, with its base and its cache mounts."""
        owner = PROJECT if contender.name == LIMIT else contender.name
        unique = f"bench-{self.run.name}-{owner}"
        return State(uuid.uuid4().hex[:12], unique, unique, repeat)

    def requested(self, result: Result) -> int:
        """Return the number of builds to measure for a result."""
        if result.scenario == COLD:
            return self.cold_runs
        short = SHORT_WHEN_QUICK if self.run.quick else SHORT
        is_short = result.seconds and result.seconds[0] < short
        return ROUNDS if is_short and SCENARIOS[result.scenario].repeats else 1


def machine() -> dict[str, Any]:
    """Describe the properties of this machine that affect the durations."""
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
        UserError: there is no run to continue, or its files changed or its caches were removed.
    """
    base_source = bases.choose()
    if base_source == "bootstrap":
        bases.bootstrap()
    if not resume:
        when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        properties = {**machine(), "bases": base_source}
        run = Run(when, git.revision(), properties, contenders.digest(), quick)
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
        UserError: there is no run.
    """
    if paths := sorted(DIRECTORY.glob(f"*{RUN}")):
        return paths[-1]
    raise UserError(
        "there is no run of the rebuild bench",
        f"{DIRECTORY} has none",
        "Run `nox -s bench -- rebuild`.",
    )
