"""The classic builder refuses each Dockerfile at once, with the message that the docs quote."""

import re
import subprocess
from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.paths import ROOT
from scripts.images import catalogue
from tests.support.buildx import needs_buildx
from tests.support.subject import docker

pytestmark = needs_buildx

DOCKERFILES = sorted({image.dockerfile for image in catalogue.images().values()})
NOTES = ROOT / "docs" / "rebase-notes.md"
_LAYER = re.compile(r"^ ---> ([0-9a-f]{12})$", re.MULTILINE)


def build_classic(file: Path, context: Path) -> subprocess.CompletedProcess[str]:
    """Build a file without BuildKit."""
    environment = {**process.environment(), "DOCKER_BUILDKIT": "0"}
    return docker("build", f"--file={file}", str(context), env=environment)


def assert_refused(file: Path, context: Path) -> None:
    """Check that the classic builder ends with the documented message and leaves no layer."""
    done = build_classic(file, context)
    layers = _LAYER.findall(done.stdout)
    if layers:
        docker("rmi", *reversed(layers))
    assert done.returncode, "the classic builder has built it"
    message = done.stderr.strip().splitlines()[-1]
    assert message in NOTES.read_text().splitlines(), f"docs/rebase-notes.md lacks: {message}"
    assert not layers, f"layers are left: {', '.join(layers)}"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Return an empty build context, as the refusal must come before any file is read."""
    (tmp_path / "context").mkdir()
    return tmp_path / "context"


@pytest.mark.parametrize("path", DOCKERFILES)
def test_classic_builder_refuses_each_dockerfile(path: str, empty: Path) -> None:
    """The classic builder refuses each Dockerfile before it makes a layer or pulls an image."""
    assert_refused(ROOT / path, empty)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM scratch\nLABEL a=b\n", "has built it"),
        ("FROM scratch\nLABEL a=b\nCOPY nothing /\n", "rebase-notes.md lacks"),
        ("FROM scratch\nLABEL a=b\nRUN --mount=type=tmpfs,target=/tmp true\n", "layers are left"),
    ],
    ids=["it builds", "it fails for another reason", "it fails after the first layer"],
)
def test_check_of_the_classic_builder_catches_faults(
    text: str, message: str, tmp_path: Path, empty: Path
) -> None:
    """The check for an early refusal fails on a Dockerfile that is refused late or not at all."""
    (tmp_path / "Dockerfile").write_text(text)
    with pytest.raises(AssertionError, match=message):
        assert_refused(tmp_path / "Dockerfile", empty)
