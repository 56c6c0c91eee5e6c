"""Helpers for tests that run buildx."""

import os
from pathlib import Path

import pytest

from scripts.core import process
from scripts.images import bases
from scripts.images.overlay import write_overlay

needs_buildx = pytest.mark.skipif(
    not process.output("docker", "buildx", "version"),
    reason="reads `docker buildx bake --print`, and there is no buildx: nox -s engine",
)


def bake_options(directory: Path) -> list[str]:
    """Return the `--file` options for bake; write the overlay for this machine to the directory.

    The bake files replace the base images if no registry is reachable.
    """
    source = bases.choose()
    machine = write_overlay(directory, environment=os.environ, base_source=source)
    return [f"--file={file}" for file in (*bases.OVERLAYS[source], machine)]
