"""Generate the CycloneDX SBOM of an image: `nox -s sbom -- IMAGE`.

The components come from the files in the image, so the same image gives the same SBOM, byte for
byte.
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
"""The newest version of CycloneDX that the library can write."""
NONFREE = "vmaf:nonfree"
"""The property of a component that has the reason why it is nonfree."""
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
    properties = {
        NONFREE: item.nonfree,
        "vmaf:source": item.source,
        "vmaf:listed-in": item.listed_in,
    }
    return Component(
        name=item.name,
        version=item.version,
        bom_ref=f"{item.listed_in}#{purl}",
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=item.sha256)] if item.sha256 else [],
        licenses=map(_license, item.licences),
        properties=[
            Property(name=name, value=value) for name, value in properties.items() if value
        ],
    )


def _license(name: str) -> DisjunctiveLicense:
    spdx_id = fixup_id(name)
    return DisjunctiveLicense(id=spdx_id) if spdx_id else DisjunctiveLicense(name=name)


def schema_errors(text: str) -> Sequence[str]:
    """Validate an SBOM against the CycloneDX schema; return the error messages."""
    errors = JsonStrictValidator(SPEC).validate_str(text, all_errors=True) or ()
    return [" ".join(str(error.data.message).split()) for error in errors]


def undeclared_nonfree(components: Sequence[Mapping[str, Any]], label: str) -> Iterator[str]:
    """Yield a message for each nonfree component that the licence label does not cover.

    The label covers a component if it lists one of its licences or `NOT_REDISTRIBUTABLE`.
    """
    declared = set(re.split(r"[\s()]+", label))
    for component in components:
        reasons = [entry["value"] for entry in component["properties"] if entry["name"] == NONFREE]
        licences = {choice["license"].get("name") for choice in component["licenses"]}
        if reasons and not declared & {*licences, NOT_REDISTRIBUTABLE}:
            yield f"{component['name']} is nonfree ({reasons[0]}); {LABEL} is {label!r}"


def generate(tag: str, saved: SavedImage) -> tuple[str, Sequence[Item]]:
    """Return the SBOM of a saved image, and the components that it lists.

    Raises:
        UserError: the image has no list of components, or the list is invalid.
    """
    try:
        items = inventory.read(saved)
    except (KeyError, ValueError) as error:
        raise UserError(
            "cannot read the components of the image",
            f"{type(error).__name__}: {error}",
            f"{inventory.VERSIONS} or dpkg's status in {tag} is invalid; build the image again.",
        ) from error
    if not items:
        raise UserError(
            "cannot make an SBOM",
            f"{tag} has neither dpkg's status nor {inventory.VERSIONS}",
            "Only images that are based on Debian are supported.",
        )
    text = document(tag, items)
    if errors := schema_errors(text):
        raise UserError(
            f"the SBOM of {tag} is not valid CycloneDX",
            "; ".join(errors[:3]),
            f"Correct the component in {inventory.VERSIONS} or dpkg's status in the image.",
        )
    return text, items
