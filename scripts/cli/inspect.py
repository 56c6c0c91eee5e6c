"""`nox -s inspect -- IMAGE`: show what each layer of an image adds."""

import json
from argparse import Namespace
from dataclasses import asdict

from rich.table import Table

from scripts.contents.inspection import MEGABYTE, Report, inspect
from scripts.core.console import console, say
from scripts.engine import client
from scripts.images import catalogue, sizes

_SHOWN = 12


def show(found: Report) -> None:
    """Print a report for people, on stdout."""
    out = type(console)(highlight=False, width=console.width)
    table = Table(title=f"{found.image}: {found.size / MEGABYTE:,.1f} MB")
    for column in ("layer", "MB", "files", "waste MB"):
        table.add_column(column, justify="right")
    table.add_column("largest folders")
    table.add_column("made by", overflow="ellipsis", no_wrap=True, max_width=48)
    for layer in found.layers:
        largest = ", ".join(f"{path} {size / MEGABYTE:.1f}" for path, size in layer.largest)
        numbers = (layer.number, f"{layer.size / MEGABYTE:.1f}", layer.files)
        waste = f"{layer.waste / MEGABYTE:.1f}"
        table.add_row(*map(str, numbers), waste, largest, layer.made_by)
    out.print(table)
    for heading, lines in found.findings.items():
        out.print(f"{heading}: {len(lines) or 'none'}", markup=False)
        for line in lines[:_SHOWN]:
            out.print(f"  {line}", markup=False, soft_wrap=True)
        if len(lines) > _SHOWN:
            out.print(f"  and {len(lines) - _SHOWN} more; --format json lists all", markup=False)


def run(options: Namespace) -> int:
    """Print a report for each image; make the sizes the baselines where requested.

    Raises:
        UserError: no image is named, or one does not exist.
    """
    tags = catalogue.tags(options.images)
    client.require()
    reports = [inspect(tag) for tag in tags]
    if options.format == "json":
        print(json.dumps([asdict(report) for report in reports], indent=2))
    else:
        for report in reports:
            show(report)
    if options.accept_size:
        by_tag = {image.tag: image.name for image in catalogue.images().values()}
        accepted = {by_tag[r.image]: r.size for r in reports if r.image in by_tag}
        sizes.accept(accepted)
        for name, size in accepted.items():
            say(f"{name}: {size / MEGABYTE:,.1f} MB is its baseline now")
    return 0
