"""`nox -s engine` as its user runs it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.cli.__main__ import main
from scripts.core.console import UserError
from scripts.engine import client, daemon
from scripts.engine import host as hosts
from tests.support.engine import Calls, daemon_outlives_test, host


@daemon_outlives_test
@pytest.mark.usefixtures("docker")
def test_engine_is_started_described_and_stopped(
    sandbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`nox -s engine` starts a daemon once, uses it the next time, describes it, and stops it."""
    monkeypatch.setattr(hosts, "probe", host)
    arguments = ["--data-root", str(sandbox / "data")]
    assert main(["engine", *arguments]) == 0
    pid = daemon.daemon_pid()
    assert pid is not None
    assert "starting dockerd" in capsys.readouterr().err
    assert json.loads(daemon.CONFIG.read_text())["data-root"] == str(sandbox / "data")
    assert os.getsid(pid) == pid  # detached: Ctrl-C in the terminal does not reach it

    assert main(["engine", *arguments]) == 0
    again = capsys.readouterr().err
    assert "starting" not in again
    assert f"answers, started by `nox -s engine` (pid {pid})" in again
    assert "hint" not in again
    with pytest.raises(UserError, match="--stop"):
        main(["engine", "--data-root", "/elsewhere"])

    started = client.require()
    assert daemon.was_started_here(started)
    assert not daemon.was_started_here(replace(started, local=False))
    assert not daemon.was_started_here(replace(started, data_root="/elsewhere"))

    assert main(["engine", "--status"]) == 0
    status = capsys.readouterr().out
    assert "Docker Engine 26.1.5" in status
    assert f"pid {pid}" in status

    assert main(["engine", "--stop"]) == 0
    assert f"pid {pid}) has stopped" in capsys.readouterr().err
    assert daemon.daemon_pid() is None
    assert not daemon.was_started_here(started)
    assert main(["engine", "--stop"]) == 0
    assert "nothing to stop" in capsys.readouterr().err
    with pytest.raises(client.NoEngineError):
        main(["engine", "--status"])


@pytest.mark.usefixtures("docker")
def test_engine_that_answers_is_used_with_a_hint(
    sandbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine without a collection policy is used with a hint on its garbage collection."""
    (sandbox / "up").touch()
    assert main(["engine"]) == 0
    message = capsys.readouterr().err
    assert "not started here" in message
    assert "hint: by default an engine removes cache mounts" in message
    daemon.HOST_CONFIG.write_text('{"builder": {"gc": {}}}')
    assert main(["engine"]) == 0
    assert "hint: by default" not in capsys.readouterr().err


@pytest.mark.usefixtures("docker")
def test_missing_buildx_is_installed_by_root_on_debian(
    sandbox: Path, apt_calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root on Debian gets a missing buildx beside an engine that answers; others get an error."""
    (sandbox / "up").touch()
    info = json.loads((sandbox / "info.json").read_text())
    del info["ClientInfo"]
    (sandbox / "info.json").write_text(json.dumps(info))
    monkeypatch.setattr(hosts, "probe", host)
    with pytest.raises(UserError, match="no buildx plugin"):  # the script installs nothing
        main(["engine"])
    assert any(call.endswith("download docker-buildx") for call in apt_calls())
    before = len(apt_calls())
    for machine in (host(root=False), host(ident="fedora")):
        monkeypatch.setattr(hosts, "probe", lambda machine=machine: machine)
        with pytest.raises(UserError, match="no buildx plugin"):
            main(["engine"])
    assert len(apt_calls()) == before
