"""Measure how many scores the server returns to a few clients, and under a flood of clients.

The clients repeat a refused request at once, on the same connection or on a new one. The server
and the clients have a core each, if the machine has two.
"""

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import requests

from scripts.bench import session
from scripts.bench.figure import Figure, median_figure, ratio
from scripts.bench.flood import clients, results, table
from scripts.bench.flood.results import Row, Run
from scripts.bench.server import docker, memory, server
from scripts.core import clips, git
from scripts.core.console import UserError, console, say
from scripts.core.paths import RECORDS

FILES = RECORDS / "bench" / "flood"
ROUNDS, SECONDS = 3, 10
FEW, FLOOD = (2, 8), 200
"""The numbers of clients."""
LOADS = {
    "paths, same connection": (False, True),
    "paths, new connections": (False, False),
    "uploads, same connection": (True, True),
    "uploads, new connections": (True, False),
}
"""What the clients send: whether they upload, and whether they keep their connections."""
POLL_SECONDS, TIMEOUT_SECONDS = 0.5, 30
"""The pause between two health checks, and their timeout."""


def slowest_check(url: str, end: Event) -> float:
    """Return the seconds that the slowest health check took until `end` is set.

    A check that fails took TIMEOUT_SECONDS.
    """
    slowest = 0.0
    while not end.wait(POLL_SECONDS):
        start = time.monotonic()
        try:
            requests.get(f"{url}/readyz", timeout=TIMEOUT_SECONDS).raise_for_status()
        except requests.RequestException as error:
            say(f"flood: a health check failed: {error}")
            slowest = TIMEOUT_SECONDS
        slowest = max(slowest, time.monotonic() - start)
    return slowest


def measure(name: str, address: str, load: str, count: int, core: int | None) -> Row:
    """Measure one load with a number of clients.

    Args:
        name: the server's container.
        address: its IP address.
        load: a key of LOADS.
        count: the number of clients.
        core: the core of the clients; None for any.
    """
    upload, keep = LOADS[load]
    end = Event()
    with ThreadPoolExecutor(1) as pool:
        check = pool.submit(slowest_check, f"http://{address}:8080", end)
        try:
            counts = clients.run(
                clients.Load(address, 8080, count, SECONDS, upload=upload, keep=keep, core=core)
            )
        finally:
            end.set()
        slowest = check.result()
    row = Row(load, count, SECONDS, counts, round(memory(name, "VmHWM"), 1), round(slowest, 3))
    say(
        f"flood: {load}, {count} clients: {row.scores:.1f} scores/s, "
        f"{row.refusals:.0f} refusals/s, {row.others} others"
    )
    return row


def measure_all(run: Run) -> None:
    """Add the rounds of all loads to a run."""
    first, *others = sorted(os.sched_getaffinity(0))
    core = others[-1] if run.own_core else None
    pinned = (f"--cpuset-cpus={first}",) if run.own_core else ()
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        for name in clients.PATHS.values():
            clips.generate(Path(directory, name))
        with server(Path(directory), *pinned) as (name, _):
            # docker-proxy, which serves published ports on loopback, would run on both cores.
            networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
            address = docker("inspect", "--format", networks, name)
            for number in range(ROUNDS):
                say(f"flood: round {number + 1} of {ROUNDS}")
                run.rounds.append(
                    [
                        measure(name, address, load, count, core)
                        for load in LOADS
                        for count in (*FEW, FLOOD)
                    ]
                )


def figures(options: argparse.Namespace | None = None) -> Iterator[Figure]:
    """Yield the scores per second of each load, and the ratio of the flood to the best.

    The run is stored in build/bench/flood/; it takes about seven minutes.
    """
    if options and options.update_docs:
        update_docs()
        return
    when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    own_core = len(os.sched_getaffinity(0)) > 1
    run = Run(when, git.revision(), session.machine(), own_core)
    measure_all(run)
    FILES.mkdir(parents=True, exist_ok=True)
    stamp = when.replace("-", "").replace(":", "").lower()
    (FILES / f"{stamp}.json").write_bytes(results.encode(run))
    for load in run.loads():
        best, flood = run.best(load), run.flood(load)
        few = [row.scores for row in best]
        many = [row.scores for row in flood]
        yield median_figure(f"{load}: best of {FEW} clients", few, "scores/s")
        yield median_figure(f"{load}: {FLOOD} clients", many, "scores/s")
        yield median_figure(f"{load}: refusals", [row.refusals for row in flood], "1/s")
        if all(few):
            yield ratio(f"{load}: flood to best", many, few)
    console.print(table.generated(run), markup=False, soft_wrap=True)


def update_docs() -> None:
    """Store the newest run in docs/ and update the page.

    Raises:
        UserError: there is neither a run on this machine nor one in docs/.
    """
    runs = sorted(FILES.glob("*z.json"))
    if runs:
        results.STORED.write_bytes(results.encode(results.decode(runs[-1])))
    elif not results.STORED.exists():
        raise UserError(
            "there is no run of the flood", f"{FILES} has none", "Run `nox -s bench -- flood`."
        )
    table.update()
