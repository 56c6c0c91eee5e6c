"""A remote compile cache that dies, hangs or returns damaged values: a web server on loopback."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from threading import Event, Lock, Thread
from typing import Literal

from scripts.faults import damage

Behaviour = Literal["answers", "dies", "hangs"]


class Store:
    """Stores what is PUT, and returns it to GET; it misbehaves after some requests."""

    def __init__(self, behaviour: Behaviour = "answers", after: int = 0) -> None:
        """Start on a free port.

        Args:
            behaviour: what it does after the first requests: it goes on to answer, it closes its
                port and all connections, or it accepts connections and never answers.
            after: the number of requests that it answers before.
        """
        self.values: dict[str, bytes] = {}
        self.poisoned: set[str] = set()
        """The names of the values that are damaged."""
        self.requests = self.misbehaved = 0
        """The requests so far, and those that got no answer or a damaged value."""
        self._behaviour, self._after = behaviour, after
        self._lock, self._ended = Lock(), Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.store = self
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        """The address for VMAF_REMOTE_CACHE."""
        return f"http://127.0.0.1:{self._server.server_port}/vmaf"

    def poison(self) -> int:
        """Damage all values in turn in each way; return their number."""
        for name, way in zip(self.values, cycle(damage.WAYS), strict=False):
            self.values[name] = way(self.values[name])
            self.poisoned.add(name)
        return len(self.values)

    def stop(self) -> None:
        """Close the port, and end the connections that wait for an answer."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def serves(self) -> bool:
        """Count a request; return whether it is answered, after waiting if this store hangs."""
        with self._lock:
            self.requests += 1
            if self._behaviour == "answers" or self.requests <= self._after:
                return True
            self.misbehaved += 1
            is_first = self.misbehaved == 1
        if self._behaviour == "hangs":
            self._ended.wait()
        elif is_first:
            self.stop()
        return False

    def get(self, name: str) -> bytes | None:
        """Return a value; None if there is none."""
        with self._lock:
            self.misbehaved += name in self.poisoned
            return self.values.get(name)

    def put(self, name: str, value: bytes) -> None:
        """Store a value, also in the place of a damaged one."""
        with self._lock:
            self.values[name] = value
            self.poisoned.discard(name)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    store: Store

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing for a client that has gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self, status: int, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self) -> None:
        """Return a value."""
        if not self.server.store.serves():
            self.close_connection = True
            return
        value = self.server.store.get(self.path)
        self._answer(404 if value is None else 200, value or b"")

    def do_HEAD(self) -> None:
        """Return whether there is a value."""
        self.do_GET()

    def do_PUT(self) -> None:
        """Store a value."""
        value = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.server.store.serves():
            self.close_connection = True
            return
        self.server.store.put(self.path, value)
        self._answer(201)

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""
