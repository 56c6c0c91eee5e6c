"""`nox -s faults`: plant faults on real builds, and check the builds that follow."""

from argparse import Namespace
from datetime import UTC, datetime

import msgspec

from scripts.core.console import console, say
from scripts.engine import client
from scripts.faults import run as running
from scripts.faults import verdict
from scripts.faults.victim import DIRECTORY, victim
from scripts.images import catalogue


def run(options: Namespace) -> int:
    """Plant the named faults, or all, and print what followed.

    Returns:
        1 if a fault was not survived, else 0.

    Raises:
        UserError: there is no such fault or image, or the builder or a cold build failed.
    """
    chosen = running.choose(options.faults)
    if options.list_properties:
        for fault in chosen:
            say(f"{fault.name:<10} {fault.what}")
        return 0
    (image,) = catalogue.choose([options.image])
    client.require()
    rows = []
    with victim(image.name) as built:
        built.cold()
        for fault in chosen:
            rows.append(running.plant(fault(), built))
            path = DIRECTORY / "results.json"
            path.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1))
    console.print(f"{image.tag}, {datetime.now(UTC):%Y-%m-%d}")
    console.print(verdict.table(rows), markup=False)
    for row in rows:
        for problem in row.problems:
            say(f"{row.fault}: {problem}")
    return int(not all(row.survived for row in rows))
