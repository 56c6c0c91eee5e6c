"""Queries of the engine: its version, its address, and errors that say what to do."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.core import process
from scripts.core.console import UserError
from scripts.engine import client
from scripts.engine.client import Engine
from tests.support.engine import ENGINE, INFO, Programs


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("26.1.5+dfsg1-9+deb13u1", (26, 1)),
        ("v0.13.1-desktop.2", (0, 13)),
        ("5:27.3.1-1~debian", (27, 3)),
        ("github.com/docker/buildx 0.9.1 abc", (0, 9)),
        ("dev", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_major_minor_reads_the_first_two_numbers(version: str, expected: tuple[int, int]) -> None:
    """The first two numbers of a version count, whatever text surrounds them."""
    assert client.major_minor(version) == expected


def test_read_info_of_a_local_engine() -> None:
    """One call of `docker info` describes the engine completely."""
    assert client.read_info(INFO, "", "node", "6.1") == ENGINE


@pytest.mark.parametrize(("node", "kernel"), [("other", "6.1"), ("node", "6.2")])
def test_engine_with_another_name_or_kernel_is_not_local(node: str, kernel: str) -> None:
    """An engine with another host name or kernel is not local, such as in a virtual machine."""
    assert not client.read_info(INFO, "", node, kernel).local


@pytest.mark.parametrize("plugins", [None, [], [{"Name": "buildx", "Err": "exec format"}]])
def test_read_info_without_a_working_buildx(plugins: list[Any] | None) -> None:
    """A buildx plugin that does not start counts as missing."""
    info = {**INFO, "ClientInfo": {"Plugins": plugins}}
    assert client.read_info(info, "", "node", "6.1").buildx == ""


@pytest.mark.parametrize(
    ("info", "errors", "why"),
    [
        ({"ServerVersion": "", "ServerErrors": ["Cannot connect"]}, "", "Cannot connect"),
        ({"ServerVersion": ""}, "Cannot connect\nmore\n", "Cannot connect"),
        ({}, "Failed to initialize: no context", "Failed to initialize: no context"),
        ({}, "", "`docker info` printed no reason"),
    ],
)
def test_engine_that_does_not_answer_gives_the_reason(
    info: Mapping[str, Any], errors: str, why: str
) -> None:
    """The error without an engine has the reason of the client, from its JSON or from stderr."""
    with pytest.raises(client.NoEngineError) as caught:
        client.read_info(info, errors, "node", "6.1")
    assert caught.value.why == why
    assert "nox -s engine" in caught.value.todo


def test_forbidden_socket_asks_for_permission() -> None:
    """The error for a forbidden socket asks for its group, and not for a second engine."""
    error = client.no_engine("permission denied while trying to connect")
    assert "group `docker`" in error.todo
    assert "nox -s engine" not in error.todo


def test_check_accepts_the_minimum_versions() -> None:
    """The oldest supported versions of Docker and buildx are accepted, and newer ones too."""
    client.check(ENGINE)
    client.check(Engine("23.0.0", "v0.13.0", "/d", "overlay2", local=False))


@pytest.mark.parametrize(
    ("version", "buildx", "reason"),
    [
        ("20.10.24", "0.13.1", "20.10.24"),
        ("22.99.0", "0.13.1", "22.99.0"),
        ("26.1.5", "0.12.1", "0.12.1"),
        ("26.1.5", "", "no buildx plugin"),
    ],
)
def test_check_names_the_version_and_the_minimum(version: str, buildx: str, reason: str) -> None:
    """The error for an old engine or buildx gives its version and the minimum."""
    with pytest.raises(UserError) as caught:
        client.check(Engine(version, buildx, "/d", "overlay2", local=True))
    assert reason in caught.value.why
    assert "Docker Engine 23.0 and buildx 0.13 or newer" in caught.value.todo


def test_free_bytes_are_known_for_a_local_engine(tmp_path: Path) -> None:
    """The engine's free space is known, unless it is on another machine or has no directory."""
    here = Engine("26.1", "0.13", str(tmp_path), "overlay2", local=True)
    assert (client.free_bytes(here) or 0) > 0
    assert client.free_bytes(Engine("26.1", "0.13", str(tmp_path), "o", local=False)) is None
    gone = Engine("26.1", "0.13", str(tmp_path / "gone"), "overlay2", local=True)
    assert client.free_bytes(gone) is None


def test_query_without_a_client(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a docker client, the error says that the client is not installed."""
    # Without the directories that process.environment adds, where docker may be.
    monkeypatch.setattr(process, "environment", lambda: {"PATH": str(sandbox)})
    with pytest.raises(client.NoEngineError, match="client is not installed"):
        client.require()


def test_query_of_a_client_that_prints_no_json(programs: Programs) -> None:
    """A docker client that prints no JSON gives its own message as the reason."""
    programs("docker", "echo json; echo broken client >&2")
    with pytest.raises(client.NoEngineError, match="broken client"):
        client.query()


def test_query_of_a_client_that_hangs(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A docker client that waits for an unreachable engine is killed with an error."""
    monkeypatch.setattr(client, "QUERY_SECONDS", 0.2)
    programs("docker", "exec sleep 30")
    with pytest.raises(client.NoEngineError, match=r"`docker info` took longer than 0\.2 seconds"):
        client.query()


def test_require_checks_the_versions(sandbox: Path, programs: Programs) -> None:
    """A required engine has a supported version, or the error says that it is too old."""
    (sandbox / "info.json").write_text(json.dumps({**INFO, "ServerVersion": "20.10.24"}))
    programs("docker", 'cat "$SANDBOX/info.json"')
    with pytest.raises(UserError, match="too old"):
        client.require()


def test_endpoint_is_read_from_the_context(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's address comes from DOCKER_HOST, else from the context, else is the default."""
    programs("docker", "echo tcp://context:1")
    assert client.endpoint() == "tcp://context:1"
    programs("docker", "exit 1")
    assert client.endpoint() == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://variable:1")
    assert client.endpoint() == "tcp://variable:1"
