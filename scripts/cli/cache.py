"""`nox -s cache`: show, prune or measure the cache mounts."""

import json
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from rich.filesize import decimal
from rich.table import Table

from scripts.buildkit import records
from scripts.caches import mounts, statistics
from scripts.caches.usage import Row, rows
from scripts.core.console import console, say
from scripts.dockerfile import project


def show(table: Sequence[Row]) -> None:
    """Print the table on stdout."""
    out = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("id", "directory", "for", "size", "last use", "hits", "saved"):
        right = heading in {"size", "hits", "saved"}
        out.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in table:
        rates, saved = (row.usage.rates, row.usage.saved) if row.usage else ("-", "-")
        size, last_used = "-", "not created yet"
        if row.mount:
            size = ("" if row.mount.measured else "~") + decimal(row.mount.size)
            last_used = row.mount.last_used
        out.add_row(row.name, row.directory, row.purpose, size, last_used, rates, saved)
    stdout = type(console)(highlight=False, width=console.width)
    stdout.print(out)
    sizes = [row.mount.size for row in table if row.mount]
    say(f"{len(sizes)} cache mounts, {decimal(sum(sizes))}")
    if any(row.mount and not row.mount.measured for row in table):
        say("~: BuildKit's last count; run this as root on the engine's host to measure the size")


def _show(options: Namespace) -> None:
    declared = mounts.declared(project.of_repository())
    table = rows(mounts.existing(), declared, records.records())
    if options.format == "json":
        print(json.dumps([asdict(row) for row in table], indent=2))
    else:
        show(table)


def _prune(options: Namespace) -> None:
    removed, remaining = mounts.prune(mounts.read_age(options.older_than))
    if options.format == "json":
        print(json.dumps([asdict(mount) for mount in removed], indent=2))
    for mount in removed:
        say(f"{mount.name}: {decimal(mount.size)}, last used {mount.last_used}")
    freed = decimal(sum(mount.size for mount in removed))
    say(f"{len(removed)} of {len(removed) + len(remaining)} cache mounts pruned, {freed} freed")


def _stats(options: Namespace) -> None:
    as_json = options.format == "json"
    printed = statistics.read(options.namespace or "", as_json=as_json)
    if as_json:
        document = {
            mount: {program: json.loads(text) for program, text in programs.items()}
            for mount, programs in printed.items()
        }
        print(json.dumps(document, indent=2))
        return
    for mount, programs in printed.items():
        for program, text in programs.items():
            print(f"{mount}: {program}\n{text}")


ACTIONS: Mapping[str, Callable[[Namespace], None]] = {
    "": _show,
    "prune": _prune,
    "stats": _stats,
}


def run(options: Namespace) -> int:
    """Run the action; print the table of the mounts by default.

    Raises:
        UserError: no engine answers, or the action failed.
    """
    ACTIONS[options.action or ""](options)
    return 0
