"""The list of images as the bake file gives it."""

from dataclasses import replace

import pytest

from scripts.core.console import UserError
from scripts.dockerfile import bake
from scripts.images import catalogue
from tests.support.bakefile import PRINTED


@pytest.fixture
def bake_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bake file be the one above."""
    monkeypatch.setattr(catalogue, "images", lambda: catalogue.read(PRINTED))


def test_a_target_without_a_tag_is_no_image() -> None:
    """Stages that others build on have targets too."""
    assert list(catalogue.read(PRINTED)) == ["cpu", "cuda", "dev"]


def test_an_image_is_read_from_its_target() -> None:
    """The first tag is its name on the engine."""
    image = catalogue.read(PRINTED)["cuda"]
    assert (image.tag, image.stage, image.session) == ("vmaf:cuda", "final-cuda", "build-cuda")
    assert image.description == "the cuda image"
    assert image.backends == {"cpu", "cuda"}


def test_an_image_may_name_its_entry_point() -> None:
    """One that does not is no program."""
    image = catalogue.read(PRINTED)["cpu"]
    assert image.entry == ""
    assert replace(image, labels={"vmaf.entry": "ffmpeg"}).entry == "ffmpeg"


def test_images_come_in_the_order_of_the_default_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bake prints its targets by the alphabet, which is no order to show people."""
    group = {"default": {"targets": ["dev", "cuda", "cpu"]}}
    monkeypatch.setattr(bake, "bake_print", lambda: {**PRINTED, "group": group})
    assert list(catalogue.images.__wrapped__()) == ["dev", "cuda", "cpu"]


def test_capabilities_are_inherited() -> None:
    """From the parent, and from the parent's parent; never the other way."""
    images = catalogue.read(PRINTED)
    assert images["cpu"].provides == {"vmaf", "ffmpeg"}
    assert images["cuda"].provides == {"vmaf", "ffmpeg", "cuda"}
    assert images["dev"].provides == {"vmaf", "ffmpeg", "cuda", "compilers"}


@pytest.mark.usefixtures("bake_file")
def test_no_name_means_all() -> None:
    """In the order of the bake file; and names choose in their own order, each once."""
    assert [image.name for image in catalogue.choose([])] == ["cpu", "cuda", "dev"]
    assert [image.name for image in catalogue.choose(["dev", "cpu", "dev"])] == ["dev", "cpu"]


@pytest.mark.usefixtures("bake_file")
def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    """The message is all that its reader needs."""
    with pytest.raises(UserError) as caught:
        catalogue.choose(["cpu", "rocm"])
    assert "`rocm`" in str(caught.value)
    assert "cuda           the cuda image" in str(caught.value)
