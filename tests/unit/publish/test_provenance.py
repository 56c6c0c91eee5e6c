"""The provenance of a published image."""

import json
from dataclasses import replace

from scripts.publish import provenance
from tests.unit.publish.test_tags import CPU, REVISION, labelled

GITHUB = {
    "GITHUB_SERVER_URL": "https://example.org",
    "GITHUB_REPOSITORY": "team/vmaf",
    "GITHUB_WORKFLOW_REF": "team/vmaf/.github/workflows/release.yml@refs/tags/v1",
    "GITHUB_RUN_ID": "7",
}


def test_provenance_names_the_commit_and_the_sources() -> None:
    """The commit and each source with a digest are dependencies; the image's name is the target."""
    versions = {
        **CPU.versions,
        "libvmaf": {**CPU.versions["libvmaf"], "digest": "sha256:12", "source": "crate x"},
    }
    image = labelled(CPU, vmaf_without="libsrt")
    definition = provenance.predicate([replace(image, versions=versions)], {})["buildDefinition"]
    assert definition["externalParameters"] == {
        "target": "cpu",
        "platforms": ["linux/amd64"],
        "ffmpeg": "9.0",
        "without": ["libsrt"],
    }
    assert definition["resolvedDependencies"] == [
        {"name": "vmaf-images", "digest": {"gitCommit": image.labels[REVISION]}},
        {
            "name": "libvmaf",
            "annotations": {"version": "3.2.0+gf85a85369", "origin": "crate x"},
            "digest": {"sha256": "12"},
        },
    ]


def test_provenance_of_an_index_names_each_source_once() -> None:
    """Sources that differ between the platforms are all named; those that are equal, once."""
    crate = {"version": "3.2.0", "source": "crate x", "digest": "sha256:12"}
    libraries = [
        {"version": "1.0", "source": "Debian", "digest": f"sha256:{digest}"}
        for digest in ("3", "4")
    ]
    images = [
        replace(CPU, platform=platform, versions={"libvmaf": crate, "library": library})
        for platform, library in zip(("linux/amd64", "linux/arm64"), libraries, strict=True)
    ]
    definition = provenance.predicate(images, {})["buildDefinition"]
    assert definition["externalParameters"]["platforms"] == ["linux/amd64", "linux/arm64"]
    sources = definition["resolvedDependencies"][1:]
    assert [entry["digest"]["sha256"] for entry in sources] == ["12", "3", "4"]


def test_builder_is_the_workflow_or_local() -> None:
    """A workflow of GitHub is the builder, with the address of its run; elsewhere it is local."""
    details = provenance.predicate([CPU], GITHUB)["runDetails"]
    workflow = GITHUB["GITHUB_WORKFLOW_REF"]
    assert details["builder"]["id"] == f"https://example.org/{workflow}"
    run = "https://example.org/team/vmaf/actions/runs/7"
    assert details["metadata"]["invocationId"] == run
    assert provenance.predicate([CPU], {})["runDetails"] == {
        "builder": {"id": provenance.LOCAL},
        "metadata": {},
    }


def test_statement_has_the_digest_of_the_image() -> None:
    """The statement joins the predicate to the image, and is valid JSON."""
    content = provenance.predicate([CPU], {})
    statement = provenance.statement("host/vmaf", "sha256:12", content)
    assert json.loads(json.dumps(statement))["subject"] == [
        {"name": "host/vmaf", "digest": {"sha256": "12"}}
    ]
    assert statement["predicateType"] == provenance.PREDICATE
    assert statement["predicate"] == content
