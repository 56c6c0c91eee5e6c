#!/usr/bin/python3 -IS
"""Give the compiler caches of a build step a store that other machines share.

    url=$(remote.py start)     start a proxy on loopback; print its URL, or nothing without a store
    remote.py stop             write what is queued, print the counts, and end the proxy

The proxy serves GET, HEAD and PUT of URL/NAME, as ccache's remote storage with `layout=flat` and
depcache.py use them. `stop` reads the URL from DEPCACHE_REMOTE, as depcache.py does. REMOTE_SECRET
(/run/secrets/remote-cache) is a file whose first line is the address of the store:

    redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]     rediss:// with TLS
    http://[USER:PASSWORD@]HOST[:PORT]/DIRECTORY         https:// with TLS; GET and PUT, as WebDAV
    s3://ACCESS:SECRET@HOST[:PORT]/BUCKET[/PREFIX]       with TLS
    s3://ACCESS:SECRET@BUCKET[/PREFIX]?endpoint=URL      an endpoint with http:// is without TLS

    ?read-only       store nothing
    ?key=TEXT        seal values with this key, at least 16 characters, and refuse all others
    ?region=NAME     S3: us-east-1 by default
    ?token=TEXT      S3: the session token of temporary credentials

A line `build ID` may follow, the same for all steps of a build, and certificates that TLS trusts.

Lookups never fail. If the store does not answer at first, or again after an operation that had no
answer, or for the second time, the build uses it no longer: REMOTE_STATE (CCACHE_DIR/remote.state)
tells the later steps. README.md says more.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import socket
import sys
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

__version__ = "1.0.0"
FORMAT = b"vmaf-remote 1\n"
"""The first bytes of every value in a store."""
SECONDS = 1.0
"""The longest time for the probe and for each operation, with connecting."""
SLOW_SECONDS = 0.25
"""A store whose answers take longer on average is not used."""
FLUSH_SECONDS = 2.0
"""The longest time that `stop` waits for queued writes."""
INCIDENTS = 2
"""The operations without an answer after which a build uses the store no longer."""
LARGEST = 16 << 20
"""The largest value in bytes."""
QUEUED = 64 << 20
"""The largest total of the values that wait to be written, in bytes; further ones are dropped."""
WRITERS = 4
"""How many values are written at once."""
KEY_LENGTH = 16
"""The shortest key in characters, as short ones can be found by trial."""
PROBE = "probe"
"""A name that is looked up to see whether a store answers."""
NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
PORTS = {"redis": 6379, "rediss": 6379, "http": 80, "https": 443, "s3": 443}


class RefusedError(Exception):
    """The store answered, but it refuses; the message says what, and repeats no credentials."""


FAULTS = (OSError, EOFError, ValueError, asyncio.LimitOverrunError)
"""What a store that is gone, hangs or answers nonsense raises."""


# --- the address ----------------------------------------------------------------


@dataclass
class Address:
    """The address of a store, and the other lines of the secret."""

    scheme: str
    host: str
    port: int
    user: str
    password: str
    path: str
    attributes: Mapping[str, str]
    tls: bool
    build: str = ""
    certificates: str = ""

    @property
    def shown(self) -> str:
        """The address without its credentials and attributes."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def key(self) -> bytes:
        """The key of the seals; empty for none."""
        return self.attributes.get("key", "").encode()

    @classmethod
    def read(cls, secret: str) -> "Address":
        """Parse the text of the secret.

        Raises:
            ValueError: it is not an address as above; the message repeats nothing of it.
        """
        first, *rest = secret.splitlines() or [""]
        try:
            url = urlsplit(first.strip())
            attributes = dict(parse_qsl(url.query, keep_blank_values=True))
            endpoint = urlsplit(attributes.get("endpoint", ""))
            place = endpoint if endpoint.hostname else url
            host, port = place.hostname, place.port
        except ValueError:
            raise ValueError("it is not a URL") from None
        if url.scheme not in PORTS:
            raise ValueError(f"its scheme is none of {', '.join(PORTS)}")
        if not host:
            raise ValueError("it names no host")
        if unknown := set(attributes) - {"read-only", "key", "region", "token", "endpoint"}:
            raise ValueError(f"it has {len(unknown)} unknown attributes")
        if "key" in attributes and len(attributes["key"]) < KEY_LENGTH:
            raise ValueError(f"its key has less than {KEY_LENGTH} characters")
        is_endpoint = place is endpoint
        scheme = endpoint.scheme if is_endpoint else url.scheme
        builds = (line.split() for line in rest if line.startswith("build "))
        return cls(
            scheme=url.scheme,
            host=host,
            port=port or PORTS.get(scheme, 443),
            user=unquote(url.username or ""),
            password=unquote(url.password or ""),
            path=f"/{url.hostname}{url.path}" if is_endpoint else url.path,
            attributes=attributes,
            tls=scheme in {"rediss", "https", "s3"},
            build=next((words[1] for words in builds if words[1:]), ""),
            certificates=secret[secret.find("-----BEGIN") :] if "-----BEGIN" in secret else "",
        )


# --- stores ---------------------------------------------------------------------


@dataclass
class Connection:
    """A connection to the store."""

    reader: StreamReader
    writer: StreamWriter
    reusable: bool = True

    async def line(self) -> bytes:
        """Return a line without its end."""
        return (await self.reader.readuntil(b"\r\n"))[:-2]

    async def exactly(self, length: int) -> bytes:
        """Return so many bytes.

        Raises:
            ValueError: a value cannot have so many.
        """
        if not 0 <= length <= LARGEST + len(FORMAT) + 32:
            raise ValueError("an impossible length")
        return await self.reader.readexactly(length)


class Store:
    """A store of values by name; its connections are used for one operation at a time."""

    def __init__(self, address: Address) -> None:
        """Prepare for an address; nothing is connected yet."""
        self.address = address
        self.idle: list[Connection] = []
        self.limits: set[asyncio.Timeout] = set()
        self.tls = None
        if address.tls:
            import ssl  # noqa: PLC0415 # slow

            self.tls = ssl.create_default_context(cadata=address.certificates or None)

    async def login(self, connection: Connection) -> None:
        """Do what a new connection needs first."""

    async def get(self, connection: Connection, name: str) -> bytes | None:
        """Return a value; None if there is none."""
        raise NotImplementedError

    async def put(self, connection: Connection, name: str, value: bytes) -> None:
        """Store a value."""
        raise NotImplementedError

    async def _connect(self) -> Connection:
        streams = await asyncio.open_connection(
            self.address.host, self.address.port, ssl=self.tls, limit=1 << 18
        )
        connection = Connection(*streams)
        try:
            await self.login(connection)
        except BaseException:
            connection.writer.close()
            raise
        return connection

    async def call(
        self, operation: Callable[..., Awaitable[bytes | None]], *arguments: object
    ) -> bytes | None:
        """Run an operation on a connection.

        Raises:
            FAULTS: there was no proper answer in time.
            RefusedError: the store refuses.
        """
        async with asyncio.timeout(SECONDS) as limit:
            self.limits.add(limit)
            try:
                while True:
                    is_new = not self.idle
                    connection = self.idle.pop() if self.idle else await self._connect()
                    try:
                        result = await operation(connection, *arguments)
                    except BaseException as error:
                        connection.writer.close()
                        # A store closes connections that were idle for some time.
                        if is_new or not isinstance(error, ConnectionError | EOFError):
                            raise
                        continue
                    if connection.reusable:
                        self.idle.append(connection)
                    else:
                        connection.writer.close()
                    return result
            finally:
                self.limits.discard(limit)

    def abandon(self) -> None:
        """End all operations as if their time was over, and all connections."""
        for limit in self.limits:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())
        while self.idle:
            self.idle.pop().writer.close()


class Redis(Store):
    """A Redis, or what speaks its protocol."""

    async def login(self, connection: Connection) -> None:
        """Authenticate and choose the database."""
        address = self.address
        if address.password:
            user = [address.user] if address.user else []
            await self._command(connection, "AUTH", *user, address.password)
        if database := address.path.strip("/"):
            await self._command(connection, "SELECT", database)

    async def get(self, connection: Connection, name: str) -> bytes | None:
        """Return a value; None if there is none."""
        return await self._command(connection, "GET", f"vmaf:{name}")

    async def put(self, connection: Connection, name: str, value: bytes) -> None:
        """Store a value."""
        await self._command(connection, "SET", f"vmaf:{name}", value)

    async def _command(self, connection: Connection, *words: str | bytes) -> bytes | None:
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            text = word.encode() if isinstance(word, str) else word
            parts += [b"$%d\r\n" % len(text), text, b"\r\n"]
        connection.writer.writelines(parts)
        await connection.writer.drain()
        answer = await connection.line()
        kind, rest = answer[:1], answer[1:]
        if kind == b"-":  # -OOM command not allowed when used memory > 'maxmemory'.
            code = rest.split(b" ")[0].decode(errors="replace")
            raise RefusedError(code if re.fullmatch("[A-Z]{2,20}", code) else "an error")
        if kind in {b"+", b":"}:
            return rest
        if kind != b"$":
            raise ValueError("not an answer of Redis")
        if int(rest) < 0:
            return None
        return (await connection.exactly(int(rest) + 2))[:-2]


class Web(Store):
    """A web server that stores what is PUT, such as WebDAV."""

    async def get(self, connection: Connection, name: str) -> bytes | None:
        """Return a value; None if there is none."""
        status, content = await self._request(connection, "GET", name)
        if status == 200:  # noqa: PLR2004
            return content
        if status >= 500:  # noqa: PLR2004
            raise ValueError("an error of the server")
        if not self._is_missing(status, content):
            raise RefusedError(f"status {status}")
        return None

    async def put(self, connection: Connection, name: str, value: bytes) -> None:
        """Store a value."""
        status, _ = await self._request(connection, "PUT", name, value)
        if not 200 <= status < 300:  # noqa: PLR2004
            raise RefusedError(f"status {status}")

    def _is_missing(self, status: int, _content: bytes) -> bool:
        return status in {404, 410}

    def _headers(self, _method: str, _path: str, _content: bytes) -> dict[str, str]:
        address = self.address
        if not address.user and not address.password:
            return {}
        pair = base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    @property
    def _host(self) -> str:
        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        return f"{host}:{self.address.port}"

    async def _request(
        self, connection: Connection, method: str, name: str, content: bytes = b""
    ) -> tuple[int, bytes]:
        path = quote(f"{unquote(self.address.path).rstrip('/')}/{name}", safe="/-_.~")
        headers = {
            "Host": self._host,
            "User-Agent": f"vmaf-remote/{__version__}",
            "Content-Length": str(len(content)),
            **self._headers(method, path, content),
        }
        lines = [f"{method} {path} HTTP/1.1", *(f"{key}: {text}" for key, text in headers.items())]
        connection.writer.writelines([("\r\n".join(lines) + "\r\n\r\n").encode(), content])
        await connection.writer.drain()
        status = 100
        while 100 <= status < 200:  # noqa: PLR2004 # such as `100 Continue`
            version, _, rest = (await connection.line()).decode("latin-1").partition(" ")
            if not version.startswith("HTTP/1."):
                raise ValueError("not an answer of a web server")
            status = int(rest[:3])
            answered: dict[str, str] = {}
            while line := (await connection.line()).decode("latin-1"):
                key, _, text = line.partition(":")
                answered[key.lower()] = text.strip()
        closes = version == "HTTP/1.0" or answered.get("connection", "").lower() == "close"
        connection.reusable = not closes
        if status == 204:  # noqa: PLR2004 # No Content
            return status, b""
        if "chunked" in answered.get("transfer-encoding", ""):
            return status, await self._chunks(connection)
        if "content-length" in answered:
            return status, await connection.exactly(int(answered["content-length"]))
        connection.reusable = False
        return status, await connection.reader.read(LARGEST)

    async def _chunks(self, connection: Connection) -> bytes:
        content = b""
        while length := int((await connection.line()).split(b";")[0], 16):
            content += (await connection.exactly(length + 2))[:-2]
            if len(content) > LARGEST + 1024:
                raise ValueError("an impossible length")
        while await connection.line():
            pass  # trailers
        return content


class S3(Web):
    """An S3-compatible store, addressed by path, with signatures of version 4."""

    def _is_missing(self, status: int, content: bytes) -> bool:
        # Without the permission to list a bucket, an object that is not there is Forbidden.
        return status == 404 or (status == 403 and b"<Code>AccessDenied</Code>" in content)  # noqa: PLR2004

    def _headers(self, method: str, path: str, content: bytes) -> dict[str, str]:
        address = self.address
        region, now = address.attributes.get("region", "us-east-1"), time.gmtime()
        moment, day = time.strftime("%Y%m%dT%H%M%SZ", now), time.strftime("%Y%m%d", now)
        headers = {
            "host": self._host,
            "x-amz-content-sha256": hashlib.sha256(content).hexdigest(),
            "x-amz-date": moment,
        }
        if token := address.attributes.get("token"):
            headers["x-amz-security-token"] = token
        names = ";".join(headers)
        lines = [method, path, "", *(f"{key}:{text}" for key, text in headers.items()), "", names]
        request = "\n".join([*lines, headers["x-amz-content-sha256"]])
        scope = f"{day}/{region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        key = f"AWS4{address.password}".encode()
        for part in (day, region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        del headers["host"]
        credential = f"Credential={address.user}/{scope}"
        signed = f"SignedHeaders={names}, Signature={signature}"
        return {**headers, "Authorization": f"AWS4-HMAC-SHA256 {credential}, {signed}"}


STORES = {"redis": Redis, "rediss": Redis, "http": Web, "https": Web, "s3": S3}


# --- seals ----------------------------------------------------------------------


def seal(key: bytes, name: str, value: bytes) -> bytes:
    """Return what is stored: the value, after a digest of the name and the value.

    With a key, nobody without it can make one. Without a key, it detects damage and a value that
    was moved to another name.
    """
    return FORMAT + _digest(key, name, value) + value


def unseal(key: bytes, name: str, stored: bytes) -> bytes:
    """Return the value.

    Raises:
        ValueError: it is damaged, of another name, or not sealed with this key.
    """
    begin = len(FORMAT) + hashlib.sha256().digest_size
    value = stored[begin:]
    if not hmac.compare_digest(stored[:begin], FORMAT + _digest(key, name, value)):
        raise ValueError("refused")
    return value


def _digest(key: bytes, name: str, value: bytes) -> bytes:
    text = name.encode() + b"\0" + value
    return hmac.digest(key, text, "sha256") if key else hashlib.sha256(text).digest()


# --- the proxy ------------------------------------------------------------------


@dataclass
class Counts:
    """What a step did with the store."""

    hit: int = 0
    miss: int = 0
    """Lookups of what the store does not have, also while it was not asked."""
    error: int = 0
    """Operations that had no proper answer, or were refused."""
    refused: int = 0
    """Values that are damaged, moved, or sealed with another key; they are misses."""
    dropped: int = 0
    """Values that were not written in time."""
    received: int = 0
    """Bytes."""
    sent: int = 0


@dataclass
class Memory:
    """What the steps of a build know about the store, in a file of the cache."""

    file: Path | None
    build: str
    gone: bool = False
    full: bool = False
    incidents: int = 0

    def __post_init__(self) -> None:
        """Read what earlier steps of this build wrote."""
        if not self.file or not self.build:
            return
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            stored = json.loads(self.file.read_text())
            if stored.get("build") == self.build:
                self.gone, self.full = bool(stored.get("gone")), bool(stored.get("full"))
                self.incidents = int(stored.get("incidents", 0))

    def write(self) -> None:
        """Tell the later steps of this build."""
        if not self.file or not self.build:
            return
        names = ("build", "gone", "full", "incidents")
        with contextlib.suppress(OSError):
            part = self.file.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps({name: getattr(self, name) for name in names}))
            part.replace(self.file)


@dataclass
class Proxy:
    """The server on loopback."""

    address: Address
    store: Store
    memory: Memory
    token: str
    """The first part of each path. In the host's network, other users could connect, too."""
    counts: Counts = field(default_factory=Counts)
    warnings: list[str] = field(default_factory=list)
    answers: bool = True
    """Whether the store is asked."""
    late: float = 0.0
    """Seconds by which answers were slower than SLOW_SECONDS, less those that were faster."""
    size: int = 0
    """Bytes of the queue."""
    check: asyncio.Task[None] | None = None
    """Finds out whether the store answers again."""

    def __post_init__(self) -> None:
        """Create the queue of writes."""
        self.queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.writers: list[asyncio.Task[None]] = []
        self.writes = "read-only" not in self.address.attributes and not self.memory.full

    async def probe(self) -> str:
        """Return why the store cannot be used; empty if it can."""
        try:
            await self.store.call(self.store.get, PROBE)
        except RefusedError as error:
            return f"refuses ({error})"
        except FAULTS as error:
            return f"does not answer ({_reason(error)})"
        return ""

    async def serve(self, listener: socket.socket) -> None:
        """Serve until `stop`."""
        self.writers = [asyncio.create_task(self._write()) for _ in range(WRITERS)]
        server = await asyncio.start_server(self._client, sock=listener, limit=1 << 18)
        await server.serve_forever()

    def _warn(self, text: str) -> None:
        if not self.warnings:
            self.warnings.append(f"the remote cache {self.address.shown} {text}")

    # What the store is asked

    async def _ask(
        self, operation: Callable[..., Awaitable[bytes | None]], *arguments: object
    ) -> bytes | None:
        """Run an operation; after a fault, find out whether the store still answers.

        Raises:
            RefusedError: the store refuses, or is not asked.
        """
        if not self.answers:
            raise RefusedError("not asked")
        begin = time.monotonic()
        try:
            result = await self.store.call(operation, *arguments)
        except FAULTS as error:
            self.counts.error += 1
            if self.answers:
                self.answers = False
                self.store.abandon()
                self.check = asyncio.create_task(self._check(_reason(error)))
            raise RefusedError("no answer") from error
        self.late = max(0.0, self.late + time.monotonic() - begin - SLOW_SECONDS)
        if self.late > SECONDS:
            self._leave("answers too slowly")
        return result

    async def _check(self, reason: str) -> None:
        """Use the store again if it answers."""
        self.memory.incidents += 1
        if self.memory.incidents >= INCIDENTS:
            self._leave(f"does not answer ({reason})")
        elif fault := await self.probe():
            self._leave(fault)
        else:
            self.answers = True
            self.memory.write()

    def _leave(self, reason: str) -> None:
        """Use the store no longer in this build."""
        self.answers, self.memory.gone = False, True
        self.memory.write()
        self.store.abandon()
        self._warn(f"{reason}; this build goes on without it")

    async def _get(self, name: str) -> bytes | None:
        try:
            stored = await self._ask(self.store.get, name)
        except RefusedError as error:
            if self.answers:
                self.counts.error += 1
                self._leave(f"refuses ({error})")
            stored = None
        if stored is None:
            self.counts.miss += 1
            return None
        self.counts.received += len(stored)
        try:
            value = unseal(self.address.key, name, stored)
        except ValueError:
            self.counts.refused += 1
            self.counts.miss += 1
            return None
        self.counts.hit += 1
        return value

    async def _write(self) -> None:
        while True:
            name, value = await self.queue.get()
            try:
                stored = seal(self.address.key, name, value)
                if not self.writes:
                    raise RefusedError("not asked")  # noqa: TRY301
                await self._ask(self.store.put, name, stored)
                self.counts.sent += len(stored)
            except RefusedError as error:
                self.counts.dropped += 1
                if self.writes and self.answers:
                    self.counts.error += 1
                    self.writes, self.memory.full = False, True
                    self.memory.write()
                    self._warn(f"refuses what this build would write ({error})")
            finally:
                self.size -= len(value)
                self.queue.task_done()

    def _put(self, name: str, value: bytes) -> None:
        if not self.writes or not self.answers:
            return
        if self.size + len(value) > QUEUED:
            self.counts.dropped += 1
            return
        self.size += len(value)
        self.queue.put_nowait((name, value))

    # What the caches ask

    async def _client(self, reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.suppress(*FAULTS):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> bool:
        """Answer a request; return whether another one may follow."""
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = line.split(" ")
        headers = {key.lower(): text.strip() for key, _, text in (x.partition(":") for x in lines)}
        length = int(headers.get("content-length", 0))
        if not 0 <= length <= LARGEST:
            return False
        content = await reader.readexactly(length)
        _, token, name = path.split("/")
        status, result = 404, b""
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            status = 403
        elif method == "STOP":
            writer.write(_response(200, await self._stop()))
            await writer.drain()
            os._exit(0)  # a thread may still wait for the name server
        elif not NAME.fullmatch(name):
            status = 400
        elif method == "PUT":
            self._put(name, content)
            status = 201
        elif method in {"GET", "HEAD"} and (found := await self._get(name)) is not None:
            status, result = 200, found
        head = method == "HEAD"
        writer.write(_response(status, result, head=head))
        await writer.drain()
        return headers.get("connection", "").lower() != "close"

    async def _stop(self) -> bytes:
        """Write what is queued; return the lines to print."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.queue.join(), FLUSH_SECONDS)
        if self.check:
            await self.check
        self.counts.dropped += self.queue.qsize()
        if self.counts.refused:
            self._warn(
                f"has {self.counts.refused} values that were refused: they are damaged, moved, or "
                "sealed with another key"
            )
        lines = [f"#measure {json.dumps({'remote': asdict(self.counts)})}"]
        return "\n".join([*lines, *(f"#warning {text}" for text in self.warnings), ""]).encode()


def _response(status: int, content: bytes, *, head: bool = False) -> bytes:
    start = b"HTTP/1.1 %d -\r\nContent-Length: %d\r\n\r\n" % (status, len(content))
    return start if head else start + content


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"within {SECONDS:g} s"
    if isinstance(error, OSError) and error.strerror and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else "no such host"
    return "no proper answer"


# --- commands -------------------------------------------------------------------


def start(secret: Path, state: Path | None) -> int:
    """Start the proxy in the background, and print its URL if the store can be used."""
    try:
        address = Address.read(secret.read_text())
        store = STORES[address.scheme](address)
    except (OSError, ValueError) as error:
        reason = error if type(error) is ValueError else "it cannot be read"
        sys.stderr.write(f"#warning the address of the remote cache is of no use: {reason}\n")
        return 0
    memory = Memory(state, address.build)
    if memory.gone:
        return 0
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    proxy = Proxy(address, store, memory, os.urandom(16).hex())
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        try:
            asyncio.run(_run(proxy, listener, writing))
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as lines:
        fault = lines.readline().strip()
    if fault == "ready":
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/{proxy.token}")
    elif fault:
        shown = f"the remote cache {address.shown} {fault}"
        sys.stderr.write(f"#warning {shown}; this build goes on without it\n")
    return 0


async def _run(proxy: Proxy, listener: socket.socket, report: int) -> None:
    """Probe the store, tell the parent, and serve."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # the shell waits until its end of them is closed
        os.dup2(nothing, stream)
    fault = await proxy.probe()
    if fault:
        proxy.memory.gone = True
        proxy.memory.write()
    os.write(report, f"{fault or 'ready'}\n".encode())
    os.close(report)
    if fault:
        os._exit(0)
    await proxy.serve(listener)


def stop(url: str) -> int:
    """End the proxy of a URL, and print what it counted and its warnings."""
    parts = urlsplit(url)
    answer = b""
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), SECONDS) as link:
            link.settimeout(FLUSH_SECONDS + 2 * SECONDS)
            link.sendall(f"STOP {parts.path}/stop HTTP/1.1\r\n\r\n".encode())
            while part := link.recv(1 << 16):
                answer += part
    except OSError:
        answer = b""
    _, _, lines = answer.decode(errors="replace").partition("\r\n\r\n")
    sys.stdout.write(lines or "#warning the proxy of the remote cache ended before the step\n")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run a command."""
    if list(arguments) == ["start"]:
        secret = os.environ.get("REMOTE_SECRET") or "/run/secrets/remote-cache"
        cache = os.environ.get("CCACHE_DIR")
        state = os.environ.get("REMOTE_STATE") or (cache and f"{cache}/remote.state")
        return start(Path(secret), Path(state) if state else None)
    if list(arguments) == ["stop"]:
        return stop(os.environ.get("DEPCACHE_REMOTE", ""))
    sys.stderr.write(__doc__ or "")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
