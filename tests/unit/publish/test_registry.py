"""A repository in a registry, with a regctl that fails."""

from pathlib import Path

import pytest

from scripts.core import loopback
from scripts.core.console import UserError
from scripts.publish.registry import RegistryError, Repository, speaks_http


def regctl(directory: Path, script: str) -> Path:
    """Return a program in the place of regctl."""
    program = directory / "regctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("name", ["vmaf", "host/VMAF", "host/vmaf:tag", "host/", "a host/vmaf"])
def test_name_of_a_repository_has_a_host_and_no_tag(name: str) -> None:
    """A name without a host, in capitals or with a tag is refused, before anything is done."""
    with pytest.raises(UserError, match="is not HOST/NAME"):
        Repository(name, Path("regctl"))
    assert Repository("host:5000/team/vmaf", Path("regctl")).host == "host:5000"


@pytest.mark.parametrize(
    ("printed", "todo"),
    [
        ("request failed: unauthorized [http 401]", "docker login example.org"),
        ("denied: requested access [http 403]", "an account that may write"),
        ("dial tcp: connect: connection refused", "that the registry runs"),
        ("tls: failed to verify certificate: x509: unknown authority", "SSL_CERT_FILE"),
        ("request failed: [http 503]", "has a fault"),
        ("manifest unknown: not found [http 404]", "that the image is published"),
        ("", "that the registry runs"),
    ],
)
def test_errors_say_what_to_do(tmp_path: Path, printed: str, todo: str) -> None:
    """What to do next depends on what the registry answered."""
    program = regctl(tmp_path, f"echo '{printed}' >&2; exit 1")
    with pytest.raises(RegistryError) as error:
        Repository("example.org/vmaf", program).digest("cpu")
    assert todo in error.value.todo
    assert error.value.what == "cannot read example.org/vmaf:cpu"
    assert printed in error.value.why


def test_new_repository_has_no_tags(tmp_path: Path) -> None:
    """A repository that does not exist yet has no tags; other errors are errors."""
    absent = regctl(tmp_path, "echo 'failed: not found [http 404]' >&2; exit 1")
    assert Repository("example.org/vmaf", absent).tags() == set()
    refused = regctl(tmp_path, "echo 'failed: unauthorized [http 401]' >&2; exit 1")
    with pytest.raises(RegistryError):
        Repository("example.org/vmaf", refused).tags()


def test_settings_of_regctl_itself_are_not_read(tmp_path: Path) -> None:
    """Credentials are only those of Docker: regctl's own file is one that does not exist."""
    program = regctl(tmp_path, 'test ! -e "$REGCTL_CONFIG" && echo "$REGCTL_CONFIG"')
    first = Repository("example.org/vmaf", program).tags()
    assert first != Repository("example.org/vmaf", program).tags()


def test_only_loopback_may_speak_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS is used for all hosts that are not this machine, whatever they speak."""
    monkeypatch.setattr("scripts.publish.registry.speaks_http", lambda _: True)
    program = regctl(tmp_path, 'echo "$@"')
    local = Repository("127.0.0.1:5000/vmaf", program)
    assert "reg=127.0.0.1:5000,tls=disabled" in local.tags()
    assert not any("tls" in word for word in Repository("10.0.0.1/vmaf", program).tags())


def test_closed_port_speaks_nothing() -> None:
    """A port without a server does not speak HTTP."""
    assert not speaks_http(f"127.0.0.1:{loopback.free_port()}")
