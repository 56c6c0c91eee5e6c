"""Measure what the images do, and their builds: `nox -s bench -- server rebuild`.

Each bench is a module with a function that yields figures; this one chooses,
prints and keeps them. A ratio is of two things measured in turns in one run, so
that whatever else the machine does meets both. Nothing is asserted: figures are
for people, and for the pages of docs/ that quote them.
"""

import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from scripts.bench import rebuild, server
from scripts.bench.figure import Figure
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS
from scripts.engine import client

Bench = Callable[[Namespace], Iterator[Figure]]
"""Given the options, measures."""
BENCHES: Mapping[str, Bench] = {
    "rebuild": rebuild.figures,
    "server": lambda _: server.figures(),
}
"""What can be measured, by name."""


def run(options: Namespace) -> int:
    """Run the named benches, or all, and keep their figures in build/bench/.

    Raises:
        UserError: there is no bench of that name.
    """
    rebuild_only = options.quick or options.update_docs
    names = options.benches or (["rebuild"] if rebuild_only else list(BENCHES))
    if unknown := [name for name in names if name not in BENCHES]:
        raise UserError("no such bench", f"`{unknown[0]}`", f"There are: {', '.join(BENCHES)}.")
    if not options.update_docs:
        client.require()
    directory = RECORDS / "bench"
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        figures = []
        for figure in BENCHES[name](options):
            say(f"{name}: {figure}")
            figures.append(figure)
        if not figures:
            continue
        path = directory / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}.json"
        path.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))
        say(f"figures written to {path}")
    return 0
