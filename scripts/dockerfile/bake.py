"""Read bake files through `docker buildx bake --print`."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from scripts.core import process
from scripts.core.console import UserError
from scripts.core.paths import ROOT


class Target(msgspec.Struct, frozen=True):
    """The fields of a bake target that the policy reads."""

    dockerfile: str
    target: str = ""
    """The stage to build; if empty, the last stage of the Dockerfile."""
    contexts: dict[str, str] = {}
    tags: list[str] = []
    no_cache: bool = msgspec.field(name="no-cache", default=False)


def bake_print(
    *targets: str,
    files: Iterable[str] = ("docker-bake.hcl",),
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the targets as `bake --print` prints them; this needs buildx, but no engine.

    Args:
        targets: the names of targets or groups.
        files: the bake files; a later file overrides an earlier one.
        environment: the environment, which has bake variables; by default, that of this process.

    Raises:
        UserError: buildx is not installed, or cannot read the bake files.
    """
    command = ["docker", "buildx", "bake", "--print"]
    for file in files:
        command += ["--file", file]
    done = process.run(*command, *targets, cwd=ROOT, env=environment)
    missing = done.returncode == process.NOT_FOUND
    # A docker client without the plugin reports that `buildx` is an unknown command.
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


@cache
def declared_targets(*texts: str) -> Mapping[str, Target]:
    """Return every target that bake files declare, including targets that no image needs.

    Args:
        texts: the contents of the bake files; a later file overrides an earlier one.

    Raises:
        UserError: buildx is not installed, or cannot read the bake files.
    """
    declared = re.findall(r'^target "([a-z0-9][\w-]*)"', "\n".join(texts), re.MULTILINE)
    with TemporaryDirectory() as directory:
        files = [Path(directory) / f"{number}.hcl" for number in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        printed = bake_print(*dict.fromkeys(declared), files=map(str, files))
    return msgspec.convert(printed["target"], dict[str, Target])
