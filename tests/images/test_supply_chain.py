"""The SBOM and the licences."""

import re

import pytest

from scripts.contents import inventory, licences, sbom
from tests.support.subject import LIBVMAF_PATCH, PREFIX, Subject, has_project_patch

FORMAT = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"
PERMISSIVE = frozenset({"BSD-2-Clause", "BSD-2-Clause-Patent", "BSD-3-Clause", "MIT"})
"""Licences that let everyone pass on a program with its licence text, and without its source."""
GPL = re.compile(rb"GNU (LESSER |AFFERO )?GENERAL PUBLIC LICENSE\s+Version")
"""The title of the licence texts of the GPL, LGPL and AGPL."""


def test_sbom_is_valid_cyclonedx(image: Subject) -> None:
    """The SBOM is valid against CycloneDX's schema."""
    errors = sbom.schema_errors(image.sbom)
    assert not errors, "\n".join(errors)


def test_sbom_lists_every_package(image: Subject) -> None:
    """The SBOM lists every package of dpkg-query with its version and architecture."""
    output = image.run("--show", f"--showformat={FORMAT}", program="dpkg-query").stdout
    installed = {
        tuple(fields[1:])
        for line in output.splitlines()
        if (fields := line.split("\t"))[0].startswith("ii")
    }
    listed = {
        (part["name"], part["version"], part["purl"].partition("arch=")[2].partition("&")[0])
        for part in image.components
    }
    assert installed
    assert not installed - listed, f"the SBOM lacks {sorted(installed - listed)}"


def test_sbom_lists_every_component(image: Subject) -> None:
    """The SBOM lists every component of versions.json with its source's digest."""
    listed = {
        (part["name"], part["version"]): [digest["content"] for digest in part.get("hashes", ())]
        for part in image.components
        if {"name": "vmaf:listed-in", "value": inventory.VERSIONS} in part["properties"]
    }
    lacking = [
        f"{name} {part['version']}, {part.get('digest', 'no digest')}"
        for name, part in image.manifest.items()
        if listed.get((name, part["version"]))
        != ([part["digest"].removeprefix("sha256:")] if "digest" in part else [])
    ]
    assert not lacking, "\n".join(["the SBOM lacks", *lacking])


def test_licence_label_lists_nonfree_components(image: Subject) -> None:
    """The licence label names the terms of each nonfree component."""
    label = image.labels.get(sbom.LABEL, "")
    undeclared = list(sbom.undeclared_nonfree(image.components, label))
    assert not undeclared, "\n".join(undeclared)


def test_licence_text_of_each_component(image: Subject) -> None:
    """The image contains a licence text of each component in its SBOM."""
    lacking = list(licences.without_text(image.saved, inventory.read(image.saved)))
    assert not lacking, "\n".join(lacking)


@pytest.mark.needs("permissive")
def test_parts_beyond_the_base_are_permissive(image: Subject) -> None:
    """The image adds no package to Debian's base, and only components with permissive licences.

    Its label names no other licence, and the project installs no text of the GPL.
    """
    if not has_project_patch(image.manifest):
        pytest.skip(f"{image.tag} has another libvmaf, without {LIBVMAF_PATCH}")
    base = {item.name for item in inventory.read(image.saved.below(image.layers[1]))}
    faults = [
        f"{item.name} of {item.listed_in}: {', '.join(item.licences)}"
        for item in inventory.read(image.saved)
        if item.name not in base
        and (item.nonfree or item.name not in inventory.TOOLS)
        and (item.listed_in != inventory.VERSIONS or not PERMISSIVE.issuperset(item.licences))
    ]
    named = set(image.labels.get(sbom.LABEL, "").split(" AND "))
    faults += [f"label: {licence}" for licence in sorted(named - PERMISSIVE)]
    faults += [
        f"{path} is a text of the GPL"
        for path, (_, entry) in image.saved.merged.items()
        if path.startswith(PREFIX) and entry.is_file and GPL.search(image.read(path))
    ]
    assert not faults, "\n".join(faults)
