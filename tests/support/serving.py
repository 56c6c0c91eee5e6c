"""Run a container of the server image, with its ports published on loopback."""

import json
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import tenacity

from tests.support.subject import ProgramResult, Subject, docker

LOCKED_DOWN = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
"""The options of `docker run` that docs/server.md recommends; all tests use them."""

HTTP, GRPC = 8080, 9090
SCORE = "/v1/score"
JOBS = "/v1/jobs"
TIMEOUT_SECONDS = 30
"""The timeout in seconds for the server to become ready, to respond or to exit."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    container: str
    url: str
    """The HTTP address, such as `http://127.0.0.1:32768`."""
    grpc: str
    """The gRPC address, such as `127.0.0.1:32769`."""

    def get(self, path: str, **query: str) -> requests.Response:
        """Send a GET request."""
        return requests.get(self.url + path, params=query, timeout=TIMEOUT_SECONDS)

    def upload(
        self, reference: bytes, distorted: bytes, *, options: object = None, **query: str
    ) -> requests.Response:
        """Upload two videos and request their score."""
        parts: list[tuple[str, tuple[str | None, str | bytes]]]
        parts = [] if options is None else [("options", (None, json.dumps(options)))]
        parts += [("reference", ("r.y4m", reference)), ("distorted", ("d.y4m", distorted))]
        return requests.post(self.url + SCORE, files=parts, params=query, timeout=TIMEOUT_SECONDS)

    def add_job(
        self, reference: str, distorted: str, *, options: object = None
    ) -> requests.Response:
        """Request a job with two files under the data root."""
        body: Any = {"reference": reference, "distorted": distorted, "options": options or {}}
        return requests.post(self.url + JOBS, json=body, timeout=TIMEOUT_SECONDS)

    def upload_job(
        self, reference: Path, distorted: Path, *, options: object = None
    ) -> requests.Response:
        """Upload two videos for a job."""
        parts: list[tuple[str, tuple[str | None, str | bytes]]]
        parts = [("options", (None, json.dumps(options or {})))]
        for name, path in (("reference", reference), ("distorted", distorted)):
            parts.append((name, (path.name, path.read_bytes())))
        return requests.post(self.url + JOBS, files=parts, timeout=TIMEOUT_SECONDS)

    def await_job(self, identifier: str) -> Mapping[str, Any]:
        """Return a job at its end."""
        job: Mapping[str, Any] = {}

        def ended() -> bool:
            nonlocal job
            answer = self.get(f"{JOBS}/{identifier}")
            assert answer.ok, f"the job is gone: {answer.text}"
            job = answer.json()
            return "ended" in job

        eventually(ended, expected=True)
        return job

    def remove_job(self, identifier: str) -> requests.Response:
        """Cancel and remove a job."""
        return requests.delete(f"{self.url}{JOBS}/{identifier}", timeout=TIMEOUT_SECONDS)

    def score(self, reference: bytes, distorted: bytes) -> float:
        """Return the mean score of two videos with the default model."""
        answer = self.upload(reference, distorted)
        assert answer.ok, f"the server answered {answer.status_code}: {answer.text}"
        score: float = answer.json()["models"][0]["pooled"]["mean"]
        return score

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a metric that have the given labels."""
        expected = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            series, _, value = line.rpartition(" ")
            metric, _, present = series.partition("{")
            if metric == name and all(label in present for label in expected):
                total += float(value)
        return total

    def connect(self) -> socket.socket:
        """Open a connection to the HTTP port."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return socket.create_connection((host, int(port)), TIMEOUT_SECONDS)

    def signal(self, name: str) -> None:
        """Send a signal to the server, such as `TERM`."""
        docker("kill", f"--signal={name}", self.container)

    @property
    def log(self) -> str:
        """The output on stderr so far."""
        return docker("logs", self.container).stderr

    def state(self, key: str) -> str:
        """Return a field of the container's state: `Running`, `Health.Status`, `ExitCode`."""
        shown = docker("inspect", "--format", f"{{{{.State.{key}}}}}", self.container)
        return shown.stdout.strip()

    def execute(self, *command: str) -> ProgramResult:
        """Run another program in the container of the server."""
        done = docker("exec", self.container, *command)
        return ProgramResult(" ".join(command), done.returncode, done.stdout, done.stderr)

    def stop(self) -> int:
        """Run `docker stop`, and return the exit code of the server."""
        docker("stop", "--time=10", self.container)
        return int(self.state("ExitCode"))


def _retrying(*exceptions: type[Exception]) -> tenacity.Retrying:
    """Return a loop that repeats its body as long as it raises one of the exceptions."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(exceptions),
        stop=tenacity.stop_after_delay(TIMEOUT_SECONDS),
        wait=tenacity.wait_fixed(0.05),
        reraise=True,
    )


def eventually(read: Callable[[], object], expected: object) -> None:
    """Wait until `read` returns the expected value; fail the test after the timeout."""
    for attempt in _retrying(AssertionError):
        with attempt:
            value = read()
            assert value == expected, f"after {TIMEOUT_SECONDS} s: {value!r}, expected {expected!r}"


@contextmanager
def serving(
    image: Subject,
    *arguments: str,
    options: Iterable[str] = (),
    directory: Path | None = None,
) -> Iterator[Server]:
    """Run a server for the duration of the context.

    Args:
        image: the image to run.
        arguments: the arguments of the server.
        options: options for `docker run`, such as `--env=VMAF_...`.
        directory: the data root of the server, which is mounted read-only.
    """
    name = f"vmaf-verify-{uuid.uuid4().hex}"
    command = ["run", "--detach", f"--name={name}", *LOCKED_DOWN, *options]
    command += [f"--publish=127.0.0.1::{port}" for port in (HTTP, GRPC)]
    if directory:
        command += [f"--mount=type=bind,source={directory},target=/data,readonly"]
    try:
        started = docker(*command, image.tag, *arguments)
        assert started.returncode == 0, started.stderr
        http, grpc = (docker("port", name, str(port)).stdout.strip() for port in (HTTP, GRPC))
        server = Server(name, f"http://{http}", grpc)
        _await_ready(server)
        yield server
    finally:
        docker("rm", "--force", "--volumes", name)


def _check_ready(server: Server) -> None:
    """Raise RequestException if the server does not respond or is not ready."""
    assert server.state("Running") == "true", f"the server ended: {server.log}"
    answer = server.get("/readyz")
    if not answer.ok:
        raise requests.RequestException(answer.text)


def _await_ready(server: Server) -> None:
    """Wait until the server is ready."""
    try:
        _retrying(requests.RequestException)(_check_ready, server)
    except requests.RequestException as error:
        message = f"the server was not ready in {TIMEOUT_SECONDS} s: {error}\n{server.log}"
        raise AssertionError(message) from error
