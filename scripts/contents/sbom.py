"""What an image is made of, for programs and for lawyers: `nox -s sbom -- IMAGE`.

A CycloneDX SBOM, and a licence report that names the nonfree parts. Both are made
from the image's own files; the same image gives the same SBOM, byte for byte.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.spdx import fixup_id
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from scripts.contents import inventory
from scripts.contents.archive import SavedImage
from scripts.contents.inventory import Item
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.images.catalogue import NOT_REDISTRIBUTABLE

SPEC = max(SchemaVersion, key=lambda version: version.to_version())
"""The newest CycloneDX that the library writes."""
NONFREE = "vmaf:nonfree"
"""The property of a component that says why it is nonfree."""
LABEL = "org.opencontainers.image.licenses"


def document(tag: str, items: Sequence[Item]) -> str:
    """Return the SBOM of an image as JSON."""
    version = (ROOT / "VERSION").read_text().strip()
    tool = Component(
        name="vmaf-images", version=version, type=ComponentType.APPLICATION, bom_ref="tool"
    )
    seed = json.dumps([version, tag, sorted(map(str, items))])
    image = Component(name=tag, type=ComponentType.CONTAINER, bom_ref="image")
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    time = datetime.fromtimestamp(int(epoch or "0"), UTC)
    bom = Bom(
        components=map(_component, items),
        serial_number=uuid5(NAMESPACE_URL, seed),
        metadata=BomMetaData(
            tools=ToolRepository(components=[tool]), component=image, timestamp=time
        ),
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
        if why and not stated & {*terms, NOT_REDISTRIBUTABLE}:
            yield f"{one['name']} is nonfree ({why[0]}); {LABEL} is {label!r}"


def make(tag: str, saved: SavedImage) -> tuple[str, Sequence[Item]]:
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
