"""Builds that overlap: an image is built twice while another build uses the same base image.

BuildKit before 0.32 does not find the cached steps on a base image that a running build has pulled,
so that they run again (moby/buildkit pull request 6955).
"""

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from scripts.bench import registry
from scripts.bench.figure import Figure
from scripts.bench.fresh import machine
from scripts.bench.fresh.machine import FILES
from scripts.buildkit.records import StageRecord
from scripts.core import loopback, process
from scripts.core.console import UserError, say
from scripts.engine import buildkitd
from scripts.images import bases, build, catalogue

PLACE = "overlap"
"""The place of the base image in the mirror."""
TAG = "vmaf-bench/overlap"
STEP = "RUN sleep 7200"


def ran(stages: list[StageRecord]) -> int:
    """Return the number of the instructions that ran and were not cached."""
    steps = [(text, step) for stage in stages for text, step in stage.steps.items()]
    return sum(not step.cached for text, step in steps if " RUN " in text)


@contextmanager
def running(directory: Path) -> Iterator[None]:
    """Run a build that uses the base image, and end it later.

    Raises:
        UserError: it failed.
    """
    context = directory / "other"
    context.mkdir(parents=True, exist_ok=True)
    (context / "Dockerfile").write_text(f"FROM {bases.BASE}\n{STEP}\n")
    build_other = ("docker", "buildx", "build", "--progress=plain", "--output=type=cacheonly")
    with process.start(*build_other, str(context)) as child:
        try:
            lines = []
            for line in child.stdout or ():
                lines.append(line)
                if STEP in line:
                    break
            else:
                why = "".join(lines[-5:]).strip()
                raise UserError("the build beside the others failed", why, "Run it again.")
            yield
        finally:
            process.end(child, loopback.TIMEOUT_SECONDS)


def measure(served: registry.Registry, image: str, version: str, program: Path) -> Iterator[Figure]:
    """Yield the seconds and the steps of the second of two builds, with a BuildKit.

    Raises:
        UserError: a build failed.
    """
    with machine.machine(served, PLACE, program), running(FILES / PLACE):
        for number in ("first", "second"):
            say(f"overlap: BuildKit {version}, the {number} build")
            built = build.build([image], tags={image: f"{TAG}:{image}"})
            name = f"{image}, BuildKit {version}, the {number} build beside another"
            yield Figure(name, built.seconds, "s")
            yield Figure(f"{name}: steps that ran", ran(built.stages))


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield the figures for BuildKit 0.13, or the one on PATH, and for the newer release.

    Raises:
        UserError: a program cannot be compiled, or a build failed.
    """
    (image,) = catalogue.choose([options.image])
    registry.programs()
    programs = {
        buildkitd.MODULE.rpartition("@")[2]: buildkitd.program(),
        buildkitd.NEWER: buildkitd.newer_program(),
    }
    base_source = bases.choose()
    if base_source == "bootstrap":
        bases.bootstrap()
    directory, name = FILES / PLACE, f"{datetime.now(UTC):%Y%m%dt%H%M%Sz}-{PLACE}"
    try:
        with registry.run(directory) as served:
            machine.publish(served, name, {PLACE: name}, base_source)
            for version, program in programs.items():
                yield from measure(served, image.name, version, program)
    finally:
        process.run("docker", "image", "rm", f"{TAG}:{image.name}")
        shutil.rmtree(directory, ignore_errors=True)
