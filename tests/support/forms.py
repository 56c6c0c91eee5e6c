"""Forms put together by hand: such as no client library sends, or not so slowly."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import requests

from scripts.core import clips
from tests.support.serving import PATIENCE, SCORE, Server

VIDEO = clips.y4m()
"""A good one."""
FRAME = len(b"FRAME\n") + clips.WIDTH * clips.HEIGHT * 3 // 2
"""The bytes of one of its frames."""

FORM = {"Content-Type": "multipart/form-data; boundary=b"}
BOUNDARY = b"--b\r\n"
END = b"--b--\r\n"


def part(name: str, content: bytes = VIDEO) -> bytes:
    """Return a part of a form."""
    words = f'Content-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'
    return BOUNDARY + words.encode() + content + b"\r\n"


def post(server: Server, body: bytes | Iterable[bytes], path: str = SCORE) -> requests.Response:
    """Send a form; one in pieces goes without its length."""
    return requests.post(server.url + path, data=body, headers=FORM, timeout=PATIENCE)


def problem(answer: requests.Response, status: int, name: str) -> str:
    """Hold an answer to be that problem, and return what it says."""
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
    """An upload that stops in the middle of its second video, until it is let go on."""

    def __init__(self) -> None:
        """Begin with nothing sent."""
        self.go_on = threading.Event()
        self.answer: Future[requests.Response]

    def __iter__(self) -> Iterator[bytes]:
        """Yield the form, in two pieces."""
        form = part("reference") + part("distorted") + END
        yield form[: -2 * FRAME]
        self.go_on.wait()
        yield form[-2 * FRAME :]


@contextmanager
def uploading(server: Server) -> Iterator[Slow]:
    """Send a slow upload beside what the test does; it is over when the test is done."""
    slow = Slow()
    with ThreadPoolExecutor(1) as pool:
        slow.answer = pool.submit(post, server, slow)
        try:
            yield slow
        finally:
            slow.go_on.set()
