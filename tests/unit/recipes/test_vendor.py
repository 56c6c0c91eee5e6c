"""The overlay of vendor images names stages that exist and images that do not move."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from scripts.core.paths import ROOT
from scripts.dockerfile import bake
from scripts.images import bases
from tests.support.buildx import needs_buildx

IMAGE = re.compile(r"docker-image://(?P<image>[\w./-]+):(?P<tag>[\w.-]+)")
EXACT = re.compile(r"\d+\.\d+\.\d+(-\S+)?")
"""A release to the last digit, and what it stands on (AMD says that in the image's name)."""

WHOSE = {"cuda-devel": "CUDA_DEVEL", "rocm-sdk": "ROCM_DEVEL", "oneapi-sdk": "ONEAPI_DEVEL"}
"""The stage that is replaced, and the variable that names another image for it."""

DOCKERFILE = (ROOT / "docker" / "Dockerfile.production-gpu").read_text()

pytestmark = needs_buildx


def stages(dockerfile: str) -> set[str]:
    """Return the names of a Dockerfile's stages."""
    return set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE))


def chosen(dockerfile: str, given: Mapping[str, str]) -> set[str]:
    """Return the stages that FROM lines choose by an argument: one given, else its default."""
    values = {**dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.MULTILINE)), **given}
    lines = re.findall(r"^FROM (\S*)\$\{(\w+)\}(\S*) AS", dockerfile, re.MULTILINE)
    return {before + values.get(name, "") + after for before, name, after in lines}


def strays(contexts: Iterable[str], dockerfile: str) -> set[str]:
    """Return the contexts that replace no stage: BuildKit would not say a word."""
    return set(contexts) - stages(dockerfile)


def vendor() -> Mapping[str, Any]:
    """Return what the overlay makes of an image."""
    printed = bake.bake_print(files=bases.OVERLAYS["vendor"])
    target: Mapping[str, Any] = printed["target"]["cuda12"]
    return target


@pytest.fixture(scope="module")
def replaced() -> Mapping[str, str]:
    """Return the stages that the overlay replaces, and by what."""
    contexts: Mapping[str, str] = vendor()["contexts"]
    assert contexts.keys() == WHOSE.keys()
    return contexts


@pytest.mark.parametrize("stage", WHOSE)
def test_each_replaces_a_stage_that_exists(replaced: Mapping[str, str], stage: str) -> None:
    """A misspelt or renamed stage would be built from Debian's packages in silence."""
    assert not strays(replaced, DOCKERFILE)
    assert strays(replaced, DOCKERFILE.replace(f" AS {stage}", " AS other")) == {stage}


def test_what_is_put_there_is_taken_out_again() -> None:
    """AMD and Intel lay their SDKs out otherwise: the overlay asks for the stages that adapt."""
    args = vendor()["args"]
    assert {"rocm-vendor", "oneapi-vendor"} <= chosen(DOCKERFILE, args) <= stages(DOCKERFILE)
    assert {"rocm-debian", "oneapi-wheels"} <= chosen(DOCKERFILE, {}) <= stages(DOCKERFILE)
    renamed = DOCKERFILE.replace(" AS rocm-vendor", " AS amd")
    assert chosen(renamed, args) - stages(renamed) == {"rocm-vendor"}


def test_each_is_pinned_by_an_exact_tag(replaced: Mapping[str, str]) -> None:
    """`latest` or `12` would be another compiler tomorrow."""
    for image in replaced.values():
        found = IMAGE.fullmatch(image)
        assert found, image
        assert EXACT.fullmatch(found["tag"]), image
    for moving in ("latest", "12.4-devel", "6.4", "6.4-complete", "2026.1-devel-ubuntu24.04"):
        assert not EXACT.fullmatch(moving)


def test_each_is_of_the_release_that_its_image_is_named_after(replaced: Mapping[str, str]) -> None:
    """cuda12, rocm6 and oneapi2026 say so; the recipes refuse another release as well."""
    releases = {
        stage: image.rpartition(":")[2].partition(".")[0] for stage, image in replaced.items()
    }
    assert releases == {"cuda-devel": "12", "rocm-sdk": "6", "oneapi-sdk": "2026"}


def test_images_that_need_no_sdk_of_a_vendor_are_the_same() -> None:
    """The overlay adds contexts and arguments, and never a target."""
    plain = bake.bake_print()["target"]
    vendor = bake.bake_print(files=bases.OVERLAYS["vendor"])["target"]
    assert plain.keys() == vendor.keys()
    added = {"contexts", "args"}
    for name, target in vendor.items():
        assert {k: v for k, v in target.items() if k not in added} == {
            k: v for k, v in plain[name].items() if k not in added
        }


def test_stages_given_to_other_dockerfiles_take_it_too() -> None:
    """Or nvcc in an image would not be the one that its kernels were compiled by."""
    target = bake.bake_print(files=bases.OVERLAYS["vendor"])["target"]
    given = target["all-backends"]["contexts"]
    assert given["cuda-devel"] == "target:cuda-devel"
    for stage in ("cuda-devel", "parts-all"):
        assert target[stage]["contexts"] == target["cuda12"]["contexts"]


@pytest.mark.parametrize(("stage", "variable"), WHOSE.items())
def test_another_image_can_be_named(
    replaced: Mapping[str, str], stage: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a mirror of one's own, or another release; the manifest then names it."""
    assert "mine" not in replaced[stage]
    monkeypatch.setenv(variable, "mine/sdk:12.9.1-devel")
    target = vendor()
    assert target["contexts"][stage] == "docker-image://mine/sdk:12.9.1-devel"
    assert target["args"][variable] == "mine/sdk:12.9.1-devel"
