"""Run bake with a further bake file, and export the source tree of a project."""

import json
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.buildkit import failure, progress
from scripts.core import git
from scripts.core.paths import RECORDS, ROOT
from scripts.images import bases
from scripts.images.overlay import overlay

SOURCES = {"libvmaf": "libvmaf-source", "ffmpeg": "ffmpeg-source"}
"""The stage with the source tree of each project, which a named context replaces."""
TARGET = "exported-source"


def bake(  # noqa: PLR0913 (each argument is an option)
    document: Mapping[str, Any],
    arguments: Sequence[str],
    *,
    name: str,
    file: Path,
    base_source: str,
    cwd: Path = ROOT,
) -> progress.Outcome:
    """Run bake with the bake files of a base source and a further one.

    Args:
        document: the content of the further bake file.
        arguments: the targets, and options of bake.
        name: a part of the log's name.
        file: where the further bake file is written.
        base_source: the source of the base image, a key of `bases.OVERLAYS`.
        cwd: the directory with the other bake files.
    """
    file.write_text(json.dumps(document))
    command = ["docker", "buildx", "bake", "--progress=rawjson"]
    for path in (*bases.OVERLAYS[base_source], str(file)):
        command += ["--file", path]
    log = RECORDS / "logs" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}.log"
    environment = {
        **os.environ,
        "SOURCE_DATE_EPOCH": git.epoch(os.environ),
        # buildx would also load the stages that are named contexts, as they set no output.
        "BUILDX_NO_DEFAULT_LOAD": "1",
    }
    return progress.follow([*command, *arguments], cwd=cwd, env=environment, log=log)


def source_tree(project: str, directory: Path, base_source: str) -> None:
    """Write the default source tree of a project to a directory, unless the directory exists.

    Args:
        project: a key of `SOURCES`.
        directory: where it is written, completely or not at all.
        base_source: the source of the base image, a key of `bases.OVERLAYS`.

    Raises:
        UserError: the stage that fetches it cannot be built.
    """
    if directory.exists():
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = RECORDS / f"export-{os.getpid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    document = overlay(scratch, base_source=base_source, environment=os.environ)
    document["target"][TARGET] = {
        "inherits": ["_production"],
        "target": SOURCES[project],
        # A single file, as buildx 0.13 may hang while it writes thousands of files.
        "output": [f"type=tar,dest={directory}.tar"],
    }
    file, name = scratch / "overlay.json", f"{project}-source"
    try:
        outcome = bake(document, [TARGET], name=name, file=file, base_source=base_source)
    finally:
        shutil.rmtree(scratch)
    if outcome.returncode:
        raise failure.failure(outcome)
    part = Path(f"{directory}.part")
    shutil.rmtree(part, ignore_errors=True)
    with tarfile.open(f"{directory}.tar") as archive:
        archive.extractall(part, filter="tar")
    part.rename(directory)
    Path(f"{directory}.tar").unlink()
