"""The results of the bench of fresh machines, and the newest run in docs/fresh.json."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scripts.bench.results import Result
from scripts.buildkit.records import StageRecord
from scripts.core.paths import ROOT

STORED = ROOT / "docs" / "fresh.json"
"""The run that docs/performance.md shows."""
BASES = {"libvmaf-c": "first", "base": "base"}
"""The scenarios of the rebuild bench that are measured, a new commit and a new base image, and the
place of the base image of each in the mirror; the first build has that of the commit."""
NOTHING = "nothing"
"""The contender whose machine stays without data."""


class Saved(Struct):
    """What one transport saved after the first build."""

    seconds: float
    bytes: int


class Row(Result):
    """The build of one contender in one scenario, on a machine of its own."""

    load: float = 0.0
    """The seconds before the build in which caches were brought to the machine."""
    transferred: int = 0
    """The bytes of caches that came to the machine, during the load and the build."""
    compiled: float = 0.0
    """The seconds of the steps that use the compiler cache: libvmaf and FFmpeg."""
    apt: int = 0
    """The bytes of Debian packages that the build fetched."""

    def measure(self, seconds: float, stages: Iterable[StageRecord]) -> None:
        """Store a build."""
        stages = list(stages)
        self.add(seconds, stages, 0)
        compiling = [stage for stage in stages if stage.lookups and not stage.cached]
        self.compiled = round(sum(stage.seconds for stage in compiling), 2)
        fetched = [stage.measurements.apt.fetched for stage in stages if stage.measurements.apt]
        self.apt = sum(fetched)

    @property
    def total(self) -> float:
        """The seconds from the empty machine to the image."""
        return self.load + self.value


class Run(Struct):
    """One run on one machine."""

    when: str
    """The start of the run in UTC, in ISO 8601."""
    revision: str
    machine: dict[str, Any]
    image: str
    contenders: list[str]
    inputs: str = ""
    """The digest of the files that the images were built from."""
    mounts: list[str] = []
    """The ids of the cache mounts that the first build filled and that travel."""
    saves: dict[str, Saved] = {}
    """By transport."""
    rows: list[Row] = []
    filled: bool = False
    """Whether the first build and all saves are done."""
    closed: bool = False
    """Whether what the transports saved is removed, so that the run cannot be resumed."""

    @property
    def name(self) -> str:
        """The start of the run, for names of files and images."""
        return self.when.replace("-", "").replace(":", "").lower()

    @property
    def nonce(self) -> str:
        """The name of the edit, which is the same for all contenders so that images are equal."""
        return sha256(self.when.encode()).hexdigest()[:12]

    def row(self, scenario: str, contender: str) -> Row | None:
        """Return a measured build; that of `nothing` counts for all scenarios."""
        for row in self.rows:
            names = (row.scenario, row.contender)
            if row.seconds and row.contender == contender and names[0] in {scenario, NOTHING}:
                return row
        return None


def encode(run: Run) -> bytes:
    """Encode a run as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"


def decode(path: Path) -> Run:
    """Decode the run in a file.

    Raises:
        msgspec.DecodeError: the file is not a run.
    """
    return msgspec.json.decode(path.read_bytes(), type=Run)


def ratio(run: Run, row: Row, name: str) -> float | None:
    """Return how many times less a row has of `total` or `compiled` than `nothing` has."""
    cold = run.row(row.scenario, NOTHING)
    mine, other = getattr(row, name), getattr(cold, name, None)
    return other / mine if mine and other and row.contender != NOTHING else None
