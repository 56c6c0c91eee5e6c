"""Read bake files through `docker buildx bake --print`."""

import json
import subprocess
from collections.abc import Iterable
from typing import Any

from scripts.core.console import UserError
from scripts.core.paths import ROOT


def bake_print(*targets: str, files: Iterable[str] = ("docker-bake.hcl",)) -> dict[str, Any]:
    """Return what bake would build; needs the buildx client, not an engine.

    Raises:
        UserError: buildx is missing, or cannot read the bake files.
    """
    command = ["docker", "buildx", "bake", "--print"]
    for file in files:
        command += ["--file", file]
    try:
        done = subprocess.run(
            [*command, *targets], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        done = None
    if done is None or "buildx" in (done.stderr if done.returncode else "").split("\n")[0]:
        raise UserError(
            "cannot list the images",
            "the docker client with its buildx plugin is not installed",
            "Run `nox -s engine`, or install docker and docker-buildx (0.13 or newer).",
        )
    if done.returncode:
        raise UserError(
            "cannot list the images",
            done.stderr.strip().splitlines()[-1],
            "See docker-bake.hcl and its overlays; `docker buildx bake --print` says more.",
        )
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed
