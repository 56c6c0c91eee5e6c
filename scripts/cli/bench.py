"""`nox -s bench`: measure rebuilds of images, builds on fresh machines, and the server.

Each benchmark is a module of scripts/bench with a function that yields figures. The figures are
printed and stored in build/bench/; none of them fails the session. The two values of a ratio are
measured alternately in one run, so that other load on the machine affects both.
"""

import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain

from scripts.bench import rebuild, server
from scripts.bench.figure import Figure
from scripts.bench.flood import run as flood
from scripts.bench.fresh import overlap
from scripts.bench.fresh import run as fresh
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS
from scripts.engine import client

Bench = Callable[[Namespace], Iterator[Figure]]
"""Measures with the given options, and yields the figures."""
BENCHES: Mapping[str, Bench] = {
    "rebuild": rebuild.figures,
    "server": lambda _: chain(server.figures(), flood.figures()),
    "flood": flood.figures,
    "fresh": fresh.figures,
    "overlap": overlap.figures,
}
"""The benchmarks by name."""
DEFAULT = ("rebuild", "server")
"""The benchmarks that run if none is named."""


def run(options: Namespace) -> int:
    """Run the named benchmarks, or those of `DEFAULT`, and store their figures in build/bench/.

    Raises:
        UserError: there is no benchmark of that name.
    """
    rebuild_only = options.quick or options.update_docs
    names = options.benches or (["rebuild"] if rebuild_only else list(DEFAULT))
    if unknown := [name for name in names if name not in BENCHES]:
        raise UserError("no such benchmark", f"`{unknown[0]}`", f"Choose: {', '.join(BENCHES)}.")
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
