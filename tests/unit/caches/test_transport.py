"""Tests of scripts/caches/transport.py, with a registry of a few lines."""

import base64
import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from scripts.caches.archive import PROGRAM, Layout
from scripts.caches.transport import Remote
from scripts.core.console import UserError
from tests.unit.caches.test_archive import commit

LOGIN = base64.b64encode(b"user:secret").decode()


class Registry(ThreadingHTTPServer):
    """A registry that keeps blobs and manifests by their paths."""

    stored: dict[str, bytes]
    login: str
    """The credentials that it requires; empty if it requires none."""
    token: str
    """The token that it gives for the credentials, and requires; empty if the credentials do."""


class Handler(BaseHTTPRequestHandler):
    """The requests that a push and a pull make."""

    server: Registry

    def _answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _refused(self) -> bool:
        basic, token = f"Basic {self.server.login}", self.server.token
        is_token = self.path.startswith("/token?")
        expected = f"Bearer {token}" if token and not is_token else basic
        refused = bool(self.server.login) and self.headers.get("Authorization") != expected
        if refused and token and not is_token:
            realm = f'realm="http://127.0.0.1:{self.server.server_port}/token"'
            scope = 'scope="repository:team/caches:pull,push"'
            self._answer(401, WWW_Authenticate=f'Bearer {realm},service="test",{scope}')
        elif refused:
            self._answer(401, WWW_Authenticate='Basic realm="test"')
        return refused

    def do_GET(self) -> None:
        """Return a blob or a manifest, or a token."""
        if self._refused():
            return
        if self.path.startswith("/token?"):
            self._answer(200, json.dumps({"token": self.server.token}).encode())
        else:
            content = self.server.stored.get(self.path)
            self._answer(404 if content is None else 200, content or b"")

    def do_HEAD(self) -> None:
        """Say whether there is a blob."""
        self.do_GET()

    def do_POST(self) -> None:
        """Begin an upload."""
        if not self._refused():
            self._answer(202, Location=self.path.replace("uploads/", "upload"))

    def do_PUT(self) -> None:
        """Store a blob or a manifest."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self._refused():
            return
        before, _, digest = self.path.partition("?digest=")
        path = before.removesuffix("upload") + digest.replace("%3A", ":")
        self.server.stored[path] = content
        if "/manifests/" in path:
            name = path.rpartition("/")[0]
            self.server.stored[f"{name}/sha256:{hashlib.sha256(content).hexdigest()}"] = content
        self._answer(201)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Return a registry, and no credentials of the user."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    server = Registry(("127.0.0.1", 0), Handler)
    server.stored, server.login, server.token = {}, "", ""
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def reference(registry: Registry, tag: str = ":main") -> str:
    """Return a reference in the registry."""
    return f"127.0.0.1:{registry.server_port}/team/caches{tag}"


def test_pulled_archive_equals_the_pushed_one(registry: Registry, tmp_path: Path) -> None:
    """A push and a pull keep the manifest, byte for byte, and all blobs."""
    pushed, pulled = Layout(tmp_path / "a"), Layout(tmp_path / "b")
    blob = commit(pushed, b"one")
    Remote(reference(registry)).push(pushed)
    assert Remote(reference(registry)).pull(pulled)
    assert pulled.manifest_bytes() == pushed.manifest_bytes()
    assert pulled.path(blob.digest).read_bytes() == b"one"
    digest = hashlib.sha256(pushed.manifest_bytes()).hexdigest()
    again = Layout(tmp_path / "c")
    assert Remote(reference(registry, f"@sha256:{digest}")).pull(again)
    assert again.entries() == pushed.entries()


def test_entries_are_read_without_layers(registry: Registry, tmp_path: Path) -> None:
    """The entries are read without the layers, or with some of them; there may be none."""
    pushed = Layout(tmp_path / "a")
    blob = commit(pushed, b"one")
    remote = Remote(reference(registry))
    assert not remote.pull(Layout(tmp_path / "b"), only=())
    remote.push(pushed)
    pulled = Layout(tmp_path / "b")
    assert remote.pull(pulled, only=())
    assert pulled.entries() == pushed.entries()
    assert not pulled.path(blob.digest).exists()
    (title,) = blob.annotations.values()
    for other, expected in ((f"{title}.x", False), (title, True)):
        chosen = Layout(tmp_path / other)
        assert remote.pull(chosen, only=[other])
        assert chosen.path(blob.digest).exists() == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"on", "has 2 bytes"), (b"onE", "another digest"), (b"one more", "more than 3 bytes")],
)
def test_damaged_blobs_are_refused(
    registry: Registry, tmp_path: Path, content: bytes, message: str
) -> None:
    """A blob that a registry truncated, changed or extended is refused."""
    pushed = Layout(tmp_path / "a")
    blob = commit(pushed, b"one")
    remote = Remote(reference(registry))
    remote.push(pushed)
    registry.stored[f"/v2/team/caches/blobs/{blob.digest}"] = content
    with pytest.raises(UserError, match=message):
        remote.pull(Layout(tmp_path / "b"))
    assert not Layout(tmp_path / "b").entries()


def test_other_manifests_are_refused(registry: Registry, tmp_path: Path) -> None:
    """A reference to an image, or a manifest without the requested digest, is refused."""
    pushed = Layout(tmp_path / "a")
    pushed.commit([], [pushed.add_bytes(b"program", PROGRAM)])
    Remote(reference(registry)).push(pushed)
    path = "/v2/team/caches/manifests/"
    wrong = f"@sha256:{'0' * 64}"
    registry.stored[path + wrong[1:]] = pushed.manifest_bytes()
    with pytest.raises(UserError, match="another digest"):
        Remote(reference(registry, wrong)).pull(Layout(tmp_path / "b"))
    image = json.loads(pushed.manifest_bytes())
    image["artifactType"] = "application/vnd.example"
    registry.stored[f"{path}main"] = json.dumps(image).encode()
    with pytest.raises(UserError, match="not an archive of this project"):
        Remote(reference(registry)).pull(Layout(tmp_path / "b"))


@pytest.mark.parametrize("token", ["", "t0ken"], ids=["password", "token"])
def test_credentials_of_docker_login_are_used(
    registry: Registry, token: str, tmp_path: Path
) -> None:
    """A registry that requires credentials gets those of `docker login`; others are refused."""
    registry.login, registry.token = LOGIN, token
    pushed = Layout(tmp_path / "a")
    commit(pushed, b"one")
    (tmp_path / "docker").mkdir()
    for login in (None, base64.b64encode(b"user:wrong").decode(), LOGIN):
        with pytest.raises(UserError, match="cannot write"):
            Remote(reference(registry)).push(pushed)
        assert not registry.stored
        settings = {"auths": {f"127.0.0.1:{registry.server_port}": {"auth": login}}}
        (tmp_path / "docker" / "config.json").write_text(json.dumps(settings if login else {}))
    Remote(reference(registry)).push(pushed)
    assert Remote(reference(registry)).pull(Layout(tmp_path / "b"))


def test_absent_registry_is_an_error(registry: Registry, tmp_path: Path) -> None:
    """A registry that does not answer is an error, without minutes of retries."""
    place = reference(registry)
    registry.server_close()
    with pytest.raises(UserError, match="cannot read"):
        Remote(place).pull(Layout(tmp_path / "b"))
