"""What an image is made of, for programs and for lawyers: `nox -s sbom -- IMAGE`.

A CycloneDX SBOM, and a licence report that names the nonfree parts. Both are made
from the image's own files; the same image gives the same SBOM, byte for byte.
"""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.spdx import fixup_id
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from rich.table import Table

from scripts import engine, inventory, matrix
from scripts.console import UserError, console, say, start
from scripts.inventory import Item
from scripts.layers import Saved, opened
from scripts.options import parse
from scripts.paths import RECORDS

SPEC = max(SchemaVersion, key=lambda version: version.to_version())
"""The newest CycloneDX that the library writes."""
NONFREE = "vmaf:nonfree"
"""The property of a component that says why it is nonfree."""
LABEL = "org.opencontainers.image.licenses"


def document(tag: str, items: Sequence[Item]) -> str:
    """Return the SBOM of an image as JSON."""
    seed = json.dumps([tag, sorted(map(str, items))])
    image = Component(name=tag, type=ComponentType.CONTAINER, bom_ref="image")
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    time = datetime.fromtimestamp(int(epoch or "0"), UTC)
    bom = Bom(
        components=map(_component, items),
        serial_number=uuid5(NAMESPACE_URL, seed),
        metadata=BomMetaData(component=image, timestamp=time),
    )
    bom.register_dependency(image, bom.components)
    written = json.loads(make_outputter(bom, OutputFormat.JSON, SPEC).output_as_string())
    if not epoch:
        del written["metadata"]["timestamp"]
    return json.dumps(written, indent=2, sort_keys=True) + "\n"


def _component(item: Item) -> Component:
    namespace, _, name = (item.package or item.name).rpartition("/")
    purl = PackageURL(
        item.kind,
        "debian" if item.kind == "deb" else namespace,
        name,
        item.version,
        dict(item.qualifiers),
    )
    said = {NONFREE: item.nonfree, "vmaf:source": item.source, "vmaf:listed-in": item.listed_in}
    return Component(
        name=item.name,
        version=item.version,
        bom_ref=f"{item.listed_in}#{purl}",
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=item.sha256)] if item.sha256 else [],
        licenses=map(_license, item.licences),
        properties=[Property(name=name, value=value) for name, value in said.items() if value],
    )


def _license(called: str) -> DisjunctiveLicense:
    known = fixup_id(called)
    return DisjunctiveLicense(id=known) if known else DisjunctiveLicense(name=called)


def faults(written: str) -> Sequence[str]:
    """Return what CycloneDX's schema finds wrong with an SBOM."""
    found = JsonStrictValidator(SPEC).validate_str(written, all_errors=True) or ()
    return [" ".join(str(one.data.message).split()) for one in found]


def unsaid(components: Sequence[Mapping[str, Any]], label: str) -> Iterator[str]:
    """Yield the nonfree components of an SBOM that an image's licence label keeps quiet about."""
    stated = set(re.split(r"[\s()]+", label))
    for one in components:
        why = [said["value"] for said in one["properties"] if said["name"] == NONFREE]
        terms = {licence["license"].get("name") for licence in one["licenses"]}
        if why and not stated & {*terms, inventory.NOT_REDISTRIBUTABLE}:
            yield f"{one['name']} is nonfree ({why[0]}); {LABEL} is {label!r}"


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


def make(tag: str, saved: Saved) -> tuple[str, Sequence[Item]]:
    """Return the SBOM of a saved image, and what it was made of.

    Raises:
        UserError: the image has no list of packages, or one that no SBOM can hold.
    """
    try:
        items = inventory.read(saved)
    except (KeyError, ValueError) as error:
        raise UserError(
            "cannot read what the image is made of",
            f"{type(error).__name__}: {error}",
            f"{inventory.VERSIONS} or dpkg's status in {tag} is not as it should be.",
        ) from error
    if not items:
        raise UserError(
            "cannot make an SBOM",
            f"{tag} has neither dpkg's status nor {inventory.VERSIONS}",
            "Only images of Debian packages can be read.",
        )
    written = document(tag, items)
    if wrong := faults(written):
        raise UserError(
            f"the SBOM of {tag} is no valid CycloneDX",
            "; ".join(wrong[:3]),
            f"What it is made of is in {inventory.VERSIONS} and dpkg's status in the image.",
        )
    return written, items


def main(words: Sequence[str]) -> int:
    """`scripts.sbom IMAGE...`: a name of docker-bake.hcl, or any tag.

    Raises:
        UserError: no image is named, one is not there, or several are to go to stdout.
    """
    options = parse(words)
    tags = matrix.tags(options.targets)
    if options.format == "json" and len(tags) > 1:
        raise UserError(
            "cannot print several SBOMs",
            "stdout holds one document",
            "Name one image, or leave --format json out: each goes to a file of its own.",
        )
    engine.require()
    for tag in tags:
        with opened(tag) as (_, saved):
            written, items = make(tag, saved)
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


if __name__ == "__main__":
    start(main)
