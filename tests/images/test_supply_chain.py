"""An image's SBOM is CycloneDX, leaves nothing out, and its nonfree parts are no surprise."""

from scripts.contents import inventory, sbom
from tests.support.subject import Subject

SHOWN = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"


def test_sbom_is_valid(image: Subject) -> None:
    """It holds to CycloneDX's own schema, or no scanner reads it."""
    found = sbom.faults(image.sbom)
    assert not found, "\n".join(found)


def test_sbom_names_every_package(image: Subject) -> None:
    """What dpkg-query lists in a container is in the SBOM, with version and architecture."""
    told = image.run("--show", f"--showformat={SHOWN}", program="dpkg-query").stdout
    known = {
        tuple(words[1:])
        for line in told.splitlines()
        if (words := line.split("\t"))[0].startswith("ii")
    }
    named = {
        (one["name"], one["version"], one["purl"].partition("arch=")[2].partition("&")[0])
        for one in image.components
    }
    assert known
    assert not known - named, f"the SBOM lacks {sorted(known - named)}"


def test_sbom_names_every_part(image: Subject) -> None:
    """What versions.json lists is in the SBOM, with the digest of what it was made from."""
    named = {
        (one["name"], one["version"]): [digest["content"] for digest in one.get("hashes", ())]
        for one in image.components
        if {"name": "vmaf:listed-in", "value": inventory.VERSIONS} in one["properties"]
    }
    lacking = [
        f"{name} {part['version']}, {part.get('digest', 'no digest')}"
        for name, part in image.manifest.items()
        if named.get((name, part["version"]))
        != ([part["digest"].removeprefix("sha256:")] if "digest" in part else [])
    ]
    assert not lacking, "\n".join(["the SBOM lacks", *lacking])


def test_licence_label_names_what_is_nonfree(image: Subject) -> None:
    """Who reads the licence label alone learns of each nonfree part, by its terms."""
    found = list(sbom.unsaid(image.components, image.labels.get(sbom.LABEL, "")))
    assert not found, "\n".join(found)
