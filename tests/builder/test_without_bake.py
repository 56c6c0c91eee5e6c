"""The Dockerfiles without nox: a clear end without bake, and a working `docker buildx bake`."""

import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from scripts.core import process
from scripts.core.paths import RECORDS, ROOT
from scripts.images import bases
from tests.support.buildx import bake_options, needs_buildx

pytestmark = needs_buildx

FRONTEND = "docker/dockerfile:1.7"
COMMANDS = {
    "Dockerfile": "all-backends",
    "Dockerfile.go-server": "go-server",
    "dev/Containerfile": "dev",
    "docker/Dockerfile.cuda13": "cuda13",
    "docker/Dockerfile.ffmpeg": "ffmpeg",
    "docker/Dockerfile.production": "cli",
    "docker/Dockerfile.tests": "upstream-tests",
    "docker/Dockerfile.tools": "tools",
    "docker/Dockerfile.update": "lock-candidates",
}
"""The files that need bake, and the target in the command that their message gives."""


def docker(*arguments: str) -> CompletedProcess[str]:
    """Run docker in the checkout."""
    environment = {**process.environment(), "BUILDX_NO_DEFAULT_LOAD": "1"}
    environment.pop("DOCKER_BUILDKIT", None)
    return process.run("docker", *arguments, cwd=ROOT, env=environment)


@pytest.fixture(scope="module", name="frontend")
def _frontend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Provide the syntax frontend as a local image if no registry answers."""
    if bases.choose() != "bootstrap" or not docker("image", "inspect", FRONTEND).returncode:
        yield
        return
    RECORDS.mkdir(exist_ok=True)
    bases.bootstrap()
    options = bake_options(tmp_path_factory.mktemp("frontend"))
    settings = ("frontend.tags=" + FRONTEND, "frontend.output=type=docker")
    built = docker("buildx", "bake", *options, *(f"--set={s}" for s in settings), "frontend")
    assert not built.returncode, built.stderr
    yield
    docker("image", "rm", FRONTEND)


@pytest.mark.parametrize(("path", "target"), COMMANDS.items())
@pytest.mark.usefixtures("frontend")
def test_build_without_bake_names_the_command(path: str, target: str) -> None:
    """A build without bake of a Dockerfile that needs bake ends at once and names the command."""
    begin = time.monotonic()
    built = docker("build", f"--file={path}", ".")
    assert built.returncode
    last = built.stderr.strip().splitlines()[-1]
    assert last.endswith(f"Build this with: docker buildx bake {target}"), built.stderr
    assert time.monotonic() - begin < 10


def test_bake_builds_without_nox(tmp_path: Path) -> None:
    """`docker buildx bake cpu` builds the image, with the same layers as a build session."""
    options = bake_options(tmp_path)
    built = docker("buildx", "bake", *options, "--set=cpu.output=type=cacheonly", "cpu")
    assert not built.returncode, built.stderr
