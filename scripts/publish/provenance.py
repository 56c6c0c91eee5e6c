"""The provenance of a published image, as a predicate of SLSA v1.

It says what the image itself says, in its labels and in versions.json, and who published it.
BuildKit's own provenance cannot be used: images pass through the engine's store, which keeps none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from scripts.publish.tags import Built

PREDICATE = "https://slsa.dev/provenance/v1"
STATEMENT = "https://in-toto.io/Statement/v1"
BUILD_TYPE = "urn:vmaf-images:bake:1"
"""The kind of build; docs/publish.md describes its parameters."""
LOCAL = "urn:vmaf-images:local"
"""The builder of an image that was not published by a CI."""


def predicate(images: Sequence[Built], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the predicate for an image, or for the index of an image for several platforms.

    Args:
        images: the image for each platform; `index.check` has compared them.
        environment: the environment variables; those of GitHub Actions name the workflow.
    """
    server, repository = (
        environment.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY")
    )
    address = f"{server}/{repository}" if server and repository else ""
    image = images[0]
    revision = image.labels["org.opencontainers.image.revision"]
    found = [
        {
            "name": entry.get("name", name),
            "annotations": {"version": entry["version"], "origin": entry.get("source", "")},
            "digest": _digest(entry["digest"]),
        }
        for each in images
        for name, entry in each.versions.items()
        if entry.get("digest")
    ]
    sources = [entry for number, entry in enumerate(found) if entry not in found[:number]]
    workflow, run = (environment.get(f"GITHUB_{name}", "") for name in ("WORKFLOW_REF", "RUN_ID"))
    metadata = {"invocationId": f"{address}/actions/runs/{run}"} if address and run else {}
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "target": image.name,
                "platforms": [each.platform for each in images],
                "ffmpeg": image.labels.get("vmaf.ffmpeg", ""),
                "without": image.without,
            },
            "resolvedDependencies": [
                {
                    "name": "vmaf-images",
                    **({"uri": f"git+{address}"} if address else {}),
                    "digest": {"gitCommit": revision},
                },
                *sources,
            ],
        },
        "runDetails": {
            "builder": {"id": f"{server}/{workflow}" if server and workflow else LOCAL},
            "metadata": metadata,
        },
    }


def _digest(value: str) -> dict[str, str]:
    algorithm, _, digest = value.partition(":")
    return {algorithm: digest}


def statement(name: str, digest: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the in-toto statement that joins a predicate to an image.

    Args:
        name: the repository of the image.
        digest: the digest of its manifest.
        content: the predicate.
    """
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": _digest(digest)}],
        "predicateType": PREDICATE,
        "predicate": dict(content),
    }
