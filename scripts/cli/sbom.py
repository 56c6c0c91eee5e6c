"""`nox -s sbom -- IMAGE`: write the SBOM of an image and print its licences."""

import re
from argparse import Namespace
from collections import defaultdict
from collections.abc import Sequence

from cyclonedx.spdx import fixup_id
from rich.table import Table

from scripts.contents.archive import saved_image
from scripts.contents.inventory import Item
from scripts.contents.sbom import LABEL, SPEC, generate
from scripts.core.console import UserError, console, say
from scripts.core.paths import RECORDS
from scripts.engine import client
from scripts.images import catalogue


def show(tag: str, items: Sequence[Item], label: str) -> None:
    """Print the licence report of an image, on stdout."""
    by_licence: defaultdict[str, set[str]] = defaultdict(set)
    for item in items:
        for licence in item.licences:
            by_licence[fixup_id(licence) or licence].add(item.name)
    out = type(console)(highlight=False, width=console.width)
    table = Table("licence", "", "what", title=f"{tag}: {len(items)} packages and parts")
    for licence, names in sorted(by_licence.items(), key=lambda row: (-len(row[1]), row[0])):
        table.add_row(licence, str(len(names)), ", ".join(sorted(names)))
    out.print(table)
    nonfree = [item for item in items if item.nonfree]
    out.print(f"nonfree: {len(nonfree) or 'none known'}", markup=False)
    for item in nonfree:
        terms = ", ".join(item.licences)
        line = f"  {item.name} {item.version}: {item.nonfree} ({terms})"
        out.print(line, markup=False, soft_wrap=True)
    out.print(f"{LABEL}: {label or 'none'}", markup=False, soft_wrap=True)


def run(options: Namespace) -> int:
    """Write the SBOM of each image to build/sbom/, or the SBOM of one image to stdout.

    Raises:
        UserError: no image is named, an image does not exist, or stdout would get several SBOMs.
    """
    tags = catalogue.tags(options.images)
    if options.format == "json" and len(tags) > 1:
        raise UserError(
            "cannot print several SBOMs",
            "stdout holds one document",
            "Name one image, or leave out --format json to write a file for each image.",
        )
    client.require()
    for tag in tags:
        with saved_image(tag) as (_, saved):
            written, items = generate(tag, saved)
            label = (saved.config.get("config", {}).get("Labels") or {}).get(LABEL, "")
        if options.format == "json":
            print(written, end="")
            continue
        show(tag, items, label)
        path = RECORDS / "sbom" / (re.sub(r"[^\w.-]+", "_", tag.removeprefix("vmaf:")) + ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written)
        say(f"SBOM, CycloneDX {SPEC.to_version()}: {path}")
    return 0
