"""`nox -s cache`: show, prune or measure the cache mounts."""

import json
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from rich.filesize import decimal
from rich.table import Table

from scripts.buildkit import records
from scripts.caches.mounts import Row, Use, kept, named, prune, read_age, rows, statistics
from scripts.core.console import console, say
from scripts.dockerfile import project


def show(table: Sequence[Row]) -> None:
    """Print the table for people, on stdout."""
    out = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("id", "folder", "for", "size", "last use", "hits", "saved"):
        right = heading in {"size", "hits", "saved"}
        out.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in table:
        use = row.use or Use("", ())
        size, last = "-", "not made yet"
        if row.kept:
            size = ("" if row.kept.measured else "~") + decimal(row.kept.size)
            last = row.kept.last_used
        out.add_row(row.name, row.folder, row.purpose, size, last, use.rates, use.saved)
    stdout = type(console)(highlight=False, width=console.width)
    stdout.print(out)
    sizes = [row.kept.size for row in table if row.kept]
    say(f"{len(sizes)} cache mounts, {decimal(sum(sizes))}")
    if any(row.kept and not row.kept.measured for row in table):
        say("~: as BuildKit counted it once; run this as root beside the engine to measure it")


def _show(options: Namespace) -> None:
    table = rows(kept(), named(project.of_repository()), records.records())
    if options.format == "json":
        print(json.dumps([asdict(row) for row in table], indent=2))
    else:
        show(table)


def _prune(options: Namespace) -> None:
    age = read_age(options.older_than)
    gone, stay = prune(age)
    if options.format == "json":
        print(json.dumps([asdict(one) for one in gone], indent=2))
    for one in gone:
        say(f"{one.name}: {decimal(one.size)}, last used {one.last_used}")
    freed = decimal(sum(one.size for one in gone))
    say(f"{len(gone)} of {len(gone) + len(stay)} cache mounts pruned, {freed} freed")


def _stats(options: Namespace) -> None:
    as_json = options.format == "json"
    found = statistics(options.namespace or "", as_json=as_json)
    if as_json:
        loaded = {i: {p: json.loads(t) for p, t in said.items()} for i, said in found.items()}
        print(json.dumps(loaded, indent=2))
        return
    for identifier, said in found.items():
        for program, text in said.items():
            print(f"{identifier}: {program}\n{text}")


ACTIONS: Mapping[str, Callable[[Namespace], None]] = {
    "": _show,
    "prune": _prune,
    "stats": _stats,
}


def run(options: Namespace) -> int:
    """Do what the action says: print the table of the mounts by default.

    Raises:
        UserError: no engine answers, or the action failed.
    """
    ACTIONS[options.action or ""](options)
    return 0
