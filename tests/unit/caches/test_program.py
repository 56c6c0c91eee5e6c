"""Tests of scripts/caches/program.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.caches import program, toolchain
from scripts.caches.archive import PROGRAM, Layout, digest_of
from scripts.caches.mounts import DeclaredMount
from scripts.caches.program import Mount, Stream, StreamError
from scripts.core.console import UserError
from scripts.dockerfile import parser

PLATFORMS = "Platforms:        linux/amd64, linux/amd64/v2, linux/386\n"
GO_MODULES = Mount(DeclaredMount("vmaf-gomod", parser.Mount({"target": "/go"})), "vmaf-gomod", "n")


@pytest.mark.parametrize(
    ("driver", "endpoint", "host", "address"),
    [
        ("docker", "default", "unix:///run/docker.sock", "docker+unix:///run/docker.sock"),
        ("docker", "far", "ssh://host", "buildx://b"),
        ("docker", "far", "tcp://host:2376", "buildx://b"),
        ("remote", "unix:///run/b.sock", "", "unix:///run/b.sock"),
        ("remote", "tcp://host:1234", "", "buildx://b"),
        ("docker-container", "unix:///var/run/docker.sock", "", "buildx://b"),
        ("kubernetes", "kubernetes:///b", "", "buildx://b"),
    ],
)
def test_builders_are_reached(driver: str, endpoint: str, host: str, address: str) -> None:
    """A local socket is used directly, any other builder through buildx."""
    inspected = f"Name:   b\nDriver:  {driver}\n\nNodes:\nName: b0\nEndpoint: {endpoint}\n"
    found = program.read_builder(inspected + PLATFORMS, lambda _: host)
    assert found == program.Builder(address, "amd64")


def test_stopped_builder_is_refused() -> None:
    """A builder without platforms does not answer."""
    with pytest.raises(UserError, match="does not answer"):
        program.read_builder("Name:   b\nDriver:  remote\nEndpoint: tcp://x\n", str)


def test_mounts_have_the_keys_of_the_frontend() -> None:
    """A mount with an owner or a mode has a base, with the defaults of the frontend."""
    assert not GO_MODULES.key["owned"]
    assert GO_MODULES.key["directory"] == "/go"
    options = {"target": "/ccache", "uid": "1000"}
    key = Mount(DeclaredMount("x", parser.Mount(options)), "x").key
    assert (key["owned"], key["uid"], key["gid"], key["mode"]) == (True, 1000, 0, 0o755)
    key = Mount(DeclaredMount("x", parser.Mount({"mode": "0700"})), "x").key
    assert (key["owned"], key["mode"]) == (True, 0o700)


@pytest.fixture
def pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the program whose digest is pinned; a build gives another one."""
    pinned, built = tmp_path / "pinned", tmp_path / "built"
    pinned.write_bytes(b"pinned")
    built.mkdir()
    (built / "cache-stream").write_bytes(b"built here")
    digest = digest_of(pinned).removeprefix("sha256:")
    (tmp_path / "program.sha256").write_text(f"0  arm64\n{digest}  amd64\n")
    monkeypatch.setattr(program, "PIN", tmp_path / "program.sha256")
    monkeypatch.setattr(program, "ROOT", tmp_path)
    monkeypatch.setattr(program, "FILE", tmp_path / "tools" / "cache-stream")

    @contextmanager
    def export(*_: str) -> Iterator[Path]:
        yield built

    monkeypatch.setattr(toolchain, "export", export)
    return pinned


def archive(directory: Path, content: bytes) -> Layout:
    """Return an archive that has a program."""
    layout = Layout(directory)
    layout.commit([], [layout.add_bytes(content, PROGRAM)])
    return layout


def test_pinned_program_is_taken_from_an_archive(pin: Path, tmp_path: Path) -> None:
    """The program of an archive is run if it has the pinned digest, without a build."""
    found = program.find("amd64", archive(tmp_path / "archive", pin.read_bytes()))
    assert found.read_bytes() == pin.read_bytes()
    assert found.stat().st_mode & 0o111
    assert program.find("amd64").read_bytes() == pin.read_bytes()


@pytest.mark.usefixtures("pin")
def test_other_programs_are_not_run(tmp_path: Path) -> None:
    """A program with another digest is never run: neither of an archive, nor an older one."""
    program.FILE.parent.mkdir()
    program.FILE.write_bytes(b"planted")
    found = program.find("amd64", archive(tmp_path / "archive", b"also planted"))
    assert found.read_bytes() == b"built here"


def test_damaged_program_is_refused(pin: Path, tmp_path: Path) -> None:
    """A damaged blob with the pinned digest in its name is refused."""
    layout = archive(tmp_path / "archive", pin.read_bytes())
    layout.path(digest_of(pin)).write_bytes(b"pinnEd")
    with pytest.raises(UserError, match="another digest"):
        program.find("amd64", layout)


def script(directory: Path, text: str) -> Stream:
    """Return a shell script in the place of the program."""
    path = directory / "cache-stream"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return Stream(path, program.Builder("unix:///x", "amd64"))


def test_messages_are_passed_on(tmp_path: Path) -> None:
    """The last message is the result; those before are progress."""
    stream = script(
        tmp_path,
        """echo '{"event": "progress", "files": 2}' >&2
        echo '{"event": "done", "files": 3, "digest": "d"}' >&2""",
    )
    seen: list[int] = []
    stream.progress = lambda message: seen.append(message.files)
    assert (stream.run(GO_MODULES, {}).digest, seen) == ("d", [2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("""echo '{"event": "failed", "error": "e", "reason": "r"}' >&2; exit 1""", "e"),
        ("echo panic >&2; exit 2", "panic"),
        ("""echo '{"event": "started"}' >&2""", ""),
        ("exit 1", "the program printed nothing"),
    ],
)
def test_failures_are_errors(tmp_path: Path, text: str, message: str) -> None:
    """A failure is an error even if the program says nothing, or ends without a result."""
    with pytest.raises(StreamError) as raised:
        script(tmp_path, text).run(GO_MODULES, {})
    assert str(raised.value) == message


def test_results_are_lines_of_json(tmp_path: Path) -> None:
    """The results of ls are read; a failure after them is an error."""
    stream = script(tmp_path, """echo '{"name": "a"}'; echo '{"event": "done"}' >&2""")
    assert stream.lines(GO_MODULES, {}) == [{"name": "a"}]
    failing = script(tmp_path, """echo '{"event": "failed", "error": "e"}' >&2; exit 1""")
    with pytest.raises(StreamError, match="e"):
        failing.lines(GO_MODULES, {})
    with pytest.raises(StreamError, match="e"):
        failing.copy(GO_MODULES, {})
