"""Builds on two BuildKit daemons on loopback, which share nothing but a registry.

The images of a small bake file replace the project's; each has one step.
"""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.bench import registry
from scripts.core import loopback, process
from scripts.core.paths import ROOT
from scripts.images import bases
from scripts.workers import placement
from tests.support import bakefile
from tests.support.buildkitd import buildkitd, compile_step, needs_root_and_go, remove
from tests.support.buildx import needs_buildx

pytestmark = [needs_buildx, needs_root_and_go]

WORKERS = ("vmaf-test-1", "vmaf-test-2")
DOCKERFILE = """
FROM scratch AS program
COPY step /step
FROM program AS image
RUN ["/step", "{}"]
"""
BAKE = """
group "default" {{
  targets = {images}
}}
target "_common" {{
  context = "."
}}
target "_image" {{
  name       = image
  inherits   = ["_common"]
  dockerfile = "Dockerfile.${{image}}"
  matrix     = {{ image = {images} }}
  tags       = ["vmaf-test-workers:${{image}}"]
  labels = {{
    "org.opencontainers.image.description" = image
    "vmaf.backends"                        = "cpu"
    "vmaf.provides"                        = ""
  }}
  cache-from = cache_of(VMAF_CACHE_FROM, image)
  cache-to   = cache_of(VMAF_CACHE_TO, image)
}}
"""


def home(image: str) -> str:
    """Return the worker that an image belongs to."""
    return placement.rank(placement.key(bases.BASE, image), WORKERS)[0]


def named(worker: str, count: int) -> list[str]:
    """Return names of images that belong to a worker."""
    return [name for number in range(99) if home(name := f"image{number}") == worker][:count]


@pytest.fixture(scope="module", name="directory")
def _directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a directory; buildx has a configuration of its own meanwhile."""
    directory = tmp_path_factory.mktemp("workers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUILDX_CONFIG", str(directory / "buildx"))
        patch.setenv("VMAF_BASES", "registry")
        yield directory


@pytest.fixture(scope="module", name="address")
def _address(directory: Path) -> Iterator[str]:
    """Return the address of a registry."""
    program, _ = registry.programs()
    port = loopback.free_port()
    (directory / "registry.yml").write_text(
        f"version: 0.1\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{directory}/registry'}}}}\n"
    )
    log = directory / "registry.log"
    with loopback.daemon([str(program), "serve", str(directory / "registry.yml")], log):
        loopback.wait(port, log)
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module", name="config")
def _config(directory: Path, address: str) -> Path:
    """Return the configuration of the daemons: the project's, with the registry on loopback."""
    config = directory / "buildkitd.toml"
    text = (ROOT / "docker" / "buildkitd.toml").read_text()
    config.write_text(f'{text}\n[registry."{address}"]\n  http = true\n')
    return config


@contextmanager
def worker(name: str, directory: Path, config: Path) -> Iterator[process.Popen[bytes]]:
    """Run a daemon without data; remove its data afterwards."""
    _, program = registry.programs()
    with buildkitd(program, name, directory / name, config) as child:
        yield child
    remove(directory / name)


@pytest.fixture(scope="module", name="workers")
def _workers(directory: Path, config: Path) -> Iterator[list[process.Popen[bytes]]]:
    """Run both workers."""
    with ExitStack() as stack:
        yield [stack.enter_context(worker(name, directory, config)) for name in WORKERS]


@pytest.fixture(scope="module", name="step")
def _step(directory: Path) -> Path:
    """Compile the program of the steps."""
    return compile_step(directory)


class Checkout:
    """A copy of the scripts, with a bake file that has other images."""

    def __init__(self, directory: Path, step: Path, images: dict[str, str]) -> None:
        """Write the copy; `images` has the argument of the step of each image."""
        self.directory = directory
        shutil.copytree(ROOT / "scripts", directory / "scripts")
        for name in ("docs/sizes.json", "docker/Dockerfile.production-gpu"):
            (directory / name).parent.mkdir()
            shutil.copy(ROOT / name, directory / name)
        shutil.copy(step, directory)
        (directory / ".dockerignore").write_text("*\n!step\n")
        listed = "[" + ", ".join(f'"{name}"' for name in images) + "]"
        (directory / "docker-bake.hcl").write_text(
            bakefile.definitions() + BAKE.format(images=listed)
        )
        for name, argument in images.items():
            (directory / f"Dockerfile.{name}").write_text(DOCKERFILE.format(argument))

    def start(self, *options: str, **variables: str) -> process.Popen[str]:
        """Start a build session."""
        environment = {**process.environment(), **variables}
        return process.start(*self.command(*options), cwd=self.directory, env=environment)

    def build(self, *options: str, **variables: str) -> process.CompletedProcess[str]:
        """Run a build session."""
        environment = {**process.environment(), **variables}
        return process.run(*self.command(*options), cwd=self.directory, env=environment)

    @staticmethod
    def command(*options: str) -> list[str]:
        """Return the command of a build session."""
        return [sys.executable, "-m", "scripts.cli", "build", *options]


def layers_of(image: str) -> str:
    """Return the digests of the layers of an image in the engine; empty if it is not there."""
    tag = f"vmaf-test-workers:{image}"
    return process.output("docker", "image", "inspect", "--format={{.RootFS.Layers}}", tag)


def rows(output: str) -> dict[str, list[str]]:
    """Return the closing table: the worker, the result and the other cells, by image."""
    cells = [re.split(r"\s{2,}", line.strip()) for line in output.splitlines()]
    return {row[0]: row[1:] for row in cells if re.fullmatch(r"image\d+", row[0]) and len(row) > 3}


@pytest.fixture(autouse=True)
def _no_images() -> Iterator[None]:
    """Remove the images afterwards."""
    yield
    listed = process.output("docker", "image", "ls", "--quiet", "vmaf-test-workers")
    if listed:
        process.run("docker", "image", "rm", "--force", *set(listed.split()))


@dataclass(frozen=True)
class Layers:
    """A place where builds store their layers."""

    write: str
    """The value of VMAF_CACHE_TO."""
    read: str
    """The value of VMAF_CACHE_FROM."""
    duration: str
    """The argument of the steps, another one for each place, so that the steps run."""
    stored: Callable[[], set[str]]
    """Returns the names of the images in it."""


@pytest.fixture(name="layers", params=["registry", "local"])
def _layers(request: pytest.FixtureRequest, address: str, tmp_path: Path) -> Layers:
    """Return an empty repository of the registry, or a directory."""
    if request.param == "registry":
        reference = f"type=registry,ref={address}/cache"
        stored = registry.Registry(address).tags
        return Layers(f"{reference},mode=max", reference, "1ms", lambda: stored("cache"))
    directory = tmp_path / "layers"
    return Layers(
        f"type=local,dest={directory},mode=max",
        f"type=local,src={directory}",
        "2ms",
        lambda: {path.name for path in directory.iterdir()},
    )


@pytest.mark.usefixtures("workers")
def test_matrix_is_spread_and_a_fresh_worker_reads_its_layers(
    layers: Layers, tmp_path: Path, step: Path, config: Path
) -> None:
    """Each worker builds its images; a third one finds all layers where they were stored."""
    images = [name for worker in WORKERS for name in named(worker, 2)]
    checkout = Checkout(tmp_path / "checkout", step, dict.fromkeys(images, layers.duration))
    built = checkout.build(f"--workers={','.join(WORKERS)}", VMAF_CACHE_TO=layers.write)
    assert not built.returncode, built.stderr
    assert {name: row[:2] for name, row in rows(built.stderr).items()} == {
        name: [home(name), "built"] for name in images
    }
    assert layers.stored() == set(images)
    before = {name: layers_of(name) for name in images}
    assert all(before.values())

    with worker("vmaf-test-3", config.parent, config):
        fresh = checkout.build("--workers=vmaf-test-3", images[0], VMAF_CACHE_FROM=layers.read)
    assert not fresh.returncode, fresh.stderr
    assert layers_of(images[0]) == before[images[0]]


@pytest.mark.usefixtures("workers")
def test_failing_image_does_not_stop_the_others(tmp_path: Path, step: Path) -> None:
    """The status is 1, the message has the step that failed, and the others are built."""
    (broken, *others) = named(WORKERS[0], 2) + named(WORKERS[1], 1)
    images = {broken: "fail", **dict.fromkeys(others, "2ms")}
    built = Checkout(tmp_path / "checkout", step, images).build(f"--workers={','.join(WORKERS)}")
    assert built.returncode == 1
    assert {name: row[1] for name, row in rows(built.stderr).items()} == {
        broken: "failed",
        **dict.fromkeys(others, "built"),
    }
    assert f"error: 1 of 3 images were not built: {broken}: stage image failed" in built.stderr
    assert f"at Dockerfile.{broken}:5" in built.stderr


def test_images_of_a_killed_worker_are_built_by_the_other(
    tmp_path: Path, step: Path, workers: list[process.Popen[bytes]]
) -> None:
    """A worker is killed in the middle of a step; the other one builds that image and the next."""
    (slow, queued), (other,) = named(WORKERS[0], 2), named(WORKERS[1], 1)
    images = {slow: "8s", queued: "3ms", other: "3ms"}
    checkout = Checkout(tmp_path / "checkout", step, images)
    output = ""
    with checkout.start(f"--workers={','.join(WORKERS)}", slow, queued, other) as run:
        for line in run.stdout or ():
            output += line
            if f"{WORKERS[0]} {slow}: [image 1/1] RUN" in line and workers[0].poll() is None:
                workers[0].kill()
                workers[0].wait()
    assert run.returncode == 0, output
    assert f"warning: {WORKERS[0]} is lost" in output
    moved = [f"{WORKERS[1]}, for {WORKERS[0]}", "built"]
    table = rows(output)
    assert [table[slow][:2], table[queued][:2]] == [moved, moved]
    assert table[other][:2] == [WORKERS[1], "built"]
