"""Tests of `nox -s inspect`."""

import pytest

from scripts.cli.__main__ import main
from scripts.core.console import UserError
from scripts.images import catalogue
from tests.support.bakefile import PRINTED


def test_size_of_another_image_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """--accept-size with a tag that is not in the bake file names that tag and the images."""
    monkeypatch.setattr(catalogue, "images", lambda: catalogue.read(PRINTED))
    with pytest.raises(UserError, match=r"accept the size of other:1: .*\nName one of.* cpu,"):
        main(["inspect", "cpu", "other:1", "--accept-size"])
