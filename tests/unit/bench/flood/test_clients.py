"""Tests of scripts/bench/flood/clients.py."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scripts.bench.flood import clients
from scripts.bench.flood.clients import Load, Response
from scripts.core.console import UserError

REFUSED = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    ("429", True),
)
SCORED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ("200", False),
)


@pytest.mark.parametrize(("data", "result"), [REFUSED, SCORED])
def test_response_is_complete_at_its_last_byte(data: bytes, result: tuple[str, bool]) -> None:
    """A response with a length or in chunks is complete with its last byte, however it arrives."""
    response = Response()
    for position in range(len(data) - 1):
        assert response.receive(data[position : position + 1]) is None
    assert response.receive(data[-1:]) == result


@pytest.mark.parametrize("upload", [False, True])
def test_request_declares_the_length_of_its_body(upload: bool) -> None:  # noqa: FBT001
    """The request's Content-Length is that of its body."""
    head, _, body = clients.request(upload=upload).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.endswith(b"--b--\r\n" if upload else b"}")


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[int, list[int]]]:
    """Serve the same answers on each connection; yield the port and the requests of each."""
    connections: list[int] = []

    def serve(connection: socket.socket) -> None:
        number = len(connections)
        connections.append(0)
        with connection:
            for answer in answers:
                data = b""
                while not data.endswith(b"}"):
                    if not (received := connection.recv(2**16)):
                        return
                    data += received
                connections[number] += 1
                connection.sendall(answer)

    def accept() -> None:
        while True:
            try:
                serve(listener.accept()[0])
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1], connections


KEPT = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("keep", [True, False])
def test_client_repeats_a_refused_request(keep: bool) -> None:  # noqa: FBT001
    """A client repeats its request at once, on the same connection only if it keeps it."""
    with answering(KEPT, KEPT, SCORED[0]) as (port, connections):
        counts = clients.run(Load("127.0.0.1", port, 1, 0.5, keep=keep))
    assert counts["429"] >= 2
    assert connections[0] == (3 if keep else 1)
    assert ("200" in counts) == keep


def test_closed_connections_are_counted() -> None:
    """A connection that ends without a response is counted, and the client connects again."""
    with answering(b"") as (port, _):
        counts = clients.run(Load("127.0.0.1", port, 1, 0.5))
    assert set(counts) == {"closed"}
    assert counts["closed"] >= 2


def test_failed_process_is_an_error() -> None:
    """A generator that cannot run on the requested core is an error for the user."""
    with pytest.raises(UserError, match="cannot measure"):
        clients.run(Load("127.0.0.1", 1, 1, 0.1, core=10**6))
