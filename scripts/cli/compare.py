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
"""The number of paths that are listed for each reason of a difference."""


def _load(path: Path) -> dict[str, Entry]:
    """Read a listing that `nox -s compare -- A --format json` wrote.

    Raises:
        UserError: the file cannot be read, or is not a listing.
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
    all_differences = differences(*listings)
    for owner, label in OWNERS.items():
        of_owner = [difference for difference in all_differences if difference.owner == owner]
        entries = [item for listing in listings for item in listing.items()]
        paths = {path for path, entry in entries if entry.owner == owner}
        out.print(f"{label}: {len(of_owner) or 'none'} of {len(paths)} differ", markup=False)
        table = Table(Column("path", overflow="fold"), "A, B", "where it differs")
        rows = Counter[str]()
        for difference in of_owner:
            rows[difference.why] += 1
            if rows[difference.why] <= _SHOWN:
                table.add_row(difference.path, difference.what, difference.why)
        if of_owner:
            out.print(table, markup=False)
        for why, number in rows.items():
            if number > _SHOWN:
                reason = f" ({why})" if why else ""
                line = f"  and {number - _SHOWN} more{reason}; --format json lists all"
                out.print(line, markup=False)


def run(options: Namespace) -> int:
    """Print how two images or listings differ, or list one of them as JSON.

    Returns:
        1 if files that the project built differ, else 0.

    Raises:
        UserError: the number of images is wrong, or an image does not exist.
    """
    names, as_json = options.images, options.format == "json"
    if len(names) not in ((1, 2) if as_json else (2,)):
        raise UserError(
            "cannot compare",
            f"{len(names)} images are named",
            "Name two images or listings after --, or one image with --format json.",
        )
    listings = [_listing(name) for name in names]
    if len(names) == 1:
        files = {path: asdict(entry) for path, entry in listings[0].items()}
        print(json.dumps({"image": names[0], "files": files}, indent=1))
        return 0
    all_differences = differences(*listings)
    if as_json:
        print(json.dumps([asdict(difference) for difference in all_differences], indent=2))
    else:
        show(names, listings)
    return int(any(difference.owner == "project" for difference in all_differences))
