"""A server image at work: a container of it, on ports of this machine's loopback."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.support.subject import Ran, Subject, docker

LOCKED_DOWN = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
"""How it is run here, always: what docs/server.md advises must be enough."""

HTTP, GRPC = 8080, 9090
SCORE = "/v1/score"
PATIENCE = 30
"""Seconds that it may take to be ready, or to end."""


@dataclass(frozen=True)
class Server:
    """One that runs."""

    container: str
    url: str
    """Of its HTTP port: `http://127.0.0.1:32768`."""
    grpc: str
    """Of its gRPC port: `127.0.0.1:32769`."""

    def get(self, path: str, **words: str) -> requests.Response:
        """Ask it; `words` go into the query."""
        return requests.get(self.url + path, params=words, timeout=PATIENCE)

    def upload(
        self, reference: bytes, distorted: bytes, *, options: object = None, **words: str
    ) -> requests.Response:
        """Send it two videos; `words` go into the query."""
        parts: list[tuple[str, tuple[str | None, str | bytes]]]
        parts = [] if options is None else [("options", (None, json.dumps(options)))]
        parts += [("reference", ("r.y4m", reference)), ("distorted", ("d.y4m", distorted))]
        return requests.post(self.url + SCORE, files=parts, params=words, timeout=PATIENCE)

    def score(self, reference: bytes, distorted: bytes) -> float:
        """Return the mean score of two videos by the default model."""
        answer = self.upload(reference, distorted)
        assert answer.ok, f"the server answered {answer.status_code}: {answer.text}"
        score: float = answer.json()["models"][0]["pooled"]["mean"]
        return score

    def metric(self, name: str, **labels: str) -> float:
        """Return what it counted: the sum of all that bear these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            series, _, value = line.rpartition(" ")
            found, _, words = series.partition("{")
            if found == name and all(word in words for word in wanted):
                total += float(value)
        return total

    def signal(self, name: str) -> None:
        """Send it a signal: `TERM`."""
        docker("kill", f"--signal={name}", self.container)

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return docker("logs", self.container).stderr

    def state(self, key: str) -> str:
        """Return a field of the container's state: `Running`, `Health.Status`, `ExitCode`."""
        shown = docker("inspect", "--format", f"{{{{.State.{key}}}}}", self.container)
        return shown.stdout.strip()

    def execute(self, *words: str) -> Ran:
        """Run a program beside it, in its container."""
        done = docker("exec", self.container, *words)
        return Ran(" ".join(words), done.returncode, done.stdout, done.stderr)

    def stop(self, seconds: int = 10) -> int:
        """Ask it to end, wait, and return its exit code."""
        docker("stop", f"--time={seconds}", self.container)
        return int(self.state("ExitCode"))


def eventually(told: Callable[[], object], wanted: object) -> None:
    """Wait until what is told is what is wanted; fails where that never comes."""
    end = time.monotonic() + PATIENCE
    while (now := told()) != wanted:
        assert time.monotonic() < end, f"after {PATIENCE} s it is {now!r}, not {wanted!r}"
        time.sleep(0.05)


@contextmanager
def serving(
    image: Subject,
    *words: str,
    options: Iterable[str] = (),
    folder: Path | None = None,
    ready: bool = True,
) -> Iterator[Server]:
    """Run a server until the test is done with it.

    Args:
        image: what to run.
        words: its own options.
        options: for `docker run`: `--env=VMAF_...`.
        folder: mounted read-only as its data root.
        ready: wait for /readyz, and fail where it does not come; else for an answer.
    """
    name = f"vmaf-verify-{uuid.uuid4().hex}"
    command = ["run", "--detach", f"--name={name}", *LOCKED_DOWN, *options]
    command += [f"--publish=127.0.0.1::{port}" for port in (HTTP, GRPC)]
    command += [f"--mount=type=bind,source={folder},target=/data,readonly"] if folder else []
    try:
        started = docker(*command, image.tag, *words)
        assert started.returncode == 0, started.stderr
        http, grpc = (docker("port", name, str(port)).stdout.strip() for port in (HTTP, GRPC))
        server = Server(name, f"http://{http}", grpc)
        _await(server, ready=ready)
        yield server
    finally:
        docker("rm", "--force", "--volumes", name)


def _await(server: Server, *, ready: bool) -> None:
    """Return once it answers, and answers well if it shall be ready."""
    end = time.monotonic() + PATIENCE
    told = "nothing"
    while time.monotonic() < end:
        assert server.state("Running") == "true", f"the server ended: {server.log}"
        try:
            answer = server.get("/readyz")
        except requests.RequestException as error:
            told = str(error)
        else:
            if answer.ok or not ready:
                return
            told = answer.text
        time.sleep(0.05)
    raise AssertionError(f"the server was not ready in {PATIENCE} s: {told}\n{server.log}")
