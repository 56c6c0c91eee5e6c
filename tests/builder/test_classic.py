"""The classic builder refuses each of our Dockerfiles at once, in the words that the docs quote."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts.core.paths import ROOT
from scripts.images import catalogue
from tests.support.buildx import needs_buildx

pytestmark = needs_buildx

FILES = sorted({image.dockerfile for image in catalogue.images().values()})
NOTES = ROOT / "docs" / "rebase-notes.md"
_LAYER = re.compile(r"^ ---> ([0-9a-f]{12})$", re.MULTILINE)


def classic(file: Path, context: Path) -> subprocess.CompletedProcess[str]:
    """Build a file as an engine does that is told not to use BuildKit."""
    return subprocess.run(
        ["docker", "build", f"--file={file}", str(context)],
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


def refused(file: Path, context: Path) -> None:
    """Assert that the classic builder ends with the documented message and leaves nothing."""
    done = classic(file, context)
    layers = _LAYER.findall(done.stdout)
    if layers:
        subprocess.run(["docker", "rmi", *reversed(layers)], capture_output=True, check=False)
    assert done.returncode, "the classic builder has built it"
    message = done.stderr.strip().splitlines()[-1]
    assert message in NOTES.read_text().splitlines(), f"docs/rebase-notes.md lacks: {message}"
    assert not layers, f"layers are left: {', '.join(layers)}"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Return an empty build context: nothing is to be read before the refusal."""
    (tmp_path / "context").mkdir()
    return tmp_path / "context"


@pytest.mark.parametrize("path", FILES)
def test_the_classic_builder_refuses(path: str, empty: Path) -> None:
    """Before it has made a layer or fetched an image."""
    refused(ROOT / path, empty)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("FROM scratch\nLABEL a=b\n", "has built it"),
        ("FROM scratch\nLABEL a=b\nCOPY nothing /\n", "rebase-notes.md lacks"),
        ("FROM scratch\nLABEL a=b\nRUN --mount=type=tmpfs,target=/tmp true\n", "layers are left"),
    ],
)
def test_that_test_fails_on(text: str, says: str, tmp_path: Path, empty: Path) -> None:
    """A file without mounts, one that fails of something else, one that mounts too late."""
    (tmp_path / "Dockerfile").write_text(text)
    with pytest.raises(AssertionError, match=says):
        refused(tmp_path / "Dockerfile", empty)
