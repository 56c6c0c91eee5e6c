"""Tests that invalid requests get a problem document and do not affect the server."""

import gzip
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.support.footage import Footage
from tests.support.forms import BOUNDARY, END, FORM, FRAME, VIDEO, part, problem
from tests.support.serving import SCORE, TIMEOUT_SECONDS, Server

pytestmark = pytest.mark.needs("server")

HEADER, _, FRAMES = VIDEO.partition(b"\n")


@pytest.fixture(autouse=True)
def still_scores(server: Server) -> Iterator[None]:
    """Check after each test that the same server process still scores videos."""
    before = server.state("Pid")
    yield
    assert server.score(VIDEO, VIDEO) > 97
    assert server.state("Pid") == before


def header(*tags: str) -> bytes:
    """Return the valid video with another header."""
    return b"YUV4MPEG2 " + " ".join(tags).encode() + b"\n" + FRAMES


VIDEOS: Mapping[str, tuple[bytes, int, str]] = {
    "empty": (b"", 422, "bad-video"),
    "no frame": (HEADER + b"\n", 422, "bad-video"),
    "another format": (b"\x00\x00\x00\x20ftypisom" + bytes(4096), 422, "bad-video"),
    "ends in the header": (HEADER[:20], 422, "bad-video"),
    "ends in a frame": (VIDEO[:-1], 422, "bad-video"),
    "ends in a frame's header": (VIDEO + b"FRA", 422, "bad-video"),
    "junk between frames": (VIDEO[: len(HEADER) + 1 + FRAME] + b"junk\n" + VIDEO, 422, "bad-video"),
    "no size": (header("F25:1", "C420"), 422, "bad-video"),
    "no width": (header("H192", "C420"), 422, "bad-video"),
    "size of zero": (header("W0", "H192", "C420"), 422, "bad-video"),
    "size below zero": (header("W-320", "H192", "C420"), 422, "bad-video"),
    "size with letters": (header("W320x", "H192", "C420"), 422, "bad-video"),
    "size beyond 64 bits": (header("W99999999999999999999", "H192", "C420"), 422, "bad-video"),
    "unknown chroma": (header("W320", "H192", "C999"), 422, "bad-video"),
    "interlaced": (header("W320", "H192", "It", "C420"), 422, "bad-video"),
    "header without end": (b"YUV4MPEG2 " + b"X" * 2**20, 422, "bad-video"),
    "frame header without end": (HEADER + b"\nFRAME " + b"X" * 2**20, 422, "bad-video"),
    "claims a huge frame": (header("W2000000000", "H2000000000", "C444p16"), 413, "too-large"),
    "overflows 32 bits": (header("W65536", "H65536", "C420"), 413, "too-large"),
    "another size": (header("W192", "H320", "C420jpeg"), 422, "videos-differ"),
    "another chroma": (header("W320", "H192", "C444") + FRAMES, 422, "videos-differ"),
    "another depth": (header("W320", "H192", "C420p10") + FRAMES, 422, "videos-differ"),
    "fewer frames": (VIDEO[:-FRAME], 422, "videos-differ"),
    "more frames": (VIDEO + VIDEO[-FRAME:], 422, "videos-differ"),
}
"""Invalid videos by their fault, with the expected status and problem name."""


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("place", ["reference", "distorted"])
def test_server_refuses_an_invalid_video(server: Server, name: str, place: str) -> None:
    """The server refuses an invalid video, both as the reference and as the distorted video."""
    video, status, problem_name = VIDEOS[name]
    pair = (video, VIDEO) if place == "reference" else (VIDEO, video)
    problem(server.upload(*pair), status, problem_name)


def test_server_refuses_an_invalid_file(server: Server, footage: Footage) -> None:
    """The server refuses an invalid video under the data root."""
    (footage.directory / "truncated.y4m").write_bytes(VIDEO[:-1])
    body = {"reference": "reference.y4m", "distorted": "truncated.y4m"}
    problem(requests.post(server.url + SCORE, json=body, timeout=TIMEOUT_SECONDS), 422, "bad-video")


def test_stream_ends_with_a_late_error(server: Server) -> None:
    """If scoring fails after the first line of a stream, the last line has the problem."""
    answer = server.upload(VIDEO, VIDEO[:-1], frames="true")
    if answer.ok:
        last = json.loads(answer.text.splitlines()[-1])
        assert last["type"] == "error"
        assert last["problem"]["type"] == "urn:vmaf:problem:bad-video"
    else:
        problem(answer, 422, "bad-video")


OPTIONS = {
    "no object": [],
    "unknown option": {"colour": "blue"},
    "unknown model": {"models": ["vmaf_v9"]},
    "model by path": {"models": ["../../../etc/passwd"]},
    "model by absolute path": {"models": ["/usr/local/share/vmaf/model/vmaf_v0.6.1.json"]},
    "no models": {"models": []},
    "a model twice": {"models": ["vmaf_v0.6.1", "vmaf_v0.6.1"]},
    "unknown feature": {"features": ["sharpness"]},
    "unknown pooling": {"pooling": ["median"]},
    "subsample of zero": {"subsample": 0},
    "threads below zero": {"threads": -1},
    "threads beyond the limit": {"threads": 10**6},
    "a number for a list": {"models": 1},
    "a number too large": {"subsample": 10**30},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_server_refuses_invalid_options(server: Server, name: str) -> None:
    """The server refuses an invalid option instead of ignoring it."""
    problem(server.upload(VIDEO, VIDEO, options=OPTIONS[name]), 400, "bad-options")


LINKS = {"out": "/etc/passwd", "outside": "/etc"}


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("../etc/passwd", 403, "path-refused"),
        ("a/../../etc/passwd", 403, "path-refused"),
        ("/etc/passwd", 403, "path-refused"),
        ("out", 403, "path-refused"),
        ("outside/passwd", 403, "path-refused"),
        (".", 403, "path-refused"),
        ("pipe", 403, "path-refused"),
        ("..\\..\\etc\\passwd", 404, "not-found"),
        ("%2e%2e/etc/passwd", 404, "not-found"),
        ("none.y4m", 404, "not-found"),
        ("reference.y4m\0", 403, "path-refused"),
        ("x" * 5000, 400, "bad-request"),
    ],
)
def test_server_refuses_a_path_outside_the_data_root(
    server: Server, footage: Footage, path: str, status: int, name: str
) -> None:
    """The server refuses a path that leaves the data root, or that is not of a regular file."""
    for link, target in LINKS.items():
        _link(footage.directory / link, target)
    _pipe(footage.directory / "pipe")
    body = {"reference": "reference.y4m", "distorted": path}
    answer = requests.post(server.url + SCORE, json=body, timeout=TIMEOUT_SECONDS)
    assert "root:" not in problem(answer, status, name)


def _link(path: Path, target: str) -> None:
    if not path.is_symlink():
        path.symlink_to(target)


def _pipe(path: Path) -> None:
    if not path.exists():
        os.mkfifo(path)


JSON = {"Content-Type": "application/json"}
GZIP = {"Content-Encoding": "gzip"}


@dataclass(frozen=True)
class Body:
    """An invalid request, with the expected status and problem name."""

    status: int
    name: str
    data: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    path: str = SCORE


BODIES = {
    "no JSON": Body(400, "bad-request", b"{"),
    "no object": Body(400, "bad-request", b"[]"),
    "no body": Body(400, "bad-request"),
    "a deep nest": Body(400, "bad-request", b"[" * 60000),
    "a field unknown": Body(400, "bad-request", b'{"reference":"a","distorted":"b","c":1}'),
    "JSON after JSON": Body(400, "bad-request", b'{"reference":"a","distorted":"b"}{}'),
    "a query unknown": Body(400, "bad-request", b"{}", path=f"{SCORE}?frames=perhaps"),
    "another type": Body(415, "unsupported-media-type", b"x", {"Content-Type": "text/plain"}),
    "no type": Body(415, "unsupported-media-type", b"x", {}),
    "compressed JSON": Body(415, "unsupported-media-type", gzip.compress(b"{}"), JSON | GZIP),
    "a decompression bomb": Body(
        415,
        "unsupported-media-type",
        gzip.compress(part("reference", bytes(2**26)) + END),
        FORM | GZIP,
    ),
    "a form without boundary": Body(
        400, "bad-request", b"x", {"Content-Type": "multipart/form-data"}
    ),
    "an empty form": Body(400, "bad-request", END, FORM),
    "one video": Body(400, "bad-request", part("reference") + END, FORM),
    "a video twice": Body(400, "bad-request", 2 * part("reference") + END, FORM),
    "a part unknown": Body(400, "bad-request", part("third") + END, FORM),
    "options last": Body(
        400,
        "bad-request",
        part("reference") + part("distorted") + part("options", b"{}") + END,
        FORM,
    ),
    "no end": Body(400, "bad-request", part("reference") + part("distorted")[:-2], FORM),
    "options too long": Body(
        413, "too-large", part("options", b" " * 100_000) + part("reference") + END, FORM
    ),
    "JSON too long": Body(413, "too-large", b'{"reference":"' + b"a" * 100_000 + b'"}'),
    "part headers without end": Body(400, "bad-request", BOUNDARY + b"X: " + b"x" * 2**24, FORM),
    "part headers without number": Body(
        400, "bad-request", BOUNDARY + b"".join(b"X%d: x\r\n" % n for n in range(100_000)), FORM
    ),
    "no such endpoint": Body(404, "not-found", path="/v2/score"),
    "a path with dots": Body(404, "not-found", path="/v1/%2e%2e/%2e%2e/etc/passwd"),
}


@pytest.mark.parametrize("name", BODIES)
def test_server_refuses_an_invalid_body(server: Server, name: str) -> None:
    """The server refuses an invalid body, query or path with the status of its fault."""
    body = BODIES[name]
    answer = requests.post(
        server.url + body.path, data=body.data, headers=body.headers, timeout=TIMEOUT_SECONDS
    )
    problem(answer, body.status, body.name)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE"])
def test_server_refuses_a_wrong_method(server: Server, method: str) -> None:
    """A request with a wrong method gets status 405, and the header Allow lists the right one."""
    answer = requests.request(method, server.url + SCORE, timeout=TIMEOUT_SECONDS)
    problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["Allow"]


def _raw(server: Server, *chunks: bytes) -> bytes:
    """Send bytes unchanged, and return the response up to the end of the connection."""
    with server.connect() as connection:
        answer = b""
        try:
            for chunk in chunks:
                connection.sendall(chunk)
            while more := connection.recv(2**16):
                answer += more
        except ConnectionError:
            pass  # The server may close the connection before it has read everything.
        return answer


def _headers(size: int) -> Iterator[bytes]:
    yield b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    for number in range(size // 1000):
        yield b"X-%d: " % number + b"x" * 990 + b"\r\n"
    yield b"\r\n"


def test_server_refuses_large_headers(server: Server) -> None:
    """A request with headers above the limit gets status 431."""
    answer = _raw(server, *_headers(10**6))
    assert answer.startswith(b"HTTP/1.1 431 "), answer[:200]


POST = b"POST /v1/score HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ],
)
def test_server_closes_a_connection_that_is_not_http(server: Server, request_bytes: bytes) -> None:
    """The server closes a connection with invalid HTTP, silently or with a status 4xx or 505."""
    answer = _raw(server, request_bytes, b"\r\n")
    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505")), answer[:200]
