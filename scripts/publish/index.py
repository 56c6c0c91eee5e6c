"""The OCI index of an image that is published for several platforms: its tags name the index."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.contents.sources import REVISION
from scripts.core.console import UserError
from scripts.publish.registry import INDEX
from scripts.publish.tags import Built

_PLATFORM = ("os", "architecture")
"""The fields of a platform, in the order of its name: `linux/arm64`."""
_LABELS = {
    REVISION: "the revision",
    "vmaf.ffmpeg": "the series of FFmpeg",
    "vmaf.without": "the list of features left out",
}
"""The labels that are the same for all platforms of an image, with their names in messages."""
_COMPONENTS = ("libvmaf", "ffmpeg")
"""The components that are the same for all platforms of an image."""
_FIELDS = ("version", "source", "digest")
"""The fields of a component in versions.json that say which sources it was built from."""


@dataclass(frozen=True)
class Index:
    """An index: equal manifests give equal bytes."""

    content: str
    """Its JSON."""

    @property
    def digest(self) -> str:
        """The digest of the index."""
        return f"sha256:{hashlib.sha256(self.content.encode()).hexdigest()}"


def index(
    manifests: Mapping[str, Mapping[str, Any]],
    *,
    annotations: Sequence[Mapping[str, str]] = (),
    artifact_type: str = "",
) -> Index:
    """Return the index of some manifests.

    Args:
        manifests: the descriptors of the manifests, by their platform, such as `linux/arm64`.
        annotations: the annotations of each manifest; the index has those that are equal in all.
        artifact_type: the type of the manifests, if they are not images.
    """
    entries = [
        {
            **{field: descriptor[field] for field in ("mediaType", "digest", "size")},
            **({"artifactType": artifact_type} if artifact_type else {}),
            "platform": dict(zip(_PLATFORM, name.split("/"), strict=True)),
        }
        for name, descriptor in sorted(manifests.items())
    ]
    common = dict(set.intersection(*(set(each.items()) for each in annotations or [{}])))
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        **({"artifactType": artifact_type} if artifact_type else {}),
        "manifests": entries,
        **({"annotations": common} if common else {}),
    }
    return Index(json.dumps(document, sort_keys=True))


def platforms(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of the manifests in an index by platform; none if it is a manifest."""
    return {
        "/".join(entry["platform"][field] for field in _PLATFORM): entry["digest"]
        for entry in document.get("manifests", ())
        if "platform" in entry
    }


def check(images: Mapping[str, Built]) -> None:
    """Check that images are one image, built from the same sources for several platforms.

    Args:
        images: the images, by their tag in the engine.

    Raises:
        UserError: two differ; the message has both.
    """
    (first_tag, first), *others = images.items()
    for tag, other in others:
        for what, one, another in _facts(first, other):
            if one != another:
                raise UserError(
                    f"cannot publish one index of {first_tag} and {tag}",
                    f"{what} is {one or 'missing'} in {first_tag}, "
                    f"and {another or 'missing'} in {tag}",
                    "Build both from the same commit and the same sources.",
                )


def _facts(first: Built, other: Built) -> Iterator[tuple[str, str, str]]:
    """Yield what must be equal in two images: its name, and what each image has."""
    for label, name in _LABELS.items():
        yield name, first.labels.get(label, ""), other.labels.get(label, "")
    for component in _COMPONENTS:
        for field in _FIELDS:
            one, another = (
                str(image.versions.get(component, {}).get(field, "")) for image in (first, other)
            )
            yield f"the {field} of {component}", one, another
