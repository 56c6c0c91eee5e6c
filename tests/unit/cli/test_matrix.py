"""Tests of `nox -s matrix`."""

import json
from pathlib import Path

import pytest

from scripts.cli.__main__ import main
from scripts.core.console import UserError
from tests.support.buildx import needs_buildx

pytestmark = needs_buildx


def test_outputs_are_added_to_the_file_of_the_step(tmp_path: Path) -> None:
    """Each output is a line NAME=JSON after what the file has; one argument names two images."""
    file = tmp_path / "outputs"
    file.write_text("earlier=1\n")
    assert main(["matrix", "--output", str(file), "cuda12 cpu"]) == 0
    outputs = dict(line.partition("=")[::2] for line in file.read_text().splitlines())
    assert outputs.pop("earlier") == "1"
    assert {name: json.loads(value) for name, value in outputs.items()} == {
        "images": [{"image": "cpu", "large": False}, {"image": "cuda12", "large": False}],
        "first": [{"image": "cpu", "large": False}],
        "others": [{"image": "cuda12", "large": False}],
    }


def test_jobs_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file, stdout has the jobs; those of a release lack dev, the others have it."""
    assert main(["matrix"]) == 0
    every = json.loads(capsys.readouterr().out)["images"]
    assert {"image": "dev", "large": True} in every
    assert main(["matrix", "--redistributable", ""]) == 0
    published = json.loads(capsys.readouterr().out)["images"]
    assert {job["image"] for job in every} - {job["image"] for job in published} == {
        "all-backends",
        "dev",
    }


def test_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """A file that cannot be written is an error of the user, without a traceback."""
    with pytest.raises(UserError, match=r"cannot write .*: Is a directory"):
        main(["matrix", "--output", str(tmp_path), "cpu"])
