"""Clients that request scores in a closed loop and repeat a refused request at once.

`run` starts them in a process of its own, so that they can have a core of their own. They send
requests that were encoded before, and read only the status and the length of a response: with an
HTTP library, the clients would need more time than the server needs to refuse them.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import cast

import msgspec
from msgspec import Struct

from scripts.core import clips, process
from scripts.core.console import UserError
from scripts.core.paths import ROOT

PATHS = {"reference": "reference.y4m", "distorted": "distorted.y4m"}
"""The body of a request that names files of the server."""
RECONNECT_SECONDS = 0.01
"""The pause after an attempt to connect has failed."""
GRACE_SECONDS = 60
"""How long the process may take in addition to its load."""


class Load(Struct, frozen=True):
    """What the clients do."""

    host: str
    port: int
    clients: int
    seconds: float
    upload: bool = False
    """Whether a request uploads two videos; otherwise it names two files of the server."""
    keep: bool = True
    """Whether a client sends its next request on the same connection if the server allows it."""
    core: int | None = None
    """The core that the clients run on; None for any."""


def request(*, upload: bool) -> bytes:
    """Return an encoded request to score the generated clip."""
    if upload:
        kind, body = "multipart/form-data; boundary=b", b""
        for part in PATHS:
            name = f'Content-Disposition: form-data; name="{part}"; filename="f"'
            body += f"--b\r\n{name}\r\n\r\n".encode() + clips.y4m() + b"\r\n"
        body += b"--b--\r\n"
    else:
        kind, body = "application/json", json.dumps(PATHS).encode()
    head = (
        f"POST /v1/score HTTP/1.1\r\nHost: server\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Response:
    """A response that is being received."""

    def __init__(self) -> None:
        """Begin with no data."""
        self._data = b""

    def receive(self, data: bytes) -> tuple[str, bool] | None:
        """Add data; return the status and whether the server closes the connection.

        The result is None until the response is complete.
        """
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found:
            return None
        status, *lines = head.decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = headers.get("content-length")
        # The server's responses without a length are chunked.
        complete = body.endswith(b"0\r\n\r\n") if length is None else len(body) >= int(length)
        return (status.split()[1], headers.get("connection") == "close") if complete else None


class Client(asyncio.Protocol):
    """A connection of one client."""

    def __init__(self, flood: "Flood") -> None:
        """Create a connection that is not open yet."""
        self._flood = flood
        self._transport: asyncio.Transport | None = None
        self._response = Response()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._flood.request)

    def data_received(self, data: bytes) -> None:
        """Count a complete response, and send the next request."""
        result = self._response.receive(data)
        if result is None or self._transport is None:
            return
        status, closing = result
        self._flood.counts[status] += 1
        if self._flood.load.keep and not closing and not self._flood.ended:
            self._response = Response()
            self._transport.write(self._flood.request)
            return
        self._transport.abort()
        self._reconnect()

    def connection_lost(self, error: Exception | None) -> None:
        """Count a connection that ended before its response."""
        if self._transport is not None and not self._flood.ended:
            self._flood.counts[type(error).__name__ if error else "closed"] += 1
            self._reconnect()

    def _reconnect(self) -> None:
        self._transport = None
        self._flood.connect()


class Flood:
    """All clients of a load."""

    def __init__(self, load: Load) -> None:
        """Prepare the clients; nothing is sent yet."""
        self.load = load
        self.request = request(upload=load.upload)
        self.counts: Counter[str] = Counter()
        self._end = 0.0
        self._connecting: set[asyncio.Task[None]] = set()

    @property
    def ended(self) -> bool:
        """Whether the time of the load has passed."""
        return time.monotonic() >= self._end

    def connect(self) -> None:
        """Open the connection of one client in the background."""
        task = asyncio.get_running_loop().create_task(self._connect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        while not self.ended:
            try:
                await asyncio.get_running_loop().create_connection(
                    lambda: Client(self), self.load.host, self.load.port
                )
            except OSError as error:
                self.counts[type(error).__name__] += 1
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                return

    async def run(self) -> Mapping[str, int]:
        """Run all clients for the time of the load, and return the counts of their results."""
        self._end = time.monotonic() + self.load.seconds
        for _ in range(self.load.clients):
            self.connect()
        await asyncio.sleep(self.load.seconds)
        return dict(self.counts)


def run(load: Load) -> dict[str, int]:
    """Run a load in a process of its own.

    Returns:
        the number of responses by status, such as `200`, and of failures by name: `closed` for a
        connection that the server closed without a response.

    Raises:
        UserError: the process failed.
    """
    done = process.run(
        *(sys.executable, "-m", __name__),
        cwd=ROOT,
        text=msgspec.json.encode(load).decode(),
        timeout=load.seconds + GRACE_SECONDS,
    )
    if done.returncode:
        raise UserError("cannot measure", done.stderr.strip()[-500:], "Run the bench again.")
    return msgspec.json.decode(done.stdout, type=dict[str, int])


if __name__ == "__main__":
    requested = msgspec.json.decode(sys.stdin.read(), type=Load)
    if requested.core is not None:
        os.sched_setaffinity(0, {requested.core})
    print(json.dumps(asyncio.run(Flood(requested).run())))
