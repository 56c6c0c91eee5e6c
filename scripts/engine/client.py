"""Query the Docker Engine that the docker client reaches.

The client chooses the engine: by DOCKER_HOST, or by its contexts. This module does not
start or change the engine; `nox -s engine` does (docs/engine.md).
"""

import json
import os
import platform
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.core import process
from scripts.core.console import UserError

MINIMUM_ENGINE = (23, 0)
"""The first engine whose default builder is BuildKit with named contexts; tested: 26.1."""
MINIMUM_BUILDX = (0, 13)
"""The first buildx with `--progress=rawjson`, from which the timings are read."""
NEEDS = "Docker Engine {}.{} and buildx {}.{} or newer".format(*MINIMUM_ENGINE, *MINIMUM_BUILDX)
DEFAULT_SOCKETS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")
"""Both paths of the client's default socket."""
QUERY_SECONDS = 30


@dataclass(frozen=True)
class Engine:
    """The engine that answers the docker client."""

    version: str
    buildx: str
    """The version of the client's buildx plugin; empty if it is not installed."""
    data_root: str
    """A path on the engine's machine, which may be another machine."""
    driver: str
    """Its storage driver: `overlay2`."""
    local: bool
    """Whether it runs on this machine and in this container, so that `data_root` is readable."""

    def __str__(self) -> str:
        """Return the versions, the storage driver and the data root, for bug reports."""
        buildx = f"buildx {self.buildx}" if self.buildx else "no buildx"
        return f"Docker Engine {self.version}, {buildx}, {self.driver}, data in {self.data_root}"


class NoEngineError(UserError):
    """No engine answers the docker client."""


def require() -> Engine:
    """Return the engine that answers.

    Raises:
        UserError: no engine answers, it is too old, or the client lacks buildx.
    """
    engine = query()
    check(engine)
    return engine


def query() -> Engine:
    """Return the engine that answers the docker client, whatever its version.

    Raises:
        NoEngineError: no engine answers.
    """
    # Clients older than 23 print `--format json` as literal text.
    done = process.run("docker", "info", "--format", "{{json .}}", timeout=QUERY_SECONDS)
    if done.returncode == process.NOT_FOUND:
        raise no_engine("the docker client is not installed")
    if done.returncode == process.TIMED_OUT:
        raise no_engine(f"`docker info` took longer than {QUERY_SECONDS} seconds")
    try:
        info = json.loads(done.stdout)
    except ValueError:
        info = {}
    return read_info(info, done.stderr, platform.node(), platform.release())


def read_info(info: Mapping[str, Any], errors: str, node: str, kernel: str) -> Engine:
    """Return the engine that `docker info` describes.

    Args:
        info: its JSON; empty if it printed none.
        errors: what it printed to stderr.
        node: the name of this machine. The name and the kernel identify a local engine. The
            socket does not: it may belong to a virtual machine, or to the host of this
            container.
        kernel: the kernel release of this machine.

    Raises:
        NoEngineError: no engine answered.
    """
    if not info.get("ServerVersion"):
        # Clients print the reason in the JSON up to version 27, and on stderr from version 28.
        why = "\n".join([*(info.get("ServerErrors") or []), errors]).strip()
        raise no_engine(why.splitlines()[0] if why else "`docker info` printed no reason")
    plugins: Iterable[Mapping[str, str]] = info.get("ClientInfo", {}).get("Plugins") or []
    return Engine(
        version=info["ServerVersion"],
        buildx=next((p.get("Version", "") for p in plugins if p["Name"] == "buildx"), ""),
        data_root=info["DockerRootDir"],
        driver=info["Driver"],
        local=(info["Name"], info["KernelVersion"]) == (node, kernel),
    )


def no_engine(why: str) -> NoEngineError:
    """Return the error for an engine that does not answer, with advice for the reason."""
    if "permission denied" in why:
        todo = "Run as root, or join the group `docker` and log in again."
    else:
        todo = f"Run `nox -s engine`, which starts an engine if possible. Needed: {NEEDS}."
    return NoEngineError("no Docker Engine answers", why, todo)


def check(engine: Engine) -> None:
    """Check that the engine and the client's buildx are recent enough.

    Raises:
        UserError: the engine or buildx is too old, or buildx is missing.
    """
    if major_minor(engine.version) < MINIMUM_ENGINE:
        raise UserError(
            "the Docker Engine is too old",
            f"version {engine.version} answers, and its builder lacks named contexts",
            f"Upgrade it, or point DOCKER_HOST at another engine. Needed: {NEEDS}.",
        )
    if not engine.buildx:
        raise UserError(
            "cannot build",
            "the docker client has no buildx plugin",
            "Install it (docker-buildx on Debian and Ubuntu, docker-buildx-plugin from Docker's"
            f" own archive). Needed: {NEEDS}.",
        )
    if major_minor(engine.buildx) < MINIMUM_BUILDX:
        raise UserError(
            "buildx is too old",
            f"the docker client uses version {engine.buildx}, which lacks --progress=rawjson",
            "Upgrade it; a plugin in ~/.docker/cli-plugins overrides the installed one."
            f" Needed: {NEEDS}.",
        )


def major_minor(version: str) -> tuple[int, int]:
    """Return the first `major.minor` in a version, or (0, 0): `v0.13.1+ds1` is (0, 13)."""
    match = re.search(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def has_image(tag: str) -> bool:
    """Return whether the engine has an image with this tag."""
    return process.run("docker", "image", "inspect", tag).returncode == 0


def image_bytes(tag: str) -> int:
    """Return the size of an image on the engine's disk in bytes; 0 if there is no such image."""
    return int(process.output("docker", "image", "inspect", "--format", "{{.Size}}", tag) or 0)


def architecture(tag: str) -> str:
    """Return the architecture of an image, such as `arm64`; empty if there is no such image."""
    shown = process.output("docker", "image", "inspect", "--format", "{{.Architecture}}", tag)
    return shown.strip()


def image_id(tag: str) -> str:
    """Return the identifier of an image, a digest; an empty string if there is no such image."""
    return process.output("docker", "image", "inspect", "--format", "{{.Id}}", tag).strip()


def free_bytes(engine: Engine) -> int | None:
    """Return the free bytes on the disk of the engine's data; None if they are unknown."""
    try:
        return shutil.disk_usage(engine.data_root).free if engine.local else None
    except OSError:
        return None


def endpoint() -> str:
    """Return the address at which the docker client expects an engine."""
    context = process.output(
        "docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"
    ).strip()
    return context or os.environ.get("DOCKER_HOST") or DEFAULT_SOCKETS[0]
