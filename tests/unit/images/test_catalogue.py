"""Tests of the list of images, read from a bake file."""

from dataclasses import replace

import pytest

from scripts.core.console import UserError
from scripts.dockerfile import bake
from scripts.images import catalogue
from tests.support.bakefile import PRINTED


@pytest.fixture
def bake_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the bake file of tests/support/bakefile.py."""
    monkeypatch.setattr(catalogue, "images", lambda: catalogue.read(PRINTED))


def test_read_skips_targets_without_a_tag() -> None:
    """A target without a tag is a stage for other targets, not an image."""
    assert list(catalogue.read(PRINTED)) == ["cpu", "cuda", "dev"]


def test_read_takes_an_image_from_its_target() -> None:
    """An image has the first tag, the stage, the description and the backends of its target."""
    image = catalogue.read(PRINTED)["cuda"]
    assert (image.tag, image.stage, image.session) == ("vmaf:cuda", "final-cuda", "build-cuda")
    assert image.description == "the cuda image"
    assert image.backends == {"cpu", "cuda"}


def test_entry_point_is_optional() -> None:
    """An image's entry point comes from the label vmaf.entry and is empty without it."""
    image = catalogue.read(PRINTED)["cpu"]
    assert image.entry == ""
    assert replace(image, labels={"vmaf.entry": "ffmpeg"}).entry == "ffmpeg"


def test_images_have_the_order_of_the_default_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images have the order of the default group, as bake prints targets alphabetically."""
    group = {"default": {"targets": ["dev", "cuda", "cpu"]}}
    monkeypatch.setattr(bake, "bake_print", lambda: {**PRINTED, "group": group})
    assert list(catalogue.images.__wrapped__()) == ["dev", "cuda", "cpu"]


def test_capabilities_are_inherited() -> None:
    """An image has the capabilities of all its ancestors, and a parent none of its children."""
    images = catalogue.read(PRINTED)
    assert images["cpu"].provides == {"vmaf", "ffmpeg"}
    assert images["cuda"].provides == {"vmaf", "ffmpeg", "cuda"}
    assert images["dev"].provides == {"vmaf", "ffmpeg", "cuda", "compilers"}


@pytest.mark.usefixtures("bake_file")
def test_choose_returns_all_images_without_names() -> None:
    """All images are chosen without names; names choose images in their own order, each once."""
    assert [image.name for image in catalogue.choose([])] == ["cpu", "cuda", "dev"]
    assert [image.name for image in catalogue.choose(["dev", "cpu", "dev"])] == ["dev", "cpu"]


@pytest.mark.usefixtures("bake_file")
def test_choose_rejects_an_unknown_name() -> None:
    """The error for an unknown image lists the images with their descriptions."""
    with pytest.raises(UserError) as caught:
        catalogue.choose(["cpu", "rocm"])
    assert "`rocm`" in str(caught.value)
    assert "cuda           the cuda image" in str(caught.value)
