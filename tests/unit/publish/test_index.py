"""The index of an image for several platforms, and what must be equal in all of them."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from scripts.core.console import UserError
from scripts.publish import index
from scripts.publish.tags import Built
from tests.unit.publish.test_tags import CPU, REVISION, labelled

AMD64, ARM64 = "linux/amd64", "linux/arm64"
ARM = replace(CPU, platform=ARM64)


def descriptor(digit: str) -> dict[str, Any]:
    """Return the descriptor of a manifest, as regctl and layouts have it."""
    return {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": f"sha256:{digit * 64}",
        "size": 7,
        "annotations": {"org.opencontainers.image.ref.name": "packed"},
    }


def test_index_has_the_platform_of_each_manifest() -> None:
    """Each manifest has its platform, and nothing of the layout that it was in."""
    made = index.index({ARM64: descriptor("b"), AMD64: descriptor("a")})
    document = json.loads(made.content)
    assert document["mediaType"] == "application/vnd.oci.image.index.v1+json"
    kind = "application/vnd.oci.image.manifest.v1+json"
    assert document["manifests"] == [
        {
            "mediaType": kind,
            "digest": f"sha256:{digit * 64}",
            "size": 7,
            "platform": {"os": "linux", "architecture": architecture},
        }
        for digit, architecture in (("a", "amd64"), ("b", "arm64"))
    ]
    assert made.digest == f"sha256:{hashlib.sha256(made.content.encode()).hexdigest()}"
    assert index.platforms(document) == {
        AMD64: f"sha256:{'a' * 64}",
        ARM64: f"sha256:{'b' * 64}",
    }


def test_equal_manifests_give_the_same_index() -> None:
    """The order of the platforms and of the annotations does not change the digest."""
    annotations = {f"annotation{number}": str(number) for number in range(10)}
    one = index.index(
        {AMD64: descriptor("a"), ARM64: descriptor("b")}, annotations=[annotations, annotations]
    )
    turned = dict(reversed(annotations.items()))
    other = index.index(
        {ARM64: descriptor("b"), AMD64: descriptor("a")}, annotations=[turned, annotations]
    )
    assert one == other
    assert list(json.loads(one.content)["annotations"]) == sorted(annotations)
    assert index.index({AMD64: descriptor("a"), ARM64: descriptor("c")}).digest != one.digest


def test_index_has_the_annotations_that_all_manifests_have() -> None:
    """What differs, such as the time of the build, is only at the manifests."""
    made = index.index(
        {AMD64: descriptor("a"), ARM64: descriptor("b")},
        annotations=[{"title": "vmaf:cpu", "created": "1"}, {"title": "vmaf:cpu", "created": "2"}],
    )
    assert json.loads(made.content)["annotations"] == {"title": "vmaf:cpu"}


def test_index_of_artifacts_has_their_type() -> None:
    """Clients that do not know the type do not take the artifacts for images."""
    document = json.loads(index.index({AMD64: descriptor("a")}, artifact_type="text/x").content)
    assert document["artifactType"] == "text/x"
    assert document["manifests"][0]["artifactType"] == "text/x"


def test_manifest_is_no_index() -> None:
    """The manifest of one image has no platforms."""
    assert index.platforms({"config": {}, "layers": []}) == {}


def test_images_of_the_same_sources_may_have_one_index() -> None:
    """Programs of the build may differ, as the platforms have compilers of their own."""
    gcc = {"name": "gcc", "version": "14.2.0", "source": "Debian 13.8"}
    other = replace(ARM, versions={**ARM.versions, "gcc": gcc})
    index.check({"vmaf:cpu": CPU, "vmaf:cpu-arm64": other})


def component(image: Built, name: str, **fields: str) -> Built:
    """Return the image with other fields of a component."""
    return replace(image, versions={**image.versions, name: {**image.versions[name], **fields}})


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            labelled(ARM, **{REVISION.replace(".", "_"): "5e6f"}),
            "the revision is 1a2b in vmaf:cpu, and 5e6f in vmaf:cpu-arm64",
        ),
        (
            component(ARM, "libvmaf", version="3.1.0"),
            r"the version of libvmaf is 3\.2\.0\+gf85a85369 in vmaf:cpu, and 3\.1\.0 in",
        ),
        (component(ARM, "ffmpeg", version="9.0.1"), "the version of ffmpeg is 9.0.2 .* 9.0.1"),
        (
            component(ARM, "ffmpeg", digest="sha256:1"),
            "the digest of ffmpeg is missing .* sha256:1",
        ),
        (component(ARM, "libvmaf", source="directory x"), "the source of libvmaf is missing"),
        (labelled(ARM, vmaf_ffmpeg="7.1"), "the series of FFmpeg is 9.0 .* 7.1"),
        (labelled(ARM, vmaf_without="libsrt"), "features left out is missing .* libsrt"),
        (replace(ARM, versions={"libvmaf": CPU.versions["libvmaf"]}), "ffmpeg is 9.0.2 .* missing"),
    ],
    ids=[
        *("revision", "libvmaf", "FFmpeg", "digest", "source", "series", "features"),
        "a component is missing",
    ],
)
def test_images_of_other_sources_have_no_index(other: Built, told: str) -> None:
    """A tag that named both would be for one build on amd64, and another one on arm64."""
    with pytest.raises(UserError, match=told):
        index.check({"vmaf:cpu": CPU, "vmaf:cpu-arm64": other})
