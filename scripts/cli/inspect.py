"""`nox -s inspect -- IMAGE`: show what each layer of an image adds."""

import json
from argparse import Namespace
from dataclasses import asdict

from rich.table import Table

from scripts.contents.inspection import MEGABYTE, Report, inspect
from scripts.core.console import UserError, console, say
from scripts.engine import client
from scripts.images import catalogue, sizes

_SHOWN = 12


def show(report: Report) -> None:
    """Print the tables of a report on stdout."""
    out = type(console)(highlight=False, width=console.width)
    table = Table(title=f"{report.image}: {report.size / MEGABYTE:,.1f} MB")
    for column in ("layer", "MB", "files", "waste MB"):
        table.add_column(column, justify="right")
    table.add_column("largest directories")
    table.add_column("made by", overflow="ellipsis", no_wrap=True, max_width=48)
    for layer in report.layers:
        largest = ", ".join(f"{path} {size / MEGABYTE:.1f}" for path, size in layer.largest)
        numbers = (layer.number, f"{layer.size / MEGABYTE:.1f}", layer.files)
        waste = f"{layer.waste / MEGABYTE:.1f}"
        table.add_row(*map(str, numbers), waste, largest, layer.made_by)
    out.print(table)
    for heading, lines in report.findings.items():
        out.print(f"{heading}: {len(lines) or 'none'}", markup=False)
        for line in lines[:_SHOWN]:
            out.print(f"  {line}", markup=False, soft_wrap=True)
        if len(lines) > _SHOWN:
            out.print(f"  and {len(lines) - _SHOWN} more; --format json lists all", markup=False)


def run(options: Namespace) -> int:
    """Print a report for each image; make the sizes the baselines if requested.

    Raises:
        UserError: no image is named, an image does not exist, or `--accept-size` was given with a
            tag that is not an image of docker-bake.hcl.
    """
    tags = catalogue.tags(options.images)
    names = {image.tag: image.name for image in catalogue.images().values()}
    if options.accept_size and (others := [tag for tag in tags if tag not in names]):
        raise UserError(
            f"cannot accept the size of {', '.join(others)}",
            "docs/sizes.json has the sizes of the images of docker-bake.hcl only.",
            f"Name one of these: {', '.join(names.values())}.",
        )
    client.require()
    reports = [inspect(tag) for tag in tags]
    if options.format == "json":
        print(json.dumps([asdict(report) for report in reports], indent=2))
    else:
        for report in reports:
            show(report)
    if options.accept_size:
        accepted = {
            sizes.key(names[report.image], client.architecture(report.image)): report.size
            for report in reports
        }
        sizes.accept(accepted)
        for name, size in accepted.items():
            say(f"{name}: {size / MEGABYTE:,.1f} MB is its baseline now")
    return 0
