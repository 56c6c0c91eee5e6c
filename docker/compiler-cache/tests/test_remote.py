"""Tests of remote.py with real stores: Redis, a WebDAV server and an S3 server on loopback."""

import hashlib
import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import tenacity

REMOTE = Path(__file__).parents[1] / "src" / "remote.py"
USER, PASSWORD = "worker", "sesame/open&up"
QUOTED = "sesame%2Fopen%26up"
KEY = "a key that nobody else has"
START_SECONDS = 20
VALUES: Mapping[str, bytes] = {
    "0123abc": b"an object\r\n\0",
    "depcache-0f.1_2": b"",
    "ffff": os.urandom(3 << 20),
}

pytestmark = pytest.mark.timeout(60)


def free_port() -> int:
    """Return a port that nothing uses."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


# --- stores ---------------------------------------------------------------------


class Store:
    """A server that stores values."""

    address = ""
    """The address for remote.py, without attributes."""
    process: subprocess.Popen[bytes]

    def __init__(self, directory: Path) -> None:
        """Start the server with its files in a directory."""
        self.directory = directory
        self.port = free_port()
        self.log = directory / "log"
        directory.mkdir()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait()

    def command(self) -> list[str]:
        """Return the command of the server, after writing its configuration."""
        raise NotImplementedError

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(OSError),
        stop=tenacity.stop_after_delay(START_SECONDS),
        wait=tenacity.wait_fixed(0.05),
        reraise=True,
    )
    def _wait(self) -> None:
        assert self.process.poll() is None, self.log.read_text()
        socket.create_connection(("127.0.0.1", self.port), 1).close()

    def file(self, name: str) -> Path:
        """Return the file of a value."""
        raise NotImplementedError

    def read(self, name: str) -> bytes:
        """Return what is stored under a name."""
        return self.file(name).read_bytes()

    def write(self, name: str, stored: bytes) -> None:
        """Replace what is stored under a name."""
        self.file(name).write_bytes(stored)

    def stop(self) -> None:
        """End the server."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


class Redis(Store):
    """Debian's Redis with a password; its server is a part of redis-tools under another name."""

    def command(self) -> list[str]:
        """Return the command of the server."""
        program = shutil.which("redis-server")
        if not program and (packed := shutil.which("redis-check-rdb")):
            program = str(self.directory / "redis-server")
            Path(program).symlink_to(packed)
        if not program:
            pytest.skip("there is no redis-server, which redis-tools has: see .ci/run")
        rights = "~vmaf:* +get +set +select"
        (self.directory / "redis.conf").write_text(
            f"port {self.port}\nbind 127.0.0.1\nsave ''\nrequirepass root\n"
            f"maxmemory 8mb\nmaxmemory-policy noeviction\n"
            f"user {USER} on >{PASSWORD} {rights}\nuser reader on >{PASSWORD} ~* +get +select\n"
        )
        self.address = f"redis://{USER}:{QUOTED}@127.0.0.1:{self.port}/3"
        return [program, "redis.conf"]

    def ask(self, *words: bytes) -> bytes:
        """Return the answer to a command."""
        with (
            closing(socket.create_connection(("127.0.0.1", self.port), 5)) as link,
            link.makefile("rb") as answers,
        ):
            for command in ((b"AUTH", b"root"), (b"SELECT", b"3"), words):
                parts = (b"$%d\r\n%s\r\n" % (len(word), word) for word in command)
                link.sendall(b"*%d\r\n" % len(command) + b"".join(parts))
                line = answers.readline()
            return answers.read(int(line[1:])) if line.startswith(b"$") else line

    def read(self, name: str) -> bytes:
        """Return what is stored under a name."""
        return self.ask(b"GET", f"vmaf:{name}".encode())

    def write(self, name: str, stored: bytes) -> None:
        """Replace what is stored under a name."""
        assert self.ask(b"SET", f"vmaf:{name}".encode(), stored).startswith(b"+OK")


class WebDav(Store):
    """WsgiDAV with a password."""

    def command(self) -> list[str]:
        """Return the command of the server."""
        if not importlib.util.find_spec("wsgidav"):
            pytest.skip("the Python package wsgidav is not installed")
        (self.directory / "root" / "caches").mkdir(parents=True)
        user = {USER: {"password": PASSWORD}}
        settings = {
            "host": "127.0.0.1",
            "port": self.port,
            "provider_mapping": {"/": str(self.directory / "root")},
            "simple_dc": {"user_mapping": {"*": user}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False},
        }
        (self.directory / "settings.json").write_text(json.dumps(settings))
        self.address = f"http://{USER}:{QUOTED}@127.0.0.1:{self.port}/caches/"
        return [sys.executable, "-m", "wsgidav.server.server_cli", "--config=settings.json"]

    def file(self, name: str) -> Path:
        """Return the file of a value."""
        return self.directory / "root" / "caches" / name


class S3(Store):
    """s3s-fs, which verifies signatures."""

    def command(self) -> list[str]:
        """Return the command of the server."""
        program = shutil.which("s3s-fs", path=f"{os.environ['PATH']}:{Path.home()}/.cargo/bin")
        if not program:
            pytest.skip("there is no s3s-fs; README.md has the command that installs it")
        (self.directory / "root" / "bucket" / "of").mkdir(parents=True)
        endpoint = f"http://127.0.0.1:{self.port}"
        self.address = f"s3://{USER}:{QUOTED}@bucket/of?endpoint={endpoint}"
        options = [f"--access-key={USER}", f"--secret-key={PASSWORD}", f"--port={self.port}"]
        return [program, "--host=127.0.0.1", *options, "root"]

    def file(self, name: str) -> Path:
        """Return the file of a value."""
        return self.directory / "root" / "bucket" / "of" / name


STORES = (Redis, WebDav, S3)


@pytest.fixture(params=STORES, ids=lambda store: store.__name__)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Return each kind of store in turn."""
    yield from running(request.param, tmp_path)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Store]:
    """Return a Redis."""
    yield from running(Redis, tmp_path)


def running(kind: type[Store], tmp_path: Path) -> Iterator[Store]:
    """Yield a store, and end it."""
    made = kind(tmp_path / "store")
    yield made
    made.stop()


# --- the proxy ------------------------------------------------------------------


@dataclass
class Step:
    """A build step that starts remote.py with a secret."""

    directory: Path
    url: str = ""
    started: str = ""
    """What the start printed on standard error."""
    stopped: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the step."""
        return {
            "PATH": os.environ["PATH"],
            "REMOTE_SECRET": str(self.directory / "secret"),
            "CCACHE_DIR": str(self.directory),
            "DEPCACHE_REMOTE": self.url,
        }

    def command(self, verb: str) -> subprocess.CompletedProcess[str]:
        """Run remote.py."""
        return subprocess.run(
            [sys.executable, "-IS", str(REMOTE), verb],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )

    def start(self, secret: str) -> "Step":
        """Start the proxy."""
        (self.directory / "secret").write_text(secret)
        done = self.command("start")
        self.url, self.started = done.stdout.strip(), done.stderr
        return self

    def stop(self) -> dict[str, int]:
        """End the proxy; return what it counted."""
        self.stopped = self.command("stop").stdout
        measured = json.loads(self.stopped.splitlines()[0].removeprefix("#measure "))
        assert list(measured) == ["remote"]
        counts: dict[str, int] = measured["remote"]
        return counts

    @property
    def warnings(self) -> list[str]:
        """The warnings so far."""
        lines = (self.started + self.stopped).splitlines()
        return [line for line in lines if line.startswith("#warning ")]

    def ask(self, method: str, name: str, content: bytes | None = None) -> tuple[int, bytes]:
        """Ask the proxy; return the status and the answer."""
        parts = urlsplit(self.url)
        with closing(http.client.HTTPConnection(parts.netloc, timeout=30)) as link:
            link.request(method, f"{parts.path}/{name}", content)
            answer = link.getresponse()
            return answer.status, answer.read()

    def get(self, name: str) -> bytes | None:
        """Return a value of the remote cache."""
        status, content = self.ask("GET", name)
        assert status in {200, 404}
        return content if status == 200 else None


@pytest.fixture(name="step")
def _step(tmp_path: Path) -> Iterator[Callable[[str], Step]]:
    """Return a function that starts the proxy of a step; they share a local cache."""
    steps: list[Step] = []
    (tmp_path / "ccache").mkdir()

    def start(secret: str) -> Step:
        steps.append(Step(tmp_path / "ccache").start(secret))
        return steps[-1]

    yield start
    for made in steps:
        if made.url and not made.stopped:
            made.stop()


Start = Callable[[str], Step]


def attributes(address: str, added: str) -> str:
    """Return an address with more attributes."""
    return f"{address}{'&' if '?' in address else '?'}{added}"


# --- a store that works -----------------------------------------------------------


def fill(store: Store, start: Start, added: str = "") -> str:
    """Store the values by one step; return the address."""
    address = attributes(store.address, added) if added else store.address
    first = start(address)
    assert first.url, first.started
    for name, value in VALUES.items():
        assert first.get(name) is None
        assert first.ask("PUT", name, value)[0] == 201
    counts = first.stop()
    assert counts["miss"] == len(VALUES)
    assert counts["sent"] > sum(map(len, VALUES.values()))
    assert counts["hit"] == counts["error"] == counts["dropped"] == 0
    assert not first.warnings
    return address


def test_values_are_found_by_another_step(store: Store, step: Start) -> None:
    """What a step stores in Redis, WebDAV or S3, a later step finds, byte for byte."""
    later = step(fill(store, step))
    assert {name: later.get(name) for name in VALUES} == VALUES
    assert later.ask("HEAD", "ffff") == (200, b"")
    counts = later.stop()
    assert counts["hit"] == len(VALUES) + 1
    assert counts["miss"] == counts["error"] == counts["refused"] == counts["sent"] == 0
    assert counts["received"] > len(VALUES["ffff"])


def test_reading_step_writes_nothing(store: Store, step: Start) -> None:
    """With `read-only`, a step finds values and stores none."""
    address = fill(store, step)
    reader = step(attributes(address, "read-only"))
    assert reader.get("0123abc") == VALUES["0123abc"]
    assert reader.ask("PUT", "new", b"x")[0] == 201
    assert reader.stop()["sent"] == 0
    assert step(address).get("new") is None


@pytest.mark.parametrize("password", ["wrong", ""])
def test_wrong_password_leaves_the_store_out(store: Store, step: Start, password: str) -> None:
    """A store that refuses the password is not used, with a warning that repeats no credentials."""
    refused = step(store.address.replace(QUOTED, password))
    assert not refused.url
    (warning,) = refused.warnings
    assert "refuses (" in warning
    assert str(store.port) in warning
    assert USER not in warning
    assert "wrong" not in warning


def spoil(store: Store, kind: str) -> None:
    """Change a stored value."""
    stored = store.read("0123abc")
    if kind == "byte flipped":
        store.write("0123abc", stored[:-1] + bytes([stored[-1] ^ 1]))
    elif kind == "cut":
        store.write("0123abc", stored[:-1])
    elif kind == "moved":
        store.write("0123abc", store.read("depcache-0f.1_2"))
    elif kind == "forged":  # as this program seals without a key
        text = b"0123abc\0malware"
        store.write("0123abc", stored[:14] + hashlib.sha256(text).digest() + b"malware")


@pytest.mark.parametrize("kind", ["byte flipped", "cut", "moved", "forged"])
@pytest.mark.parametrize("added", ["", f"key={KEY.replace(' ', '%20')}"], ids=["plain", "key"])
def test_spoilt_value_is_a_miss(store: Store, step: Start, kind: str, added: str) -> None:
    """A value that is damaged, moved, or made without the key is a miss, and is reported."""
    address = fill(store, step, added)
    spoil(store, kind)
    later = step(address)
    if kind == "forged" and not added:
        assert later.get("0123abc") == b"malware"  # which is why there are keys
        return
    assert later.get("0123abc") is None
    assert later.get("ffff") == VALUES["ffff"]
    counts = later.stop()
    assert (counts["hit"], counts["miss"], counts["refused"]) == (1, 1, 1)
    (warning,) = later.warnings
    assert "1 values that were refused" in warning


def test_another_key_finds_nothing(redis: Store, step: Start) -> None:
    """A step with another key, or without one, uses no value."""
    fill(redis, step, "key=0123456789abcdef")
    for added in ("?key=0123456789abcdeF", ""):
        later = step(redis.address + added)
        assert later.get("0123abc") is None
        assert later.stop()["refused"] == 1


# --- a store with faults ------------------------------------------------------------

BUILD = "\nbuild 0123\n"


@dataclass
class Trap:
    """A server that answers every request with the same bytes, or not at all."""

    answer: bytes
    connections: int = 0

    def __post_init__(self) -> None:
        """Listen on a free port."""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.links: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        try:
            while link.recv(1 << 16):
                link.sendall(self.answer)
        except OSError:
            return

    def close(self) -> None:
        """Close everything."""
        self.listener.close()
        for link in self.links:
            link.close()


@pytest.fixture(name="trap")
def _trap() -> Iterator[Callable[[bytes], Trap]]:
    """Return a function that starts such a server."""
    traps: list[Trap] = []

    def make(answer: bytes) -> Trap:
        traps.append(Trap(answer))
        return traps[-1]

    yield make
    for trap in traps:
        trap.close()


HALF_ANSWER = b"HTTP/1.1 200 x\r\n"
SECRET_ADDRESSES = (
    f"redis://{USER}:{QUOTED}@PLACE",
    f"http://{USER}:{QUOTED}@PLACE/x",
    f"s3://{USER}:{QUOTED}@bucket?endpoint=http://PLACE",
)


@pytest.mark.parametrize("address", SECRET_ADDRESSES, ids=["redis", "http", "s3"])
@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"$99999999999\r\n", b"HTTP/1.1 200 x\r\n"]
)
def test_silent_or_strange_store_is_left_out(
    trap: Callable[[bytes], Trap], step: Start, address: str, answer: bytes
) -> None:
    """A store that accepts and does not answer, or answers nonsense, costs a build one probe."""
    server = trap(answer)
    secret = address.replace("PLACE", server.place) + BUILD
    first = step(secret)
    assert not first.url
    (warning,) = first.warnings
    assert "does not answer" in warning
    assert QUOTED not in warning
    assert USER not in warning
    assert server.connections == 1
    second = step(secret)
    assert not second.url
    assert not second.warnings
    assert server.connections == 1
    assert step(secret.replace("0123", "4567")).warnings, "a later build asks again"
    assert server.connections == 2


def test_refusing_store_is_left_out(step: Start) -> None:
    """A store that refuses connections is not used."""
    first = step(f"redis://127.0.0.1:{free_port()}{BUILD}")
    assert not first.url
    (warning,) = first.warnings
    assert "does not answer (Connection refused)" in warning


def test_unknown_host_is_left_out(step: Start) -> None:
    """A store whose host has no address is not used."""
    first = step("redis://user:hidden@no-such-host.invalid/")
    assert not first.url
    (warning,) = first.warnings
    assert "hidden" not in warning


@pytest.mark.timeout(15)
def test_hung_store_is_asked_no_more(store: Store, step: Start) -> None:
    """A store that hangs in the middle costs two time-outs, and later steps none.

    The lookups here would otherwise take longer than the test may.
    """
    address = fill(store, step) + BUILD
    later = step(address)
    assert later.get("0123abc") == VALUES["0123abc"]
    store.process.send_signal(signal.SIGSTOP)
    assert [later.get(f"a{number}") for number in range(50)] == [None] * 50
    assert later.ask("PUT", "b", b"x")[0] == 201
    counts = later.stop()
    assert counts["miss"] == 50
    (warning,) = later.warnings
    assert "this build goes on without it" in warning
    assert QUOTED not in warning
    assert not step(address).url


def test_store_that_dies_is_asked_no_more(store: Store, step: Start) -> None:
    """A store that dies in the middle leads to misses and one warning."""
    address = fill(store, step) + BUILD
    later = step(address)
    assert later.get("0123abc") == VALUES["0123abc"]
    store.stop()
    assert [later.get(f"a{number}") for number in range(50)] == [None] * 50
    assert later.stop()["miss"] == 50
    assert len(later.warnings) == 1


def test_store_that_closes_idle_connections_is_used(redis: Store, step: Start) -> None:
    """A connection that the store has closed meanwhile is opened again, without an error."""
    assert isinstance(redis, Redis)
    later = step(fill(redis, step))
    for name, value in VALUES.items():
        assert later.get(name) == value
        redis.ask(b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes")
    counts = later.stop()
    assert (counts["hit"], counts["error"]) == (3, 0)
    assert not later.warnings


def test_full_store_is_read_and_not_written(redis: Store, step: Start) -> None:
    """A store that is full is still read; it costs one warning in a build, and no error."""
    secret = fill(redis, step) + BUILD
    later = step(secret)
    for number in range(4):
        later.ask("PUT", f"large{number}", os.urandom(3 << 20))
    later.stop()
    (warning,) = later.warnings
    assert "refuses what this build would write (OOM)" in warning
    last = step(secret)
    assert last.get("0123abc") == VALUES["0123abc"]
    last.ask("PUT", "more", os.urandom(3 << 20))
    assert last.stop()["sent"] == 0
    assert not last.warnings


def test_status_507_is_a_full_store(trap: Callable[[bytes], Trap], step: Start) -> None:
    """Insufficient Storage for a PUT ends the writes."""
    server = trap(b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n")
    writer = step(f"http://{server.place}/")
    server.answer = b"HTTP/1.1 507 x\r\nContent-Length: 0\r\n\r\n"
    writer.ask("PUT", "a", b"x")
    writer.stop()
    (warning,) = writer.warnings
    assert "would write (status 507)" in warning


def test_reader_of_the_store_writes_nothing(redis: Store, step: Start) -> None:
    """Credentials that may only read are enough for hits."""
    address = fill(redis, step)
    reader = step(address.replace(USER, "reader"))
    assert reader.get("ffff") == VALUES["ffff"]
    reader.ask("PUT", "a", b"x")
    assert reader.stop()["sent"] == 0
    assert "(NOPERM)" in reader.warnings[0]


# --- the proxy itself ---------------------------------------------------------------


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "ftp://user:hidden@host/",
        "redis://user:hidden@/",
        "redis://user:hidden@host:port/",
        "redis://user:hidden@host/?hidden=1",
        "redis://user:pass@host/?key=hidden",
    ],
)
def test_unusable_address_is_a_warning(step: Start, secret: str) -> None:
    """An address that cannot be used is a warning that does not repeat it."""
    first = step(secret)
    assert not first.url
    (warning,) = first.warnings
    assert "hidden" not in warning.replace("REMOTE", "")


def test_other_users_of_the_network_are_refused(redis: Store, step: Start) -> None:
    """Without the first part of its path, nobody reads, writes or ends the proxy."""
    later = step(fill(redis, step))
    parts = urlsplit(later.url)
    for method in ("GET", "PUT", "HEAD", "STOP"):
        with closing(http.client.HTTPConnection(parts.netloc, timeout=30)) as link:
            link.request(method, "/0123/0123abc", b"x" if method == "PUT" else None)
            assert link.getresponse().status == 403
    assert later.get("0123abc") == VALUES["0123abc"]


def test_no_process_has_the_address(redis: Store, step: Start) -> None:
    """The address is in no argument and no variable of the proxy, and not in its URL."""
    running = step(f"{redis.address}?key={'k' * 16}")
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            texts = [(process / name).read_bytes() for name in ("cmdline", "environ")]
        except OSError:
            continue  # it has ended
        found += b"remote.py" in texts[0]
        if b"remote.py" in texts[0]:
            assert not any(QUOTED.encode() in text or b"kkkkkkkk" in text for text in texts)
    assert found
    assert "sesame" not in running.url


def test_lost_proxy_is_a_warning(redis: Store, step: Start) -> None:
    """A proxy that has ended before `stop` is a warning."""
    lost = step(redis.address)
    assert lost.command("stop").stdout.startswith("#measure")
    lost.stopped = lost.command("stop").stdout
    assert lost.warnings == ["#warning the proxy of the remote cache ended before the step"]


# Faults in remote.py, and the test that fails for each of them.
MUTANTS = {
    "name is not sealed": ('text = name.encode() + b"\\0" + value', "text = value"),
    "key is not used": ("if key else hashlib", "if False else hashlib"),
    "seal is not checked": (
        "if not hmac.compare_digest(stored[:begin]",
        "if False and (stored[:begin]",
    ),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_planted_fault_is_detected(fault: str) -> None:
    """A remote.py with a planted fault accepts a value that is moved, forged or damaged."""
    text = REMOTE.read_text()
    before, after = MUTANTS[fault]
    assert text.count(before) == 1
    names: dict[str, object] = {"__name__": "mutant"}
    exec(compile(text.replace(before, after), "mutant", "exec"), names)  # noqa: S102
    seal, unseal = names["seal"], names["unseal"]
    assert callable(seal)
    assert callable(unseal)
    with pytest.raises(pytest.fail.Exception):
        check_seals(seal, unseal)


def check_seals(seal: Callable[..., bytes], unseal: Callable[..., bytes]) -> None:
    """Check that only the value itself is accepted."""
    stored = seal(b"key", "name", b"value")
    assert unseal(b"key", "name", stored) == b"value"
    wrong = (
        (b"key", "other", stored),
        (b"", "name", stored),
        (b"key", "name", stored[:-1]),
        (b"key", "name", b""),
    )
    for arguments in wrong:
        with pytest.raises(ValueError, match="refused"):
            unseal(*arguments)
