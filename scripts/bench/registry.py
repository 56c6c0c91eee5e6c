"""A container registry on loopback and a builder that keeps its layers there alone.

The engine's own builder cannot export to a registry all the layers of a build, so a
BuildKit of its own does, as it would on a fresh machine of a CI: emptied before each
build. Both end with the bench.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.core.paths import cache_dir

BUILDKIT = "github.com/moby/buildkit/cmd/buildkitd@v0.13.2"
"""The release that the engine has within."""
BUILDER = "vmaf-bench"
BASES, LAYERS = "vmaf-bench-base", "vmaf-bench"
"""The repositories of base images, and of what builds leave."""
BRANCH = "-branch"
PATIENCE = 60


@dataclass(frozen=True)
class Registry:
    """A registry and its builder, while they run."""

    address: str

    @property
    def builder(self) -> str:
        """What a bake command needs to use the builder."""
        return f"--builder={BUILDER}"

    def base(self, name: str) -> str:
        """Return what a base image is called here."""
        return f"{self.address}/{BASES}:{name}"

    def tags(self, repository: str) -> set[str]:
        """Return what a repository holds; nothing where there is none."""
        with requests.Session() as session:
            session.trust_env = False  # no proxy leads to this machine itself
            url = f"http://{self.address}/v2/{repository}/tags/list"
            answer = session.get(url, timeout=PATIENCE)
            return set(answer.json()["tags"] or ()) if answer.ok else set()

    def words(self, target: str) -> list[str]:
        """Return what a bake command needs besides, to take its layers from here and put them.

        As CI has it: the first build is the main branch's, and all later ones are of a branch
        that reads both and writes its own. They cannot all write to one: BuildKit exports no
        layer that it found in a registry and had no need to fetch, so that such a reference
        holds less after each build, until an edit finds no toolchain in it.
        """
        kept, branch = self.tags(LAYERS), f"{target}{BRANCH}"
        # Main's layers of another image have the toolchain too.
        others = sorted(tag for tag in kept - {target} if not tag.endswith(BRANCH))
        cache = f"type=registry,ref={self.address}/{LAYERS}"
        return [
            self.builder,
            *(
                f"--set={target}.cache-from={cache}:{tag}"
                for tag in (branch, target, *others)
                if tag in kept
            ),
            f"--set={target}.cache-to={cache}:{branch if target in kept else target},mode=max",
        ]

    def empty(self) -> None:
        """Make the builder forget all it has: it is a fresh machine."""
        subprocess.run(
            ["docker", "buildx", "prune", f"--builder={BUILDER}", "--all", "--force"],
            stdout=subprocess.DEVNULL,
            check=True,
        )


def programs() -> tuple[Path, Path]:
    """Return the registry's and BuildKit's program, fetched where they are not installed.

    Raises:
        UserError: they cannot be had.
    """
    if os.geteuid():
        raise _cannot("it takes root")
    registry = Path(shutil.which("docker-registry") or _unpacked("docker-registry"))
    folder = cache_dir("buildkit")
    buildkit = Path(shutil.which("buildkitd") or folder / "buildkitd")
    if not buildkit.exists():
        say(f"registry: compiling {BUILDKIT}")
        _run(["go", "install", BUILDKIT], env={"GOBIN": str(folder)})
    return registry, buildkit


def _unpacked(package: str) -> Path:
    """Return a program of a Debian package that is unpacked and not installed."""
    folder = cache_dir(package)
    program = folder / "usr" / "bin" / package
    if not program.exists():
        say(f"registry: fetching Debian's {package}")
        _run(["apt-get", "download", package], cwd=folder)
        (file,) = folder.glob("*.deb")
        _run(["dpkg-deb", "-x", str(file), str(folder)])
        file.unlink()
    return program


def _run(
    command: Sequence[str], *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> None:
    """Run a program.

    Raises:
        UserError: it is absent, or fails.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**process.environment(), **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        why = done.stderr.strip()[-500:] if done.returncode else ""
    except FileNotFoundError:
        why = f"`{command[0]}` is not installed"
    if why:
        raise _cannot(f"`{' '.join(command[:3])}`: {why}")


def _cannot(why: str) -> UserError:
    """Say that there will be no registry, and what to do about it."""
    return UserError(
        "cannot measure the contender `registry`",
        why,
        "It takes root, Debian's docker-registry, and Go or a buildkitd on PATH; "
        "`--contender` names those to measure instead.",
    )


@contextmanager
def serve(folder: Path) -> Iterator[Registry]:
    """Run both until the bench is done with them; their data is in `folder`.

    Raises:
        UserError: they cannot be had, or do not start.
    """
    registry, buildkit = programs()
    ports = [free_port(), free_port()]
    address, builder = (f"127.0.0.1:{port}" for port in ports)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "registry.yml").write_text(
        f"version: 0.1\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder}/registry'}}}}\n"
    )
    (folder / "buildkitd.toml").write_text(
        f'[registry."{address}"]\n  http = true\n[worker.oci]\n  gc = false\n'
    )
    with ExitStack() as stack:
        stack.enter_context(
            daemon([str(registry), "serve", f"{folder}/registry.yml"], folder / "registry.log")
        )
        words = ["--config", f"{folder}/buildkitd.toml", "--root", f"{folder}/buildkit"]
        stack.enter_context(
            daemon([str(buildkit), "--addr", f"tcp://{builder}", *words], folder / "buildkit.log")
        )
        for port, log in zip(ports, ("registry.log", "buildkit.log"), strict=True):
            wait(port, folder / log)
        _run(
            ["docker", "buildx", "create", "--name", BUILDER, "--driver=remote", f"tcp://{builder}"]
        )
        try:
            yield Registry(address)
        finally:
            _run(["docker", "buildx", "rm", BUILDER])


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def daemon(command: Sequence[str], log: Path) -> Iterator[None]:
    """Run a program in the background, its words in a log, out of reach of Ctrl-C."""
    with log.open("wb") as file:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
            start_new_session=True,
        )
    try:
        yield
    finally:
        child.terminate()
        child.wait(PATIENCE)


def wait(port: int, log: Path) -> None:
    """Wait until somebody listens at a port.

    Raises:
        UserError: nobody does.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise _cannot(f"nothing answers at port {port}\n{process.last_lines(log)}")
