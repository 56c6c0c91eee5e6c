"""The program that streams cache mounts: docker/cache-stream, found or built, and run."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scripts.caches import toolchain
from scripts.caches.archive import PROGRAM, Descriptor, Layout, digest_of
from scripts.caches.mounts import DeclaredMount
from scripts.core import process
from scripts.core.console import UserError, console, say
from scripts.core.paths import RECORDS, ROOT

PIN = ROOT / "docker" / "cache-stream" / "program.sha256"
"""The digests of the program as this repository's sources build it, one architecture a line."""
FILE = RECORDS / "tools" / "cache-stream"
TARGET = "cache-stream"
_SOURCE = "docker/cache-stream"


class Message(Struct):
    """A message of the program."""

    event: str
    files: int = 0
    bytes: int = 0
    archive: int = 0
    digest: str = ""
    reason: str = ""
    error: str = ""


class StreamError(Exception):
    """The program failed."""

    def __init__(self, message: Message) -> None:
        """Store its last message."""
        super().__init__(message.error)
        self.reason = message.reason
        """`not-empty`, `archive`, `path`, or empty for any other reason."""


@dataclass(frozen=True)
class Builder:
    """The builder whose mounts are streamed."""

    address: str
    """As docker/cache-stream expects it."""
    architecture: str
    """As in TARGETARCH."""


def pinned(architecture: str) -> str:
    """Return the digest of the program for an architecture; empty if none is pinned."""
    for line in PIN.read_text().splitlines():
        digest, _, name = line.partition("  ")
        if name.strip() == architecture:
            return f"sha256:{digest}"
    return ""


def find(architecture: str, offered: Layout | None = None) -> Path:
    """Return the program. It has the pinned digest, or is built from the sources of this checkout.

    Args:
        architecture: the builder's, in which the program also runs.
        offered: an archive that may have the program. A build takes a minute.

    Raises:
        UserError: the program cannot be built.
    """
    pin = pinned(architecture)
    if FILE.exists() and digest_of(FILE) == pin:
        return FILE
    FILE.parent.mkdir(parents=True, exist_ok=True)
    blob = _offered(offered, pin) if offered else None
    if offered and blob:
        _install(offered.path(blob.digest))
        return FILE
    with console.status(f"building {_SOURCE}"), toolchain.export(f"build {_SOURCE}", TARGET) as out:
        _install(out / "cache-stream")
    if digest_of(FILE) != pin:
        say(f"{PIN.relative_to(ROOT)} does not have the digest of the program that was built")
    return FILE


def _offered(layout: Layout, pin: str) -> Descriptor | None:
    """Return the program in an archive if it is the pinned one.

    Raises:
        UserError: the archive is damaged.
    """
    manifest = layout.manifest()
    for blob in manifest.layers if manifest else []:
        if blob.media_type == PROGRAM and blob.digest == pin:
            layout.check(blob)
            return blob
    return None


def _install(path: Path) -> None:
    part = FILE.with_suffix(".part")
    shutil.copyfile(path, part)
    part.chmod(0o755)
    part.replace(FILE)


def builder() -> Builder:
    """Return the builder that buildx uses: the current one, or that of BUILDX_BUILDER.

    The socket of a Docker Engine or a BuildKit on this machine is used directly. All others are
    reached through `docker buildx dial-stdio`, which knows the certificates, contexts and drivers.

    Raises:
        UserError: buildx has no such builder, or it does not answer.
    """
    inspected = process.run("docker", "buildx", "inspect")
    if inspected.returncode:
        raise UserError(
            "cannot use the builder",
            (inspected.stderr.strip().splitlines() or ["buildx printed no reason"])[-1],
            "`docker buildx ls` lists the builders, and `nox -s engine` checks the engine.",
        )
    return read_builder(inspected.stdout, _context_host)


def _context_host(context: str) -> str:
    """Return the address of the engine of a docker context."""
    template = "{{.Endpoints.docker.Host}}"
    return process.output("docker", "context", "inspect", context, "--format", template).strip()


def read_builder(inspected: str, host: Callable[[str], str]) -> Builder:
    """Return the builder in the output of `docker buildx inspect`.

    Args:
        inspected: the output.
        host: returns the address of the engine of a docker context.

    Raises:
        UserError: the builder does not answer, so that its platform is unknown.
    """
    fields: dict[str, str] = {}
    for name, value in re.findall(r"^(\w[\w ]*):[ \t]+(\S.*)$", inspected, re.MULTILINE):
        fields.setdefault(name, value.strip())
    platform = re.match(r"linux/(\w+)", fields.get("Platforms", ""))
    if not platform:
        raise UserError(
            "cannot use the builder",
            f"`{fields.get('Name', '')}` does not answer",
            "Start it: `docker buildx inspect --bootstrap`, or `nox -s engine` for the engine's.",
        )
    address, driver = fields.get("Endpoint", ""), fields.get("Driver")
    if driver == "docker":
        address = f"docker+{host(address)}"
    if driver not in {"docker", "remote"} or not re.match(r"(docker\+)?unix://", address):
        address = f"buildx://{fields['Name']}"
    return Builder(address, platform[1])


@dataclass(frozen=True)
class Mount:
    """A cache mount of the builder, with the options that its declaration has."""

    declaration: DeclaredMount
    id: str
    """The id with its variables replaced."""
    namespace: str = ""
    is_foreign: bool = False
    """Whether it is for images of another architecture than the builder's."""

    @property
    def name(self) -> str:
        """The id, after the namespace if there is one."""
        return f"{self.namespace}/{self.id}" if self.namespace else self.id

    @property
    def key(self) -> dict[str, Any]:
        """The mount as the program expects it."""
        uid, gid, mode = (self.declaration.mount.get(name) for name in ("uid", "gid", "mode"))
        return {
            "namespace": self.namespace,
            "id": self.id,
            "directory": self.declaration.mount.target,
            "owned": bool(uid or gid or mode),
            "uid": int(uid or 0),
            "gid": int(gid or 0),
            "mode": int(mode or "0755", 8),
        }


@dataclass
class Stream:
    """The program and the builder that it is run for."""

    program: Path
    builder: Builder
    progress: Callable[[Message], None] = field(default=lambda _: None)
    """Is called with each message before the last."""

    def _command(self, mount: Mount, agent: Mapping[str, Any], file: Path | None) -> list[str]:
        request = {"mount": mount.key, "agent": agent, "file": str(file or "")}
        return [str(self.program), self.builder.address, json.dumps(request)]

    def run(self, mount: Mount, agent: Mapping[str, Any], file: Path | None = None) -> Message:
        """Run the program for a mount and return its last message.

        Args:
            mount: the mount, which another step may hold.
            agent: the request, an agent.Request of docker/cache-stream.
            file: the archive to write or read.

        Raises:
            StreamError: the program failed.
        """
        child = process.start(*self._command(mount, agent, file))
        last = Message("failed", error="the program printed nothing")
        try:
            for line in child.stdout or ():
                last = _message(line)
                if last.event not in {"done", "failed"}:
                    self.progress(last)
        finally:
            if child.poll() is None:
                child.terminate()
            status = child.wait()
            if child.stdout:
                child.stdout.close()
        if status or last.event != "done":
            raise StreamError(last)
        return last

    def copy(self, mount: Mount, agent: Mapping[str, Any]) -> None:
        """Run the program and copy its results to standard output.

        Raises:
            StreamError: the program failed.
        """
        child = process.start_reading(*self._command(mount, agent, None))
        if not child.stdout or not child.stderr:
            raise RuntimeError("start_reading has pipes for both")
        with child:
            shutil.copyfileobj(child.stdout, sys.stdout.buffer)
            sys.stdout.flush()
            messages = child.stderr.read().decode(errors="replace").splitlines()
        if child.returncode:
            raise StreamError(_message(messages[-1] if messages else ""))

    def lines(self, mount: Mount, agent: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run the program and return its results, which are lines of JSON.

        Raises:
            StreamError: the program failed.
        """
        child = process.start_reading(*self._command(mount, agent, None))
        if not child.stdout or not child.stderr:
            raise RuntimeError("start_reading has pipes for both")
        with child:
            found = [json.loads(line) for line in child.stdout]
            messages = child.stderr.read().decode(errors="replace").splitlines()
        if child.returncode:
            raise StreamError(_message(messages[-1] if messages else ""))
        return found


def _message(line: str) -> Message:
    try:
        return msgspec.json.decode(line, type=Message)
    except msgspec.MsgspecError:  # for example a panic of Go
        return Message("failed", error=line.strip() or "it printed nothing")
