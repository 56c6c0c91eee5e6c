"""The machines and stores of the bench: a BuildKit without data, a registry, a Redis.

The registry also is the mirror of Docker's registry. It has the base image and the syntax frontend,
which a CI machine pulls. Each scenario has a base image of its own, below a path of the mirror.
"""

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bench import builds
from scripts.bench.registry import Registry
from scripts.bench.session import DIRECTORY, State
from scripts.buildkit import failure
from scripts.core import loopback, process
from scripts.core.console import UserError
from scripts.core.mounted import unmount
from scripts.core.paths import ROOT
from scripts.engine import buildkitd
from scripts.images import bases, export, remote_cache
from scripts.images.overlay import overlay

BUILDER = "vmaf-bench-fresh"
FILES = DIRECTORY / "fresh"
CACHES = (remote_cache.VARIABLE, "VMAF_CACHE_FROM", "VMAF_CACHE_TO")
"""The environment variables with caches outside of the machine."""


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for what runs meanwhile: the builder, and caches or none."""
    chosen = dict.fromkeys(CACHES, "") | {
        "BUILDX_BUILDER": BUILDER,
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        "VMAF_BASES": "registry",
        **values,
    }
    before = {name: os.environ.get(name) for name in chosen}
    os.environ.update(chosen)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextmanager
def machine(registry: Registry, place: str, program: Path | None = None) -> Iterator[None]:
    """Run a BuildKit without data as the builder; remove its data at the end.

    Args:
        registry: the mirror.
        place: the path in the mirror with the base image.
        program: the BuildKit; 0.13 by default.

    Raises:
        UserError: it cannot be compiled, or does not answer.
    """
    directory = FILES / "machine"
    settings = f'[registry."docker.io"]\n  mirrors = ["{registry.address}/{place}"]\n'
    remove(directory)
    try:
        with (
            buildkitd.worker(BUILDER, directory, settings + registry.settings, program),
            variables({}),
        ):
            yield
    finally:
        remove(directory)


def remove(directory: Path) -> None:
    """Remove the data of a BuildKit that has ended, also what it left mounted."""
    unmount(directory)
    shutil.rmtree(directory, ignore_errors=True)


def publish(registry: Registry, run: str, places: Mapping[str, str], base_source: str) -> None:
    """Push the base images and the syntax frontend to the mirror, unless it has them.

    Args:
        registry: the mirror.
        run: the name of the run.
        places: for each path in the mirror, what makes its base image another one.
        base_source: the source of the base image, a key of `bases.OVERLAYS`.

    Raises:
        UserError: an image cannot be built or pushed.
    """
    frontend: dict[str, Any] = {"inherits": ["frontend"]}
    if base_source != "bootstrap":
        frontend = {"dockerfile-inline": f"FROM {bases.FRONTEND}\n"}
    for place, unique in places.items():
        repository, _, tag = f"{place}/library/{bases.BASE}".rpartition(":")
        if tag not in registry.tags(repository):
            base = builds.base_target(State("", unique, f"bench-{run}-fresh"), base_source)
            _push(f"{registry.address}/{repository}:{tag}", base, base_source)
        repository, _, tag = f"{place}/{bases.FRONTEND}".rpartition(":")
        if tag not in registry.tags(repository):
            _push(f"{registry.address}/{repository}:{tag}", frontend, base_source)


def _push(reference: str, target: Mapping[str, Any], base_source: str) -> None:
    """Build a target in the engine, and push it.

    Raises:
        UserError: the image cannot be built or pushed.
    """
    FILES.mkdir(parents=True, exist_ok=True)
    document = overlay(FILES, environment=builds.settings(), base_source=base_source)
    output = {"tags": [reference], "output": ["type=docker"]}
    document["target"]["published"] = {"context": str(ROOT), **target, **output}
    outcome = export.bake(
        document,
        ["published"],
        name="bench-published",
        file=FILES / "overlay.json",
        base_source=base_source,
    )
    if outcome.returncode:
        raise failure.failure(outcome)
    pushed = process.run("docker", "push", "--quiet", reference)
    process.run("docker", "image", "rm", reference)
    if pushed.returncode:
        raise UserError(
            f"cannot push {reference}",
            pushed.stderr.strip()[-500:],
            "The engine must reach the loopback of this machine.",
        )


@dataclass(frozen=True)
class Redis:
    """A running Redis."""

    port: int

    @property
    def address(self) -> str:
        """The address for VMAF_REMOTE_CACHE; the steps share the network of the host."""
        return f"redis://127.0.0.1:{self.port}/0"

    def traffic(self) -> tuple[int, int]:
        """Return the bytes that it received and sent since its start."""
        with socket.create_connection(("127.0.0.1", self.port), loopback.TIMEOUT_SECONDS) as client:
            client.sendall(b"INFO stats\r\nQUIT\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
        fields = dict(line.split(":", 1) for line in answer.splitlines() if ":" in line)
        return int(fields["total_net_input_bytes"]), int(fields["total_net_output_bytes"])


@contextmanager
def redis(directory: Path) -> Iterator[Redis]:
    """Run a Redis with its data in `directory`; it has them when it is started again.

    Raises:
        UserError: it is not installed, or does not start.
    """
    program = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    if not program:
        raise UserError(
            "cannot measure the contender `redis`",
            "Redis is not installed",
            "Install it (`apt-get install redis-tools`), or name the others with `--contender`.",
        )
    directory.mkdir(parents=True, exist_ok=True)
    link = directory / "redis-server"  # the two are one program, which looks at its name
    link.unlink(missing_ok=True)
    link.symlink_to(program)
    port, log = loopback.free_port(), directory / "redis.log"
    command = [str(link), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory)]
    with loopback.daemon([*command, "--save", "3600 1"], log):
        loopback.wait(port, log)
        yield Redis(port)
