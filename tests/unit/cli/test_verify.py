"""What verify-images makes of its options, and of an engine without images."""

from collections.abc import Sequence

import pytest

from scripts.cli.__main__ import main
from scripts.core import clips
from scripts.core.console import UserError
from scripts.engine import client
from scripts.images import catalogue
from tests.support.bakefile import PRINTED


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Let the engine have `vmaf:cpu` and `mine:1`; return the words that pytest was given."""
    given: list[Sequence[str]] = []

    def main(words: Sequence[str]) -> int:
        given.append(words)
        return 5

    monkeypatch.setattr(client, "require", lambda: None)
    monkeypatch.setattr(clips, "real_clip", lambda: None)
    monkeypatch.setattr(catalogue, "images", lambda: catalogue.read(PRINTED))
    monkeypatch.setattr(client, "has_image", {"vmaf:cpu", "mine:1"}.__contains__)
    monkeypatch.setattr(pytest, "main", main)
    return given


def test_all_images_by_default(runs: list[Sequence[str]]) -> None:
    """The images are not checked before pytest runs, and its exit code is returned."""
    assert main(["verify"]) == 5
    assert runs == [["tests/images", "--image=cpu", "--image=cuda", "--image=dev"]]


def test_options_are_passed_on(runs: list[Sequence[str]]) -> None:
    """Pytest gets its own options unchanged, and the options of tests/conftest.py."""
    main(["verify", "cpu", "--require=all", "-k", "layer", "-m", "gpu", "-x"])
    assert runs == [
        [
            *("tests/images", "--image=cpu", "--require=all"),
            *("-k", "layer", "-m", "gpu", "-x"),
        ]
    ]


def test_mutants_come_with_everything_else(runs: list[Sequence[str]]) -> None:
    """The sessions `tests` and `mutants` run pytest on other directories than verify-images."""
    main(["verify", "cpu", "--suite=all"])
    main(["verify", "cpu", "--suite=mutants"])
    directories = ["tests/unit", "docker/compiler-cache/tests", "tests/builder", "tests/images"]
    directories += ["tests/server", "tests/mutants"]
    assert runs == [[*directories, "--image=cpu"], ["tests/mutants", "--table", "--image=cpu"]]


def test_another_tag_stands_for_an_image(runs: list[Sequence[str]]) -> None:
    """An image that is named by --as alone is the only one that is tested."""
    main(["verify", "--as", "cuda=mine:1"])
    assert runs == [["tests/images", "--image=cuda", "--as=cuda=mine:1"]]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dev"], "no image to verify: none of vmaf:dev is built\nRun `nox -s build-dev`"),
        (["--as", "cpu"], "not NAME=TAG"),
        (["--as", "rocm=mine:1"], "no such image: `rocm`"),
    ],
)
def test_what_cannot_be_verified_is_told(words: Sequence[str], message: str) -> None:
    """A run that tests nothing must not look like one that found nothing."""
    with pytest.raises(UserError) as caught:
        main(["verify", *words])
    assert message in str(caught.value)
