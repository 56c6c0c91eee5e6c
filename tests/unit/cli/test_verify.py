"""What verify-images makes of its options, and of an engine without images."""

import os
import shutil
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
    """Let the engine have `vmaf:cpu` and `mine:1`; return pytest's arguments."""
    given: list[Sequence[str]] = []

    def main(arguments: Sequence[str]) -> int:
        given.append(arguments)
        return 5

    monkeypatch.setattr(client, "require", lambda: None)
    monkeypatch.setattr(clips, "real_clip", lambda: None)
    monkeypatch.setattr(catalogue, "images", lambda: catalogue.read(PRINTED))
    monkeypatch.setattr(client, "has_image", {"vmaf:cpu", "mine:1"}.__contains__)
    monkeypatch.setattr(client, "image_bytes", lambda _tag: 100)
    monkeypatch.setattr(pytest, "main", main)
    return given


def test_verify_tests_all_images_by_default(runs: list[Sequence[str]]) -> None:
    """Without names, `verify` tests all images and returns pytest's exit code."""
    assert main(["verify"]) == 5
    assert runs == [["tests/images", "--image=cpu", "--image=cuda", "--image=dev"]]


def test_verify_passes_options_to_pytest(runs: list[Sequence[str]]) -> None:
    """`verify` passes pytest's own options on unchanged, and adds those of tests/conftest.py."""
    main(["verify", "cpu", "--require=all", "-k", "layer", "-m", "gpu", "-x"])
    assert runs == [
        [
            *("tests/images", "--image=cpu", "--require=all"),
            *("-k", "layer", "-m", "gpu", "-x"),
        ]
    ]


def test_verify_lists_properties_without_an_engine(
    runs: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--list` needs neither an engine nor an image."""

    def fail() -> None:
        raise UserError("no Docker Engine answers", "none is installed", "Install one.")

    monkeypatch.setattr(client, "require", fail)
    main(["verify", "dev", "--list"])
    assert runs == [["tests/images", "--list", "--image=dev"]]


def test_release_of_ffmpeg_is_a_variable_of_bake(
    runs: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--ffmpeg-release` sets the variable from which the bake file computes the tags."""
    monkeypatch.setenv("FFMPEG", "9.0")
    main(["verify", "cpu"])
    assert os.environ["FFMPEG"] == "9.0"
    main(["verify", "cpu", "--ffmpeg-release", "7.1"])
    assert os.environ["FFMPEG"] == "7.1"
    assert runs == [["tests/images", "--image=cpu"]] * 2


@pytest.mark.parametrize("short", [0, 1])
def test_verify_checks_the_temporary_directory(
    runs: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch, short: int
) -> None:
    """The tests need space for the layers of all images, and for the largest one a second time."""
    sizes = {"vmaf:cpu": 3 * 10**9, "vmaf:dev": 4 * 10**9}
    usage = shutil.disk_usage("/")._replace(free=11 * 10**9 - short)
    monkeypatch.setattr(client, "has_image", sizes.__contains__)
    monkeypatch.setattr(client, "image_bytes", sizes.__getitem__)
    monkeypatch.setattr(shutil, "disk_usage", lambda _directory: usage)
    if short:
        with pytest.raises(UserError, match=r"these images need up to 11\.0 GB"):
            main(["verify"])
    else:
        main(["verify"])
    assert len(runs) == 1 - short


def test_suites_run_their_directories(runs: list[Sequence[str]]) -> None:
    """The sessions `tests` and `mutants` run pytest on other directories than verify-images."""
    main(["verify", "cpu", "--suite=all"])
    main(["verify", "cpu", "--suite=mutants"])
    directories = ["tests/unit", "docker/compiler-cache/tests", "tests/builder", "tests/images"]
    directories += ["tests/server", "tests/mutants"]
    assert runs == [[*directories, "--image=cpu"], ["tests/mutants", "--table", "--image=cpu"]]


def test_verify_tests_only_the_image_of_another_tag(runs: list[Sequence[str]]) -> None:
    """If only --as names an image, only that image is tested, by the given tag."""
    main(["verify", "--as", "cuda=mine:1"])
    assert runs == [["tests/images", "--image=cuda", "--as=cuda=mine:1"]]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dev"], "no image to verify: none of vmaf:dev is built\nRun `nox -s build-dev`"),
        (["--as", "cpu"], "not NAME=TAG"),
        (["--as", "rocm=mine:1"], "no such image: `rocm`"),
    ],
)
def test_verify_without_an_image_is_an_error(arguments: Sequence[str], message: str) -> None:
    """`verify` with no built image, or with an invalid --as, is an error instead of a success."""
    with pytest.raises(UserError) as caught:
        main(["verify", *arguments])
    assert message in str(caught.value)
