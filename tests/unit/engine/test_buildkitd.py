"""Tests of a BuildKit of one's own, with a substitute for the program."""

import os
import sys
from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.console import UserError
from scripts.engine import buildkitd
from scripts.engine.buildkitd import Worker

PROGRAM = f"""#!{sys.executable}
import socket, sys
port = int(sys.argv[sys.argv.index("--addr") + 1].rpartition(":")[2])
with socket.create_server(("127.0.0.1", port)) as listener:
    while True:
        listener.accept()[0].close()
"""


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Put a substitute for buildkitd on PATH; return the commands of the docker client."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "buildkitd").write_text(PROGRAM)
    (tmp_path / "bin" / "buildkitd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    ran: list[tuple[str, ...]] = []

    def run(*command: str, **_: object) -> process.CompletedProcess[str]:
        ran.append(command)
        return process.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(process, "run", run)
    return ran


def test_worker_is_a_builder_while_it_runs(commands: list[tuple[str, ...]], tmp_path: Path) -> None:
    """The builder has the worker's address; in the end both are gone, and the data stays."""
    with buildkitd.worker("mine", tmp_path / "w", '[registry."r"]\n  http = true\n') as worker:
        assert worker.alive
        assert commands[-1][2:4] == ("create", "--name=mine")
        assert commands[-1][-1] == f"tcp://127.0.0.1:{worker.port}"
    assert not worker.alive
    assert commands[-1] == ("docker", "buildx", "rm", "mine")
    assert (tmp_path / "w" / "buildkitd.toml").read_text() == (
        '[registry."r"]\n  http = true\n[worker.oci]\n  gc = false\n'
    )


@pytest.mark.usefixtures("commands")
def test_killed_worker_is_started_at_its_port(tmp_path: Path) -> None:
    """A worker that was killed is started again at the address that the builder has."""
    with buildkitd.worker("mine", tmp_path / "w") as worker:
        port, child = worker.port, worker.child
        assert child
        child.kill()
        child.wait()
        assert not worker.alive
        worker.start()
        assert worker.alive
        assert worker.port == port


def test_prune_passes_its_filters(commands: list[tuple[str, ...]], tmp_path: Path) -> None:
    """Only the records that match are removed, of this builder."""
    Worker("mine", tmp_path).prune("type=regular")
    assert {"--builder=mine", "--filter=type=regular"} <= set(commands[-1])


def test_worker_requires_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without root, the error has the reason."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match="it requires root"):
        Worker("mine", tmp_path).start()
