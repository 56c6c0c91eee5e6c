"""The results of the bench of a flood, and the run that docs/flood.json stores."""

from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct

from scripts.core.paths import ROOT

STORED = ROOT / "docs" / "flood.json"
"""The run that docs/server.md shows."""
OK, REFUSED = "200", "429"
"""The statuses of a score and of a refusal."""


class Row(Struct):
    """The responses to some clients in one round."""

    load: str
    """What the clients send, a key of `run.LOADS`."""
    clients: int
    seconds: float
    counts: dict[str, int]
    """The number of responses by status, and of failures by name."""
    memory: float
    """The peak memory of the server since it started, in MiB."""
    ready: float
    """The slowest response of /readyz in seconds."""

    @property
    def scores(self) -> float:
        """The scores per second."""
        return self.counts.get(OK, 0) / self.seconds

    @property
    def refusals(self) -> float:
        """The refusals per second."""
        return self.counts.get(REFUSED, 0) / self.seconds

    @property
    def others(self) -> int:
        """The number of other responses and of failures."""
        return sum(self.counts.values()) - sum(self.counts.get(s, 0) for s in (OK, REFUSED))


class Run(Struct):
    """One run on one machine."""

    when: str
    """The start of the run in UTC, in ISO 8601."""
    revision: str
    machine: dict[str, Any]
    own_core: bool
    """Whether server and clients had a core each."""
    rounds: list[list[Row]] = []

    def loads(self) -> list[str]:
        """Return the loads in the order of the measurement."""
        return list(dict.fromkeys(row.load for rows in self.rounds for row in rows))

    def best(self, load: str) -> list[Row]:
        """Return the row with the most scores per second of each round, except the flood."""
        return [max(rows[:-1], key=lambda row: row.scores) for rows in self._rounds(load)]

    def flood(self, load: str) -> list[Row]:
        """Return the row with the most clients of each round."""
        return [rows[-1] for rows in self._rounds(load)]

    def ratio(self, load: str) -> float:
        """Return the median ratio of the scores per second under the flood to the best ones."""
        pairs = zip(self.flood(load), self.best(load), strict=True)
        return median(flood.scores / best.scores if best.scores else 0 for flood, best in pairs)

    def _rounds(self, load: str) -> list[list[Row]]:
        rounds = [[row for row in rows if row.load == load] for rows in self.rounds]
        return [sorted(rows, key=lambda row: row.clients) for rows in rounds if rows]


def encode(run: Run) -> bytes:
    """Encode a run as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"


def decode(path: Path) -> Run:
    """Decode the run in a file.

    Raises:
        msgspec.DecodeError: the file is not a run.
    """
    return msgspec.json.decode(path.read_bytes(), type=Run)
