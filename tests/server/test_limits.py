"""Tests of the server's limits and settings, and of how it ends."""

import re
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import requests

from scripts.core.paths import ROOT
from tests.support.forms import END, FRAME, VIDEO, part, post, problem, uploading
from tests.support.serving import SCORE, Server, eventually, serving
from tests.support.subject import Subject

pytestmark = pytest.mark.needs("server")

LONG = 120
"""The number of frames of the long video. At 1280x720, scoring them takes seconds."""


def settings(**values: str) -> Iterable[str]:
    """Return options for `docker run` that set the server's environment variables."""
    return [f"--env=VMAF_{name.upper()}={value}" for name, value in values.items()]


def running(server: Server) -> float:
    """Return the number of requests being scored."""
    return server.metric("vmaf_scorings_running")


def outcomes(server: Server, outcome: str) -> float:
    """Return the number of requests that ended with the given outcome."""
    return server.metric("vmaf_scorings_total", outcome=outcome)


def test_queue_refuses_a_request_when_it_is_full(image: Subject) -> None:
    """A request to a full queue gets status 429 with Retry-After, and queued ones are scored."""
    with serving(image, options=settings(concurrency="1", queue="1")) as server:
        with uploading(server) as first:
            eventually(lambda: running(server), 1)
            with uploading(server) as second:
                eventually(lambda: server.metric("vmaf_scorings_queued"), 1)
                third = server.upload(VIDEO, VIDEO)
                problem(third, 429, "queue-full")
                assert int(third.headers["Retry-After"]) >= 1
                second.resume.set()
                first.resume.set()
                assert first.answer.result().ok
                assert second.answer.result().ok
        assert outcomes(server, "refused") == 1
        assert outcomes(server, "ok") == 2
        assert running(server) == 0


@pytest.mark.parametrize("pieces", [False, True], ids=["with-length", "in-pieces"])
def test_server_refuses_a_large_body(image: Subject, pieces: bool) -> None:  # noqa: FBT001
    """The server refuses a body above the limit, also if the request declares no length."""
    body = part("reference") + part("distorted") + END
    with serving(image, options=settings(max_body_bytes=str(len(body) - 1))) as server:
        answer = post(server, iter([body]) if pieces else body)
        problem(answer, 413, "too-large")


@pytest.mark.parametrize(
    ("limit", "value"), [("max_frame_pixels", 320 * 192 - 1), ("max_frames", 7)]
)
def test_server_refuses_a_video_above_the_limit(image: Subject, limit: str, value: int) -> None:
    """A video with more pixels or frames than the limit is refused; one at the limit is scored."""
    with serving(image, options=settings(**{limit: str(value)})) as server:
        problem(server.upload(VIDEO, VIDEO), 413, "too-large")
    with serving(image, options=settings(**{limit: str(value + 1)})) as server:
        assert server.upload(VIDEO, VIDEO).ok


def test_server_refuses_an_upload_without_scratch_space(image: Subject) -> None:
    """An upload above the server's scratch limit gets status 503 with Retry-After."""
    with serving(image, options=settings(max_scratch_bytes="1000")) as server:
        answer = server.upload(VIDEO, VIDEO)
        problem(answer, 503, "scratch-full")
        assert int(answer.headers["Retry-After"]) >= 1


HALF = (
    f"POST {SCORE} HTTP/1.1\r\nHost: x\r\nContent-Length: {10**9}\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
).encode() + (part("reference") + part("distorted"))[: -2 * FRAME]
"""The first part of an upload, up to the middle of its second video."""


def test_server_times_out_a_stalled_upload(image: Subject) -> None:
    """A client that stops sending its upload gets status 408, and its slot becomes free."""
    with (
        serving(image, options=settings(stall_timeout="1s")) as server,
        server.connect() as connection,
    ):
        connection.sendall(HALF)
        assert connection.recv(2**16).startswith(b"HTTP/1.1 408 ")
        eventually(lambda: running(server), 0)


def test_server_times_out_a_slow_upload(image: Subject) -> None:
    """An upload that sends a byte now and then gets status 408 at the request timeout."""

    def drip() -> Iterator[bytes]:
        yield part("reference") + part("distorted")[:-FRAME]
        for _ in range(100):
            time.sleep(0.2)
            yield b"x"

    with serving(image, options=settings(stall_timeout="1s", request_timeout="2s")) as server:
        problem(post(server, drip()), 408, "timeout")


def test_server_times_out_slow_headers(image: Subject) -> None:
    """The server closes a connection whose headers are incomplete at the header timeout."""
    with serving(image, options=settings(header_timeout="1s")) as server:
        with server.connect() as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\n")
            answer = connection.recv(2**16)
        assert not answer or answer.startswith(b"HTTP/1.1 408 ")


def test_server_frees_resources_of_an_abandoned_upload(image: Subject) -> None:
    """A client that disconnects during its upload frees its slot and its scratch space."""
    with serving(image) as server:
        with server.connect() as connection:
            connection.sendall(HALF)
            eventually(lambda: running(server), 1)
            assert server.metric("vmaf_scratch_bytes") > 0
        eventually(lambda: running(server), 0)
        eventually(lambda: outcomes(server, "cancelled"), 1)
        eventually(lambda: server.metric("vmaf_scratch_bytes"), 0)


@pytest.fixture(scope="session")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a video that takes seconds to score."""
    directory = tmp_path_factory.mktemp("long")
    directory.chmod(0o755)
    frame = b"FRAME\n" + bytes(range(256)) * (1280 * 720 * 3 // 512)
    with (directory / "long.y4m").open("wb") as file:
        file.write(b"YUV4MPEG2 W1280 H720 F25:1 Ip A1:1 C420jpeg\n")
        for _ in range(LONG):
            file.write(frame)
    return directory


LONG_REQUEST = {"reference": "long.y4m", "distorted": "long.y4m"}


def test_server_stops_scoring_for_a_disconnected_client(image: Subject, long_video: Path) -> None:
    """The server does not score the remaining frames for a client that has disconnected."""
    with serving(image, directory=long_video) as server:
        with pytest.raises(requests.Timeout):
            requests.post(server.url + SCORE, json=LONG_REQUEST, timeout=0.5)
        eventually(lambda: outcomes(server, "cancelled"), 1)
        assert running(server) == 0
        assert server.metric("vmaf_frames_scored_total") < LONG


def test_server_finishes_running_requests_on_sigterm(image: Subject) -> None:
    """After SIGTERM, the server refuses new requests, finishes the running ones and exits."""
    with serving(image) as server:
        with uploading(server) as slow:
            eventually(lambda: running(server), 1)
            server.signal("TERM")
            eventually(lambda: refused(server), True)  # noqa: FBT003
            assert server.state("Running") == "true"
            slow.resume.set()
            assert slow.answer.result().ok
        eventually(lambda: server.state("Running"), "false")
        assert server.state("ExitCode") == "0", server.log


def refused(server: Server) -> bool:
    """Return whether the server refuses a new request, by a response or by the connection."""
    try:
        answer = server.upload(VIDEO, VIDEO)
    except requests.ConnectionError:
        return True
    if answer.status_code == 503:
        problem(answer, 503, "draining")
    return not answer.ok


def test_server_cuts_off_requests_at_the_drain_timeout(image: Subject) -> None:
    """The server cuts off requests at the drain timeout, and its exit code is then 1."""
    with serving(image, options=settings(drain_timeout="1s")) as server:
        with uploading(server) as slow:
            eventually(lambda: running(server), 1)
            server.signal(signal.SIGTERM.name.removeprefix("SIG"))
            eventually(lambda: server.state("Running"), "false")
            slow.resume.set()
            assert slow.answer.exception() or not slow.answer.result().ok
        assert server.state("ExitCode") == "1", server.log


SETTING = re.compile(r"^- `--([a-z-]+)` \(", re.MULTILINE)
SETTINGS = SETTING.findall((ROOT / "docs" / "server.md").read_text())


def test_help_lists_every_setting(image: Subject) -> None:
    """The flags in `--help` are those of docs/server.md, and each has its variable."""
    result = image.run("--help")
    text = result.stdout + result.stderr
    flags = set(re.findall(r"(?<!\S)--[a-z][\w-]+", text))
    assert flags - {"--help", "--version", "--healthcheck"} == {f"--{name}" for name in SETTINGS}
    variables = {f"VMAF_{name.upper().replace('-', '_')}" for name in SETTINGS}
    assert set(re.findall(r"VMAF_\w+", text)) == variables


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--concurrency=none"], []),
        (["--concurrency=0"], []),
        (["--drain-timeout=-1s"], []),
        (["--colour=blue"], []),
        (["stray"], []),
        ([], settings(queue="many")),
        ([], settings(log_level="loud")),
    ],
)
def test_server_refuses_an_invalid_setting(
    image: Subject, arguments: list[str], options: Iterable[str]
) -> None:
    """With an invalid setting, the server prints one line and exits with code 2."""
    result = image.run(*arguments, options=options, succeeds=False)
    assert result.code == 2, result
    assert len(result.stderr.splitlines()) == 1, result


def test_flag_takes_precedence_over_its_variable(image: Subject) -> None:
    """A flag of the server takes precedence over the variable of the same setting."""
    with serving(image, "--max-frames=8", options=settings(max_frames="7")) as server:
        assert server.upload(VIDEO, VIDEO).ok
