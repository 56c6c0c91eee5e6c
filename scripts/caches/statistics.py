"""Read the statistics that programs store in the cache mounts, in the stage `toolchain`."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.caches.mounts import DeclaredMount, buildx, declared
from scripts.core.console import console
from scripts.core.paths import ROOT
from scripts.dockerfile import project
from scripts.engine import client
from scripts.images import bases
from scripts.images.overlay import write_overlay

DEPCACHE = "docker/compiler-cache/src/depcache.py"
_MOUNTED = "/run/cache/depcache.py"
_NUMBERS = 'capture("(?<files>[0-9]+) files, (?<bytes>[0-9]+) bytes") | map_values(tonumber)'


@dataclass(frozen=True)
class Command:
    """The commands that print the statistics of a program, as text and as JSON."""

    text: str
    json: str


COMMANDS: Mapping[str, Mapping[str, Command]] = {
    "/ccache": {
        "ccache": Command("ccache --show-stats -vv", "ccache --print-stats --format=json"),
        "depcache": Command(f"{_MOUNTED} --stats", f"{_MOUNTED} --stats | jq -R '{_NUMBERS}'"),
    },
}
"""The programs with statistics, by the directory of the mount and by name."""


def dockerfile(mounts: Iterable[DeclaredMount], *, as_json: bool) -> str:
    """Return a Dockerfile that writes the statistics of each mount to `/ID/PROGRAM`.

    The steps mount each cache with the options that the Dockerfiles declare, because BuildKit
    creates a new, empty cache for other options.
    """
    steps = []
    depcache = f"--mount=type=bind,source={DEPCACHE},target={_MOUNTED}"
    for declaration in mounts:
        mount = declaration.mount
        for program, command in COMMANDS.get(mount.target, {}).items():
            options = ",".join(f"{k}={v}" if v else k for k, v in mount.options.items())
            directory = f"/tmp/statistics/{declaration.id}"  # noqa: S108 - inside the step
            steps.append(
                f"USER {mount.get('uid') or 0}\n"
                f"RUN --mount={options} {depcache} mkdir -p {directory} "
                f"&& {command.json if as_json else command.text} > {directory}/{program}"
            )
    # STAMP differs in each build, so that no step is cached.
    head = ["FROM toolchain AS statistics", "ARG TARGETARCH STAMP"]
    copy = "COPY --from=statistics /tmp/statistics/ /\n"
    return "\n".join([*head, *steps, "FROM scratch", copy])


def read(namespace: str, *, as_json: bool) -> dict[str, dict[str, str]]:
    """Return the statistics by mount and program.

    Raises:
        UserError: no engine answers, or the stage `toolchain` cannot be built.
    """
    client.require()
    base_source = bases.choose()
    if base_source == "bootstrap":
        bases.bootstrap()
    arguments = {"STAMP": datetime.now(UTC).isoformat()}
    if namespace:
        arguments["BUILDKIT_CACHE_MOUNT_NS"] = namespace
    with TemporaryDirectory(prefix="vmaf-images-") as name, console.status("reading statistics"):
        directory = Path(name)
        file = directory / "Dockerfile"
        file.write_text(dockerfile(declared(project.of_repository()), as_json=as_json))
        target = {
            "inherits": ["_common"],
            "dockerfile": str(file),
            "contexts": {"toolchain": "target:toolchain"},
            "args": arguments,
        }
        bake_file = directory / "statistics.json"
        bake_file.write_text(json.dumps({"target": {"statistics": target}}))
        # The stage `toolchain` may have to be built, which uses the network.
        overlay = write_overlay(directory, environment=os.environ, base_source=base_source)
        files = [*(ROOT / path for path in bases.OVERLAYS[base_source]), overlay, bake_file]
        out = directory / "out"
        buildx(
            *("read the statistics of the caches", "bake", *(f"--file={path}" for path in files)),
            *("--progress=plain", f"--set=statistics.output=type=local,dest={out}", "statistics"),
        )
        return {
            mount.name: {path.name: path.read_text() for path in sorted(mount.iterdir())}
            for mount in sorted(out.iterdir())
        }
