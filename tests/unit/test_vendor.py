"""The overlay of vendor images names stages that exist and images that do not move."""

import re
from collections.abc import Iterable, Mapping

import pytest

from scripts import bases, matrix
from scripts.paths import ROOT
from tests.unit.test_repository import needs_buildx

IMAGE = re.compile(r"docker-image://(?P<image>[\w./-]+):(?P<tag>[\w.-]+)")
EXACT = re.compile(r"\d+\.\d+\.\d+-\S+")
"""A release to the last digit, and what it stands on."""

pytestmark = needs_buildx


def stages(dockerfile: str) -> set[str]:
    """Return the names of a Dockerfile's stages."""
    return set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE))


def strays(contexts: Iterable[str], dockerfile: str) -> set[str]:
    """Return the contexts that replace no stage: BuildKit would not say a word."""
    return set(contexts) - stages(dockerfile)


@pytest.fixture(scope="module")
def replaced() -> Mapping[str, str]:
    """Return the stages that the overlay replaces, and by what."""
    printed = matrix.bake_print(files=bases.OVERLAYS["vendor"])
    contexts: dict[str, str] = printed["target"]["cuda12"]["contexts"]
    assert contexts
    return contexts


def test_each_replaces_a_stage_that_exists(replaced: Mapping[str, str]) -> None:
    """A misspelt or renamed stage would be built from Debian's packages in silence."""
    text = (ROOT / "docker" / "Dockerfile.production-gpu").read_text()
    assert not strays(replaced, text)
    assert strays(replaced, text.replace(" AS cuda-devel", " AS nvcc")) == {"cuda-devel"}


def test_each_is_pinned_by_an_exact_tag(replaced: Mapping[str, str]) -> None:
    """`latest` or `12` would be another compiler tomorrow."""
    for image in replaced.values():
        found = IMAGE.fullmatch(image)
        assert found, image
        assert EXACT.fullmatch(found["tag"]), image
    assert not EXACT.fullmatch("latest")
    assert not EXACT.fullmatch("12.4-devel")


def test_images_that_need_no_sdk_of_a_vendor_are_the_same() -> None:
    """The overlay adds contexts and arguments, and never a target."""
    plain = matrix.bake_print()["target"]
    vendor = matrix.bake_print(files=bases.OVERLAYS["vendor"])["target"]
    assert plain.keys() == vendor.keys()
    added = {"contexts", "args"}
    for name, target in vendor.items():
        assert {k: v for k, v in target.items() if k not in added} == {
            k: v for k, v in plain[name].items() if k not in added
        }


def test_stages_given_to_other_dockerfiles_take_it_too() -> None:
    """Or nvcc in an image would not be the one that its kernels were compiled by."""
    target = matrix.bake_print(files=bases.OVERLAYS["vendor"])["target"]
    given = target["all-backends"]["contexts"]
    assert given["cuda-devel"] == "target:cuda-devel"
    for stage in ("cuda-devel", "parts-all"):
        assert target[stage]["contexts"] == target["cuda12"]["contexts"]


def test_another_image_can_be_named(
    replaced: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a mirror of one's own, or another release; the manifest then names it."""
    assert "mine" not in replaced["cuda-devel"]
    monkeypatch.setenv("CUDA_DEVEL", "mine/cuda:12.9.1-devel")
    target = matrix.bake_print(files=bases.OVERLAYS["vendor"])["target"]["cuda12"]
    assert target["contexts"]["cuda-devel"] == "docker-image://mine/cuda:12.9.1-devel"
    assert target["args"]["CUDA_DEVEL"] == "mine/cuda:12.9.1-devel"
