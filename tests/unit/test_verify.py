"""What verify-images makes of its options, and of an engine without images."""

from collections.abc import Sequence

import pytest

from scripts import clips, engine, matrix, verify
from scripts.console import UserError
from tests.unit.test_matrix import PRINTED


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Let the engine have `vmaf:cpu` and `mine:1`; return the words that pytest was given."""
    given: list[Sequence[str]] = []

    def main(words: Sequence[str]) -> int:
        given.append(words)
        return 5

    monkeypatch.setattr(engine, "require", lambda: None)
    monkeypatch.setattr(clips, "real_clip", lambda: None)
    monkeypatch.setattr(matrix, "images", lambda: matrix.read(PRINTED))
    monkeypatch.setattr(verify, "is_built", {"vmaf:cpu", "mine:1"}.__contains__)
    monkeypatch.setattr(pytest, "main", main)
    return given


def test_all_images_by_default(runs: list[Sequence[str]]) -> None:
    """Images that are missing are pytest's to report; its exit code is the session's."""
    assert verify.main([]) == 5
    assert runs == [["tests/images", "--image=cpu", "--image=cuda", "--image=dev"]]


def test_options_are_passed_on(runs: list[Sequence[str]]) -> None:
    """Those that pytest knows as they are, ours as those of tests/conftest.py."""
    verify.main(["cpu", "--require=all", "-k", "layer", "-m", "gpu", "-x"])
    assert runs == [
        [
            *("tests/images", "--image=cpu", "--require=all"),
            *("-k", "layer", "-m", "gpu", "-x"),
        ]
    ]


def test_mutants_come_with_everything_else(runs: list[Sequence[str]]) -> None:
    """The `tests` and `mutants` sessions are this one with other folders."""
    verify.main(["cpu", "--suite=all"])
    verify.main(["cpu", "--suite=mutants"])
    folders = ["tests/unit", "docker/compiler-cache/tests", "tests/builder", "tests/images"]
    folders += ["tests/server", "tests/mutants"]
    assert runs == [[*folders, "--image=cpu"], ["tests/mutants", "--table", "--image=cpu"]]


def test_another_tag_stands_for_an_image(runs: list[Sequence[str]]) -> None:
    """Named alone, it is all that is tested."""
    verify.main(["--as", "cuda=mine:1"])
    assert runs == [["tests/images", "--image=cuda", "--as=cuda=mine:1"]]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dev"], "verify on no image: none of vmaf:dev is built\nRun `nox -s build-dev`"),
        (["--as", "cpu"], "not NAME=TAG"),
        (["--as", "rocm=mine:1"], "no such image: `rocm`"),
    ],
)
def test_what_cannot_be_verified_is_told(words: Sequence[str], message: str) -> None:
    """A run that tests nothing must not look like one that found nothing."""
    with pytest.raises(UserError) as caught:
        verify.main(words)
    assert message in str(caught.value)
