"""Run a container registry on loopback, and a builder that stores its layers only there.

The engine's builder cannot export all layers of a build to a registry, so a separate BuildKit is
used. Its cache is emptied before each build, as on a fresh CI machine. The bench stops both
programs when it ends.
"""

import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.core.paths import cache_dir

BUILDKIT = "github.com/moby/buildkit/cmd/buildkitd@v0.13.2"
"""The BuildKit release in Debian's Docker Engine 26.1."""
BUILDER = "vmaf-bench"
BASES, LAYERS = "vmaf-bench-base", "vmaf-bench"
"""The repositories of base images and of cached layers."""
BRANCH = "-branch"
TIMEOUT_SECONDS = 60
"""The timeout in seconds for the start and the end of a program."""


@dataclass(frozen=True)
class Registry:
    """A running registry and its builder."""

    address: str

    @property
    def builder(self) -> str:
        """The option that selects the builder for a bake command."""
        return f"--builder={BUILDER}"

    def base(self, name: str) -> str:
        """Return the reference of a base image in this registry."""
        return f"{self.address}/{BASES}:{name}"

    def tags(self, repository: str) -> set[str]:
        """Return the tags of a repository; an empty set if the repository does not exist."""
        with requests.Session() as session:
            session.trust_env = False  # a proxy cannot connect to the loopback of this machine
            url = f"http://{self.address}/v2/{repository}/tags/list"
            answer = session.get(url, timeout=TIMEOUT_SECONDS)
            return set(answer.json()["tags"] or ()) if answer.ok else set()

    def arguments(self, target: str) -> list[str]:
        """Return the bake arguments that import and export the layers of a target.

        They follow common CI practice: the first build represents the main branch, and later
        builds represent a branch, which reads both caches and writes its own. The builds cannot
        share one reference: BuildKit does not export a layer that is in a registry and was not
        pulled, so each build would remove layers from the reference, and after an edit the
        toolchain would be missing.
        """
        stored, branch = self.tags(LAYERS), f"{target}{BRANCH}"
        # The layers of other images on the main branch also contain the toolchain.
        others = sorted(tag for tag in stored - {target} if not tag.endswith(BRANCH))
        cache = f"type=registry,ref={self.address}/{LAYERS}"
        return [
            self.builder,
            *(
                f"--set={target}.cache-from={cache}:{tag}"
                for tag in (branch, target, *others)
                if tag in stored
            ),
            f"--set={target}.cache-to={cache}:{branch if target in stored else target},mode=max",
        ]

    def empty(self) -> None:
        """Remove everything from the builder's cache, as on a fresh machine.

        Raises:
            UserError: buildx failed.
        """
        _run("docker", "buildx", "prune", f"--builder={BUILDER}", "--all", "--force")


def programs() -> tuple[Path, Path]:
    """Return the programs of the registry and of BuildKit; download any that is not installed.

    Raises:
        UserError: a program cannot be downloaded or compiled.
    """
    if os.geteuid():
        raise _error("it requires root")
    registry = registry_program()
    directory = cache_dir("buildkit")
    buildkit = Path(shutil.which("buildkitd") or directory / "buildkitd")
    if not buildkit.exists():
        say(f"registry: compiling {BUILDKIT}")
        _run("go", "install", BUILDKIT, env={"GOBIN": str(directory)})
    return registry, buildkit


def registry_program() -> Path:
    """Return the program of the registry; download it if it is not installed.

    Raises:
        UserError: it cannot be downloaded.
    """
    return Path(shutil.which("docker-registry") or _unpacked("docker-registry"))


def _unpacked(package: str) -> Path:
    """Return a program from a Debian package, which is unpacked but not installed."""
    directory = cache_dir(package)
    program = directory / "usr" / "bin" / package
    if not program.exists():
        say(f"registry: fetching Debian's {package}")
        _run("apt-get", "download", package, cwd=directory)
        (file,) = directory.glob("*.deb")
        _run("dpkg-deb", "-x", str(file), str(directory))
        file.unlink()
    return program


def _run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a program.

    Raises:
        UserError: the program is not installed, or failed.
    """
    done = process.run(*command, cwd=cwd, env={**process.environment(), **(env or {})})
    if done.returncode:
        raise _error(f"`{' '.join(command[:3])}`: {done.stderr.strip()[-500:]}")


def _error(why: str) -> UserError:
    return UserError(
        "cannot measure the contender `registry`",
        why,
        "It requires root, Debian's docker-registry, and Go or a buildkitd on PATH; "
        "`--contender` names the contenders to measure instead.",
    )


@contextmanager
def serve(directory: Path) -> Iterator[Registry]:
    """Run a registry and its builder, with their data in `directory`.

    Raises:
        UserError: a program cannot be downloaded, or does not start.
    """
    registry, buildkit = programs()
    ports = [free_port(), free_port()]
    address, builder = (f"127.0.0.1:{port}" for port in ports)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "registry.yml").write_text(
        f"version: 0.1\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{directory}/registry'}}}}\n"
    )
    (directory / "buildkitd.toml").write_text(
        f'[registry."{address}"]\n  http = true\n[worker.oci]\n  gc = false\n'
    )
    with ExitStack() as stack:
        command = [str(registry), "serve", f"{directory}/registry.yml"]
        stack.enter_context(daemon(command, directory / "registry.log"))
        settings = ["--config", f"{directory}/buildkitd.toml", "--root", f"{directory}/buildkit"]
        command = [str(buildkit), "--addr", f"tcp://{builder}", *settings]
        stack.enter_context(daemon(command, directory / "buildkit.log"))
        for port, log in zip(ports, ("registry.log", "buildkit.log"), strict=True):
            wait(port, directory / log)
        driver = ("--driver=remote", f"tcp://{builder}")
        _run("docker", "buildx", "create", "--name", BUILDER, *driver)
        try:
            yield Registry(address)
        finally:
            _run("docker", "buildx", "rm", BUILDER)


def free_port() -> int:
    """Return a TCP port on loopback that is free."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def daemon(command: Sequence[str], log: Path) -> Iterator[None]:
    """Run a program in the background, with its output in a log; Ctrl-C does not stop it."""
    child = process.start_daemon(
        *command, log=log, env={**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    )
    try:
        yield
    finally:
        child.terminate()
        child.wait(TIMEOUT_SECONDS)


def listens(port: int) -> bool:
    """Return whether a program listens on a TCP port of loopback."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait(port: int, log: Path) -> None:
    """Wait until a program listens on a port.

    Raises:
        UserError: no program listens within `TIMEOUT_SECONDS` seconds.
    """
    until_it_listens = Retrying(
        retry=retry_if_result(lambda answer: not answer),
        stop=stop_after_delay(TIMEOUT_SECONDS),
        wait=wait_fixed(0.2),
    )
    try:
        until_it_listens(listens, port)
    except RetryError:
        message = f"nothing answers on port {port}\n{process.last_lines(log)}"
        raise _error(message) from None
