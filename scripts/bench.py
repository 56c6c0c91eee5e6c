"""Measure what the images do, and their builds: `nox -s bench -- server rebuild`.

Each bench is a module with a function that yields figures; this one chooses,
prints and keeps them. A ratio is of two things measured in turns in one run, so
that whatever else the machine does meets both. Nothing is asserted: figures are
for people, and for the pages of docs/ that quote them.
"""

import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from scripts import bench_rebuild, bench_server, engine, options
from scripts.console import UserError, say, start
from scripts.figures import Figure
from scripts.paths import RECORDS

Bench = Callable[[Namespace], Iterator[Figure]]
"""Given the options, measures."""
BENCHES: Mapping[str, Bench] = {
    "rebuild": bench_rebuild.figures,
    "server": lambda _: bench_server.figures(),
}
"""What can be measured, by name."""


def main(words: Sequence[str]) -> int:
    """Run the named benches, or all, and keep their figures in build/bench/.

    Raises:
        UserError: there is no bench of that name.
    """
    given = options.parse(words)
    names = given.targets or (["rebuild"] if given.quick or given.draw else list(BENCHES))
    if unknown := [name for name in names if name not in BENCHES]:
        raise UserError("no such bench", f"`{unknown[0]}`", f"There are: {', '.join(BENCHES)}.")
    if not given.draw:
        engine.require()
    folder = RECORDS / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        found = []
        for figure in BENCHES[name](given):
            say(f"{name}: {figure}")
            found.append(figure)
        if not found:
            continue
        path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}.json"
        path.write_text(json.dumps([asdict(figure) for figure in found], indent=1))
        say(f"kept in {path}")
    return 0


if __name__ == "__main__":
    start(main)
