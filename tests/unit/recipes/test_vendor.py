"""The overlay of vendors' images replaces stages that exist by images with exact tags."""

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
"""A complete version, and for some images the distribution (AMD's name has it in the image)."""

SDKS = {"cuda": "12", "rocm": "6", "oneapi": "2026"}
"""Each SDK, and the major version in the name of its image."""
IMAGES = {
    "cpu": None,
    "vulkan": None,
    "cuda12": "cuda",
    "rocm6": "rocm",
    "oneapi2026": "oneapi",
}
"""The SDK of each image that has at most one."""
MAIN = (ROOT / "docker" / "Dockerfile.production-gpu").read_text()
VENDOR = (ROOT / "docker" / "Dockerfile.vendor").read_text()

pytestmark = needs_buildx


def stages(dockerfile: str) -> set[str]:
    """Return the names of a Dockerfile's stages."""
    return set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE))


def unknown(contexts: Iterable[str], dockerfile: str) -> set[str]:
    """Return the named contexts that replace no stage, which BuildKit ignores."""
    return set(contexts) - stages(dockerfile)


def targets(*names: str) -> Mapping[str, Any]:
    """Return the targets of the bake file with the overlay."""
    printed: Mapping[str, Any] = bake.bake_print(*names, files=bases.OVERLAYS["vendor"])
    found: Mapping[str, Any] = printed["target"]
    return found


@pytest.fixture(scope="module")
def vendor() -> Mapping[str, Any]:
    """Return the targets of all images with the overlay."""
    return targets()


@pytest.mark.parametrize(("name", "sdk"), IMAGES.items())
def test_image_uses_the_vendors_sdk_and_no_other(
    vendor: Mapping[str, Any], name: str, sdk: str | None
) -> None:
    """The vendor overlay replaces only the SDK of an image, as each one has gigabytes."""
    replaced = {f"{sdk}-devel": f"target:{sdk}-from-vendor"} if sdk else None
    assert vendor[name].get("contexts") == replaced


def test_contexts_replace_stages_that_exist(vendor: Mapping[str, Any]) -> None:
    """Each named context of the vendor overlay replaces a stage that exists."""
    files = {"docker/Dockerfile.production-gpu": MAIN, "docker/Dockerfile.vendor": VENDOR}
    for name, target in vendor.items():
        if dockerfile := files.get(target["dockerfile"]):
            assert not unknown(target.get("contexts") or (), dockerfile), name
            assert target["target"] in stages(dockerfile), name
    renamed = MAIN.replace(" AS rocm-devel", " AS amd")
    assert unknown(vendor["rocm6"]["contexts"], renamed) == {"rocm-devel"}


@pytest.mark.parametrize("sdk", SDKS)
def test_images_have_exact_tags(vendor: Mapping[str, Any], sdk: str) -> None:
    """The vendor overlay names images by a complete version, as `12` may change its compiler."""
    found = IMAGE.fullmatch(vendor[f"{sdk}-from-vendor"]["contexts"][f"{sdk}-given"])
    assert found
    assert EXACT.fullmatch(found["tag"])
    assert found["tag"].partition(".")[0] == SDKS[sdk]


@pytest.mark.parametrize(
    "tag", ["latest", "12.4-devel", "6.4", "6.4-complete", "2026.1-devel-ubuntu24.04"]
)
def test_moving_tags_are_not_exact(tag: str) -> None:
    """A tag without a complete version is not exact."""
    assert not EXACT.fullmatch(tag)


def test_overlay_changes_only_contexts_and_arguments(vendor: Mapping[str, Any]) -> None:
    """The vendor overlay adds only named contexts, arguments and targets of Dockerfile.vendor."""
    plain = bake.bake_print()["target"]
    added = {"contexts", "args"}
    for name, target in plain.items():
        assert {k: v for k, v in target.items() if k not in added} == {
            k: v for k, v in vendor[name].items() if k not in added
        }
    new = {name for name in vendor if name not in plain}
    assert {vendor[name]["dockerfile"] for name in new} == {"docker/Dockerfile.vendor"}


def test_shared_stages_use_the_vendors_sdks(vendor: Mapping[str, Any]) -> None:
    """With the vendor overlay, the nvcc in an image is the one that compiled its kernels."""
    assert vendor["all-backends"]["contexts"]["cuda-devel"] == "target:cuda-devel"
    expected = {
        "cuda-devel": {"cuda-devel"},
        "libvmaf-cuda12": {"cuda-devel"},
        "bundle-all-backends": {"cuda-devel", "oneapi-devel"},
        "bundle-dev": {"cuda-devel", "oneapi-devel", "rocm-devel"},
    }
    for stage, contexts in expected.items():
        assert set(vendor[stage]["contexts"]) == contexts


def test_replacements_do_not_depend_on_what_they_replace() -> None:
    """No target of the vendor overlay depends on itself through named contexts."""
    every = targets(
        "default", *(f"{sdk}-from-vendor" for sdk in SDKS), "libvmaf-hip", "libvmaf-sycl"
    )

    def reached(name: str, path: tuple[str, ...] = ()) -> None:
        assert name not in path, f"{' -> '.join(path)} -> {name}"
        for context in (every[name].get("contexts") or {}).values():
            if context.startswith("target:"):
                reached(context.removeprefix("target:"), (*path, name))

    for name in every:
        reached(name)


@pytest.mark.parametrize("sdk", SDKS)
def test_another_image_can_be_named(sdk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NAME_DEVEL in the environment replaces a vendor's image, and the manifest names it."""
    variable = f"{sdk.upper()}_DEVEL"
    monkeypatch.setenv(variable, "mine/sdk:12.9.1-devel")
    target = targets(f"{sdk}-from-vendor")[f"{sdk}-from-vendor"]
    assert target["contexts"][f"{sdk}-given"] == "docker-image://mine/sdk:12.9.1-devel"
    assert target["args"][variable] == "mine/sdk:12.9.1-devel"
