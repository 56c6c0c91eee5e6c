"""Every limit holds, says so, and gives back what it bounded."""

import re
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from scripts.core.paths import ROOT
from tests.support.forms import END, FRAME, VIDEO, part, post, problem, uploading
from tests.support.serving import PATIENCE, SCORE, Server, eventually, serving
from tests.support.subject import Subject

pytestmark = pytest.mark.needs("server")

LONG = 120
"""Frames of 1280x720: seconds of work."""


def settings(**values: str) -> Iterable[str]:
    """Return options for `docker run` that set the server's variables."""
    return [f"--env=VMAF_{name.upper()}={value}" for name, value in values.items()]


def running(server: Server) -> float:
    """Return how many requests have a place."""
    return server.metric("vmaf_scorings_running")


def outcomes(server: Server, outcome: str) -> float:
    """Return how many requests ended so."""
    return server.metric("vmaf_scorings_total", outcome=outcome)


def test_a_full_queue_is_said(image: Subject) -> None:
    """One scores, one waits, the next is told when to come again; then both get their score."""
    with serving(image, options=settings(concurrency="1", queue="1")) as server:
        with uploading(server) as first:
            eventually(lambda: running(server), 1)
            with uploading(server) as second:
                eventually(lambda: server.metric("vmaf_scorings_queued"), 1)
                third = server.upload(VIDEO, VIDEO)
                problem(third, 429, "queue-full")
                assert int(third.headers["Retry-After"]) >= 1
                second.go_on.set()
                first.go_on.set()
                assert first.answer.result().ok
                assert second.answer.result().ok
        assert outcomes(server, "refused") == 1
        assert outcomes(server, "ok") == 2
        assert running(server) == 0


@pytest.mark.parametrize("pieces", [False, True], ids=["with-length", "in-pieces"])
def test_a_body_too_large(image: Subject, pieces: bool) -> None:  # noqa: FBT001
    """It is refused by its length, or where that is not told, once it is passed."""
    body = part("reference") + part("distorted") + END
    with serving(image, options=settings(max_body_bytes=str(len(body) - 1))) as server:
        answer = post(server, iter([body]) if pieces else body)
        problem(answer, 413, "too-large")


@pytest.mark.parametrize(
    ("limit", "value"), [("max_frame_pixels", 320 * 192 - 1), ("max_frames", 7)]
)
def test_a_video_too_large(image: Subject, limit: str, value: int) -> None:
    """Of too many pixels or frames; and what is just within passes."""
    with serving(image, options=settings(**{limit: str(value)})) as server:
        problem(server.upload(VIDEO, VIDEO), 413, "too-large")
    with serving(image, options=settings(**{limit: str(value + 1)})) as server:
        assert server.upload(VIDEO, VIDEO).ok


def test_a_scratch_folder_too_small(image: Subject) -> None:
    """No room for the first video is no fault of the request."""
    with serving(image, options=settings(max_scratch_bytes="1000")) as server:
        answer = server.upload(VIDEO, VIDEO)
        problem(answer, 503, "scratch-full")
        assert int(answer.headers["Retry-After"]) >= 1


@contextmanager
def raw(server: Server) -> Iterator[socket.socket]:
    """Yield a connection to its HTTP port."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        yield connection


HALF = (
    f"POST {SCORE} HTTP/1.1\r\nHost: x\r\nContent-Length: {10**9}\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
).encode() + (part("reference") + part("distorted"))[: -2 * FRAME]
"""An upload up to the middle of its second video."""


def test_a_client_that_stops_sending(image: Subject) -> None:
    """It loses its place, and is told."""
    with serving(image, options=settings(stall_timeout="1s")) as server, raw(server) as connection:
        connection.sendall(HALF)
        assert connection.recv(2**16).startswith(b"HTTP/1.1 408 ")
        eventually(lambda: running(server), 0)


def test_a_client_that_drips(image: Subject) -> None:
    """A byte now and then is no stall, but the request as a whole has its time."""

    def drip() -> Iterator[bytes]:
        yield part("reference") + part("distorted")[:-FRAME]
        for _ in range(100):
            time.sleep(0.2)
            yield b"x"

    with serving(image, options=settings(stall_timeout="1s", request_timeout="2s")) as server:
        problem(post(server, drip()), 408, "timeout")


def test_a_client_that_drips_headers(image: Subject) -> None:
    """Its connection ends before its headers do."""
    with serving(image, options=settings(header_timeout="1s")) as server:
        with raw(server) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\n")
            answer = connection.recv(2**16)
        assert not answer or answer.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_leaves_its_upload(image: Subject) -> None:
    """What it was given is free again: its place and its scratch space."""
    with serving(image) as server:
        with raw(server) as connection:
            connection.sendall(HALF)
            eventually(lambda: running(server), 1)
            assert server.metric("vmaf_scratch_bytes") > 0
        eventually(lambda: running(server), 0)
        eventually(lambda: outcomes(server, "cancelled"), 1)
        eventually(lambda: server.metric("vmaf_scratch_bytes"), 0)


@pytest.fixture(scope="session")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a video that takes seconds to score."""
    folder = tmp_path_factory.mktemp("long")
    folder.chmod(0o755)
    frame = b"FRAME\n" + bytes(range(256)) * (1280 * 720 * 3 // 512)
    with (folder / "long.y4m").open("wb") as file:
        file.write(b"YUV4MPEG2 W1280 H720 F25:1 Ip A1:1 C420jpeg\n")
        for _ in range(LONG):
            file.write(frame)
    return folder


LONG_REQUEST = {"reference": "long.y4m", "distorted": "long.y4m"}


def test_a_client_that_leaves_while_we_score(image: Subject, long_video: Path) -> None:
    """The rest of its work is not done."""
    with serving(image, directory=long_video) as server:
        with pytest.raises(requests.Timeout):
            requests.post(server.url + SCORE, json=LONG_REQUEST, timeout=0.5)
        eventually(lambda: outcomes(server, "cancelled"), 1)
        assert running(server) == 0
        assert server.metric("vmaf_frames_scored_total") < LONG


def test_it_ends_when_its_work_is_done(image: Subject) -> None:
    """Told to end, it takes no more work, says so, and finishes what it has."""
    with serving(image) as server:
        with uploading(server) as slow:
            eventually(lambda: running(server), 1)
            server.signal("TERM")
            eventually(lambda: refused(server), True)  # noqa: FBT003
            assert server.state("Running") == "true"
            slow.go_on.set()
            assert slow.answer.result().ok
        eventually(lambda: server.state("Running"), "false")
        assert server.state("ExitCode") == "0", server.log


def refused(server: Server) -> bool:
    """Whether new work is: by an answer, or by no answer at all."""
    try:
        answer = server.upload(VIDEO, VIDEO)
    except requests.ConnectionError:
        return True
    if answer.status_code == 503:
        problem(answer, 503, "draining")
    return not answer.ok


def test_it_waits_for_no_client_for_ever(image: Subject) -> None:
    """Work that does not end within the time to drain is cut off, and the exit code says so."""
    with serving(image, options=settings(drain_timeout="1s")) as server:
        with uploading(server) as slow:
            eventually(lambda: running(server), 1)
            server.signal(signal.SIGTERM.name.removeprefix("SIG"))
            eventually(lambda: server.state("Running"), "false")
            slow.go_on.set()
            assert slow.answer.exception() or not slow.answer.result().ok
        assert server.state("ExitCode") == "1", server.log


SETTING = re.compile(r"^\| `(--[\w-]+)` \| `(VMAF_\w+)` \|", re.MULTILINE)
SETTINGS = SETTING.findall((ROOT / "docs" / "server.md").read_text())


def test_every_setting_is_in_the_help(image: Subject) -> None:
    """`--help` and docs/server.md list the same flags, each with its variable."""
    told = image.run("--help")
    text = told.stdout + told.stderr
    flags = set(re.findall(r"(?<!\S)--[a-z][\w-]+", text))
    assert flags - {"--help", "--version", "--healthcheck"} == {flag for flag, _ in SETTINGS}
    assert set(re.findall(r"VMAF_\w+", text)) == {variable for _, variable in SETTINGS}


@pytest.mark.parametrize(
    ("words", "options"),
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
def test_a_wrong_setting_is_said(image: Subject, words: list[str], options: Iterable[str]) -> None:
    """In one line and with code 2: a server that guesses would be found out too late."""
    told = image.run(*words, options=options, succeeds=False)
    assert told.code == 2, told
    assert len(told.stderr.splitlines()) == 1, told


def test_a_flag_wins_over_its_variable(image: Subject) -> None:
    """The nearer one counts."""
    with serving(image, "--max-frames=8", options=settings(max_frames="7")) as server:
        assert server.upload(VIDEO, VIDEO).ok
