"""Read bake files through `docker buildx bake --print`."""

import json
from collections.abc import Iterable
from typing import Any

from scripts.core import process
from scripts.core.console import UserError
from scripts.core.paths import ROOT


def bake_print(*targets: str, files: Iterable[str] = ("docker-bake.hcl",)) -> dict[str, Any]:
    """Return the targets as `bake --print` prints them; this needs buildx, but no engine.

    Raises:
        UserError: buildx is not installed, or cannot read the bake files.
    """
    command = ["docker", "buildx", "bake", "--print"]
    for file in files:
        command += ["--file", file]
    done = process.run(*command, *targets, cwd=ROOT)
    missing = done.returncode == process.NOT_FOUND
    # A client without the plugin takes `buildx` for an unknown command, and prints so.
    if missing or (done.returncode and "buildx" in done.stderr.split("\n")[0]):
        raise UserError(
            "cannot list the images",
            "the docker client with its buildx plugin is not installed",
            "Run `nox -s engine`, or install docker and docker-buildx (0.13 or newer).",
        )
    if done.returncode:
        raise UserError(
            "cannot list the images",
            done.stderr.strip().splitlines()[-1],
            "Check docker-bake.hcl and its overlays with `docker buildx bake --print`.",
        )
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed
