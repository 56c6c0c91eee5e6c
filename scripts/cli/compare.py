"""`nox -s compare -- A B`: list how two builds of an image differ, file by file."""

import json
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from scripts.contents.listing import OWNERS, Entry, differences, listing
from scripts.core.console import UserError, console
from scripts.engine import client
from scripts.images import catalogue

_SHOWN = 20
"""How many paths that differ in the same way are listed."""


def _load(path: Path) -> dict[str, Entry]:
    """Read a listing that `nox -s compare -- A --format json` wrote.

    Raises:
        UserError: it is not there, or something else.
    """
    try:
        document: Mapping[str, Any] = json.loads(path.read_text())
        return {name: Entry(**entry) for name, entry in document["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "cannot read a listing",
            f"{path}: {error}",
            "Write it by `nox -R -s compare -- IMAGE --format json > FILE`.",
        ) from error


def _listing(name: str) -> dict[str, Entry]:
    """List an image by its name or tag, or read a listing from a file."""
    if name.endswith(".json"):
        return _load(Path(name))
    (tag,) = catalogue.tags([name])
    client.require()
    return listing(tag)


def show(names: Sequence[str], listings: Sequence[Mapping[str, Entry]]) -> None:
    """Print how two listings differ, on stdout."""
    out = type(console)(highlight=False, width=console.width)
    out.print(f"A is {names[0]}, B is {names[1]}", markup=False, soft_wrap=True)
    found = differences(*listings)
    for owner, called in OWNERS.items():
        differ = [one for one in found if one.owner == owner]
        paths = {path for one in listings for path, entry in one.items() if entry.owner == owner}
        out.print(f"{called}: {len(differ) or 'none'} of {len(paths)} differ", markup=False)
        table = Table(Column("path", overflow="fold"), "A, B", "where it differs")
        rows = Counter[str]()
        for one in differ:
            rows[one.why] += 1
            if rows[one.why] <= _SHOWN:
                table.add_row(one.path, one.what, one.why)
        if differ:
            out.print(table, markup=False)
        for why, number in rows.items():
            if number > _SHOWN:
                alike = f" ({why})" if why else ""
                line = f"  and {number - _SHOWN} more{alike}; --format json lists all"
                out.print(line, markup=False)


def run(options: Namespace) -> int:
    """Print how two images or listings differ, or list one of them as JSON.

    Returns:
        1 where files that the project built differ, else 0.

    Raises:
        UserError: the number of images is wrong, or one does not exist.
    """
    names, as_json = options.images, options.format == "json"
    if len(names) not in ((1, 2) if as_json else (2,)):
        raise UserError(
            "cannot compare",
            f"{len(names)} images are named",
            "Name two images or listings after --, or one with --format json to list it.",
        )
    listings = [_listing(name) for name in names]
    if len(names) == 1:
        files = {path: asdict(entry) for path, entry in listings[0].items()}
        print(json.dumps({"image": names[0], "files": files}, indent=1))
        return 0
    found = differences(*listings)
    if as_json:
        print(json.dumps([asdict(difference) for difference in found], indent=2))
    else:
        show(names, listings)
    return int(any(difference.owner == "project" for difference in found))
