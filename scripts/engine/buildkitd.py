"""Run a BuildKit of one's own beside the Docker Engine, as a builder of buildx.

Its data is in a directory of the caller, and it listens on loopback only.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.core import loopback, process
from scripts.core.console import UserError, say
from scripts.core.paths import ROOT, cache_dir

MODULE = "github.com/moby/buildkit/cmd/buildkitd@v0.13.2"
"""The BuildKit release in Debian's Docker Engine 26.1."""
_CACHE_STREAM = ROOT / "docker" / "cache-stream" / "go.mod"
NEWER: str = re.findall(r"github.com/moby/buildkit (v\S+)", _CACHE_STREAM.read_text())[0]
"""The release that the tests use as a newer worker: the one whose client cache-stream contains."""


def program() -> Path:
    """Return the program; compile it if it is not installed.

    Raises:
        UserError: this is not root, or the program cannot be compiled.
    """
    if os.geteuid():
        raise _error("it requires root")
    directory = cache_dir("buildkit")
    path = Path(shutil.which("buildkitd") or directory / "buildkitd")
    if not path.exists():
        say(f"buildkitd: compiling {MODULE}")
        _run("go", "install", MODULE, env={"GOBIN": str(directory)})
    return path


def newer_program() -> Path:
    """Return the program of the release `NEWER`; compile it if it is not in the user's cache.

    `go install` refuses the module because of its exclude directives, which do not count in a
    module that only requires it.

    Raises:
        UserError: it cannot be compiled.
    """
    directory = cache_dir("buildkit") / NEWER
    path = directory / "buildkitd"
    if not path.exists():
        say(f"buildkitd: compiling {NEWER}")
        directory.mkdir(exist_ok=True)
        module = "github.com/moby/buildkit"
        (directory / "go.mod").write_text(f"module worker\n\ngo 1.26\n\nrequire {module} {NEWER}\n")
        command = ("go", "build", "-mod=mod", "-trimpath", f"-o={path}")
        _run(*command, f"{module}/cmd/buildkitd", cwd=directory, env={"CGO_ENABLED": "0"})
    return path


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
        "cannot run a second BuildKit", why, "It requires root, and Go or a buildkitd on PATH."
    )


@dataclass
class Worker:
    """A buildkitd that keeps its data when it is killed and started again."""

    builder: str
    """The name of the builder in buildx."""
    directory: Path
    """The directory with its data in `root/`, its settings and its log."""
    settings: str = ""
    """Lines of buildkitd.toml, in addition to those that switch off the garbage collection."""
    executable: Path | None = None
    """The program of another release; `program()` if it is None."""
    child: process.Popen[bytes] | None = None
    port: int = 0

    @property
    def root(self) -> Path:
        """The directory of its data."""
        return self.directory / "root"

    @property
    def log(self) -> Path:
        """The log since its last start."""
        return self.directory / "buildkitd.log"

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.child is not None and self.child.poll() is None

    def start(self) -> None:
        """Start it, at the port of its first start.

        Raises:
            UserError: the program cannot be compiled, or does not answer.
        """
        self.port = self.port or loopback.free_port()
        temporary = self.directory / "tmp"  # where it mounts layers; a killed one leaves mounts
        temporary.mkdir(parents=True, exist_ok=True)
        config = self.directory / "buildkitd.toml"
        config.write_text(f"{self.settings}[worker.oci]\n  gc = false\n")
        command = [str(self.executable or program()), "--addr", f"tcp://127.0.0.1:{self.port}"]
        command += ["--config", str(config), "--root", str(self.root), "--oci-worker-net=host"]
        self.child = loopback.start(command, self.log, TMPDIR=str(temporary))
        loopback.wait(self.port, self.log)

    def stop(self) -> None:
        """End it."""
        if self.child and self.alive:
            process.end(self.child, loopback.TIMEOUT_SECONDS)

    def prune(self, *filters: str) -> None:
        """Remove all of its records, or those that match all filters, such as `type=regular`.

        Raises:
            UserError: buildx failed.
        """
        command = ("docker", "buildx", "prune", f"--builder={self.builder}", "--all", "--force")
        done = process.run(*command, *(f"--filter={text}" for text in filters))
        if done.returncode:
            raise UserError(
                f"cannot prune the builder {self.builder}",
                done.stderr.strip()[-500:],
                f"Its log is {self.log}.",
            )


@contextmanager
def worker(
    builder: str, directory: Path, settings: str = "", executable: Path | None = None
) -> Iterator[Worker]:
    """Run a worker and make it a builder of buildx; remove the builder, but not its data.

    See `Worker` for the arguments.

    Raises:
        UserError: the program cannot be compiled, or does not answer.
    """
    created = Worker(builder, directory, settings, executable)
    try:
        created.start()
        process.run("docker", "buildx", "rm", builder)  # of a run that was killed
        address = f"tcp://127.0.0.1:{created.port}"
        _run("docker", "buildx", "create", f"--name={builder}", "--driver=remote", address)
        try:
            yield created
        finally:
            _run("docker", "buildx", "rm", builder)
    finally:
        created.stop()
