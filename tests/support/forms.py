"""Multipart forms put together by hand: malformed or slow, as no client library sends them."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import requests

from scripts.core import clips
from tests.support.serving import PATIENCE, SCORE, Server

VIDEO = clips.y4m()
"""A valid video."""
FRAME = len(b"FRAME\n") + clips.WIDTH * clips.HEIGHT * 3 // 2
"""The size of one of its frames, in bytes, with the frame's header."""

FORM = {"Content-Type": "multipart/form-data; boundary=b"}
BOUNDARY = b"--b\r\n"
END = b"--b--\r\n"


def part(name: str, content: bytes = VIDEO) -> bytes:
    """Return one part of a form."""
    header = f'Content-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'
    return BOUNDARY + header.encode() + content + b"\r\n"


def post(server: Server, body: bytes | Iterable[bytes]) -> requests.Response:
    """Send a form. An iterable of pieces is sent in chunks, without Content-Length."""
    return requests.post(server.url + SCORE, data=body, headers=FORM, timeout=PATIENCE)


def problem(answer: requests.Response, status: int, name: str) -> str:
    """Check that an answer is the problem document `name`, and return its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == f"urn:vmaf:problem:{name}", document
    assert document["status"] == status, document
    assert document["title"], document
    detail: str = document["detail"]
    assert detail, document
    return detail


class Slow:
    """An upload that pauses in its second video until `go_on` is set."""

    def __init__(self) -> None:
        """Create the event; `uploading` sets the answer."""
        self.go_on = threading.Event()
        self.answer: Future[requests.Response]

    def __iter__(self) -> Iterator[bytes]:
        """Yield the form in two pieces."""
        form = part("reference") + part("distorted") + END
        yield form[: -2 * FRAME]
        self.go_on.wait()
        yield form[-2 * FRAME :]


@contextmanager
def uploading(server: Server) -> Iterator[Slow]:
    """Send a slow upload from another thread; it is finished when the context ends."""
    slow = Slow()
    with ThreadPoolExecutor(1) as pool:
        slow.answer = pool.submit(post, server, slow)
        try:
            yield slow
        finally:
            slow.go_on.set()
