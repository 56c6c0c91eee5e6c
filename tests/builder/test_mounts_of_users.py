"""What BuildKit 0.13 does with cache mounts that have a uid when layers are removed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.caches import mounts
from scripts.core import process
from scripts.engine import buildkitd
from scripts.engine.buildkitd import Worker
from scripts.faults import victim
from tests.support.buildkitd import compile_step, needs_root_and_go, remove
from tests.support.buildx import needs_buildx

pytestmark = [needs_buildx, needs_root_and_go]

NAME = "vmaf-test-mounts"
DOCKERFILE = """\
FROM scratch AS program
COPY step /step
FROM program AS kept
RUN --mount=type=cache,id={keeper},target=/mounted,uid=1000,gid=1000 ["/step", "0s", "{keeper}"]
FROM program AS removed
RUN --mount=type=cache,id={name},target=/mounted,uid=1000,gid=1000 ["/step", "0s"]
"""


@pytest.fixture(name="worker")
def _worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """Run a BuildKit 0.13."""
    monkeypatch.setenv("BUILDX_CONFIG", str(tmp_path / "buildx"))
    try:
        with buildkitd.worker(NAME, tmp_path / "worker") as worker:
            yield worker
    finally:
        remove(tmp_path / "worker")


@pytest.fixture(name="context", scope="module")
def _context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory with the program of the steps, and their Dockerfile."""
    directory = tmp_path_factory.mktemp("context")
    compile_step(directory)
    (directory / "Dockerfile").write_text(DOCKERFILE.format(keeper=victim.KEEPER, name=NAME))
    return directory


def build(target: str, context: Path) -> None:
    """Build a step."""
    command = ("docker", "buildx", "build", f"--builder={NAME}", "--output=type=cacheonly")
    built = process.run(*command, f"--target={target}", str(context))
    assert not built.returncode, built.stderr


def count() -> int:
    """Return how many mounts there are with the id of the step that was removed."""
    listing = process.output("docker", "buildx", "du", f"--builder={NAME}", "--verbose")
    return sum(mount.id == NAME for mount in mounts.read_du(listing))


@pytest.mark.parametrize(("steps", "expected"), [(("removed", "kept"), 1), (("removed",), 2)])
def test_mount_is_found_while_one_step_is_left(
    worker: Worker, context: Path, steps: tuple[str, ...], expected: int
) -> None:
    """A step finds its mount again if another step with a mount of this uid was not removed.

    If this step is the only one, BuildKit 0.13 makes a second mount, and the first is lost.
    """
    for step in steps:
        build(step, context)
    assert count() == 1
    victim.remove_layers(worker)
    build("removed", context)
    assert count() == expected
