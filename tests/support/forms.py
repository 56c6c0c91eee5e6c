"""Send malformed or slow multipart forms, which client libraries do not support."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import requests

from scripts.core import clips
from tests.support.serving import SCORE, TIMEOUT_SECONDS, Server

VIDEO = clips.y4m()
"""A valid video."""
FRAME = len(b"FRAME\n") + clips.WIDTH * clips.HEIGHT * 3 // 2
"""The size of a frame of `VIDEO` in bytes, including the frame header."""

FORM = {"Content-Type": "multipart/form-data; boundary=b"}
BOUNDARY = b"--b\r\n"
END = b"--b--\r\n"


def part(name: str, content: bytes = VIDEO) -> bytes:
    """Return one part of a form."""
    header = f'Content-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'
    return BOUNDARY + header.encode() + content + b"\r\n"


def post(server: Server, body: bytes | Iterable[bytes]) -> requests.Response:
    """Send a form. An iterable of pieces is sent in chunks, without Content-Length."""
    return requests.post(server.url + SCORE, data=body, headers=FORM, timeout=TIMEOUT_SECONDS)


def problem(answer: requests.Response, status: int, name: str) -> str:
    """Check that a response is the problem document `name`; return its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == f"urn:vmaf:problem:{name}", document
    assert document["status"] == status, document
    assert document["title"], document
    detail: str = document["detail"]
    assert detail, document
    return detail


class SlowUpload:
    """An upload that pauses in the second video until `resume` is set."""

    def __init__(self) -> None:
        """Create the event; `uploading` sets `answer`."""
        self.resume = threading.Event()
        self.answer: Future[requests.Response]

    def __iter__(self) -> Iterator[bytes]:
        """Yield the form in two pieces."""
        form = part("reference") + part("distorted") + END
        yield form[: -2 * FRAME]
        self.resume.wait()
        yield form[-2 * FRAME :]


@contextmanager
def uploading(server: Server) -> Iterator[SlowUpload]:
    """Send a slow upload in another thread; the end of the context finishes the upload."""
    slow = SlowUpload()
    with ThreadPoolExecutor(1) as pool:
        slow.answer = pool.submit(post, server, slow)
        try:
            yield slow
        finally:
            slow.resume.set()
