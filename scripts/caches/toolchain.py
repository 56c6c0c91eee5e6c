"""Build a target on this project's stages, and read the files that it exports."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scripts.caches.mounts import buildx
from scripts.core.paths import ROOT
from scripts.engine import client
from scripts.images import bases
from scripts.images.overlay import write_overlay


@contextmanager
def export(action: str, target: str, definition: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Build a bake target and yield a temporary directory with its files.

    Args:
        action: what it is for, for messages.
        target: the name of the target.
        definition: the target, if docker-bake.hcl has none of this name.

    Raises:
        UserError: no engine answers, or the target cannot be built.
    """
    client.require()
    base_source = bases.choose()
    if base_source == "bootstrap":
        bases.bootstrap()
    with TemporaryDirectory(prefix="vmaf-images-") as name:
        directory = Path(name)
        # The stages below the target may have to be built, which uses the network.
        overlay = write_overlay(directory, environment=os.environ, base_source=base_source)
        files = [*(ROOT / path for path in bases.OVERLAYS[base_source]), overlay]
        if definition is not None:
            files.append(directory / "target.json")
            files[-1].write_text(json.dumps({"target": {target: definition}}))
        out = directory / "out"
        buildx(
            *(action, "bake", *(f"--file={path}" for path in files), "--progress=plain"),
            *(f"--set={target}.output=type=local,dest={out}", target),
        )
        yield out


def run(action: str, dockerfile: str, namespace: str) -> dict[str, dict[str, str]]:
    """Build a Dockerfile on the stage `toolchain`, and return the texts that it exports.

    Its steps never are cached if they use the argument STAMP.

    Args:
        action: what it is for, for messages.
        dockerfile: the text of the Dockerfile.
        namespace: the namespace of its cache mounts; empty for the default one.

    Returns:
        The texts by directory and by name.

    Raises:
        UserError: no engine answers, or a step failed.
    """
    arguments = {"STAMP": datetime.now(UTC).isoformat()}
    if namespace:
        arguments["BUILDKIT_CACHE_MOUNT_NS"] = namespace
    with TemporaryDirectory(prefix="vmaf-images-") as name:
        path = Path(name, "Dockerfile")
        path.write_text(dockerfile)
        definition = {
            "inherits": ["_common"],
            "dockerfile": str(path),
            "contexts": {"toolchain": "target:toolchain"},
            "args": arguments,
        }
        with export(action, "on-toolchain", definition) as out:
            return {
                directory.name: {
                    path.name: path.read_text() for path in sorted(directory.iterdir())
                }
                for directory in sorted(out.iterdir())
            }
