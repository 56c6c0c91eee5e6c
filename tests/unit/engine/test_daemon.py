"""The daemon that is started here: its start, its end and its configuration."""

import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from scripts.core.console import UserError
from scripts.engine import client, daemon
from scripts.engine.client import Engine
from scripts.engine.host import Host
from tests.support.engine import NO_ANSWER, Programs, daemon_outlives_test, host

GIB = 2**30
POLICY_OF_7_GIB = {
    "enabled": True,
    "policy": [
        {"filter": ["type=regular"], "keepStorage": "7GB", "maxUsedSpace": "7GB"},
        {"all": True, "keepStorage": "7GB", "maxUsedSpace": "7GB"},
    ],
}
"""The first rule removes only layers, and the second everything, both up to the limit."""


# Whether to start a daemon


def test_check_data_root_accepts_the_requested_directory(tmp_path: Path) -> None:
    """A running engine is accepted with a link to the requested data root, or without a request."""
    (tmp_path / "link").symlink_to(tmp_path)
    engine = Engine("26.1", "0.13", str(tmp_path / "link"), "overlay2", local=True)
    daemon.check_data_root(engine, tmp_path.resolve())
    daemon.check_data_root(engine, None)


@pytest.mark.parametrize(
    ("local", "started_here", "advice"),
    [(True, True, "-- --stop"), (True, False, "not started here"), (False, False, "another mach")],
)
def test_check_data_root_says_how_to_stop_the_engine(
    *, local: bool, started_here: bool, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice on another data root depends on what started the running engine."""
    monkeypatch.setattr(daemon, "was_started_here", lambda _: started_here)
    data_root = "/elsewhere" if local else "/requested"
    engine = Engine("26.1", "0.13", data_root, "o", local=local)
    with pytest.raises(UserError, match=advice):
        daemon.check_data_root(engine, Path("/requested"))


@pytest.mark.parametrize("socket", ["unix:///var/run/docker.sock", "unix:///run/docker.sock"])
def test_root_on_linux_may_start_a_daemon(socket: str) -> None:
    """Root may start a daemon on any Linux distribution if the client uses the default socket."""
    daemon.check_startable(host(), socket, NO_ANSWER)
    daemon.check_startable(host(ident="fedora"), socket, NO_ANSWER)


@pytest.mark.parametrize(
    ("machine", "endpoint", "advice"),
    [
        (host(), "tcp://10.0.0.9:2375", "DOCKER_HOST"),
        (host("Darwin", root=False), "unix:///run/docker.sock", "Docker Desktop"),
        (host(root=False), "unix:///run/docker.sock", "as root"),
        (host(ident="fedora", root=False), "unix:///run/docker.sock", "your distribution's"),
    ],
)
def test_check_startable_gives_advice_for_the_machine(
    machine: Host, endpoint: str, advice: str
) -> None:
    """Where no daemon can start, the advice fits the machine, with the reason of the client."""
    with pytest.raises(UserError) as caught:
        daemon.check_startable(machine, endpoint, NO_ANSWER)
    assert advice in caught.value.todo
    assert "nothing listens" in caught.value.why


def test_no_daemon_is_started_beside_an_engine_with_a_forbidden_socket() -> None:
    """Beside an engine with a forbidden socket, no daemon starts, and the user needs permission."""
    error = client.no_engine("permission denied while trying to connect")
    with pytest.raises(client.NoEngineError) as caught:
        daemon.check_startable(host(root=False), client.DEFAULT_SOCKETS[0], error)
    assert caught.value is error


# Configuration


@pytest.mark.parametrize(
    ("free", "used", "expected"),
    [(60, 0, 40), (30, 30, 40), (3000, 0, 100), (1, 0, 1)],
)
def test_cache_limit_leaves_free_space(free: int, used: int, expected: int) -> None:
    """The cache limit does not change as the cache fills, and leaves a part of the disk free."""
    assert daemon.cache_limit(free * GIB, used * GIB) == expected


def test_every_builder_has_the_same_policy() -> None:
    """buildkitd.toml states the rules of daemon.json with the option names of BuildKit."""
    docker = daemon.COLLECTION_POLICY
    rules = json.loads(docker.read_text())["builder"]["gc"]
    worker = tomllib.loads(docker.with_name("buildkitd.toml").read_text())["worker"]["oci"]
    names = {"filter": "filters", "keepStorage": "keepBytes"}
    policy = [
        {names.get(name, name): value for name, value in rule.items()} for rule in rules["policy"]
    ]
    for rule in policy:
        if "filters" in rule:
            rule["filters"] = [expression.replace("=", "==") for expression in rule["filters"]]
    assert (worker["gc"], worker["gcpolicy"]) == (rules["enabled"], policy)


@pytest.mark.parametrize(
    ("host_config", "expected"),
    [
        pytest.param({}, {"builder": {"gc": POLICY_OF_7_GIB}}, id="no-daemon.json"),
        pytest.param(
            {"data-root": "/old", "pidfile": "/run/x.pid", "registry-mirrors": ["m"]},
            {"registry-mirrors": ["m"], "builder": {"gc": POLICY_OF_7_GIB}},
            id="settings-of-the-host",
        ),
        pytest.param(
            {"builder": {"entitlements": {}}},
            {"builder": {"entitlements": {}, "gc": POLICY_OF_7_GIB}},
            id="builder-settings-of-the-host",
        ),
        pytest.param(
            {"builder": {"gc": {"enabled": False}}},
            {"builder": {"gc": {"enabled": False}}},
            id="collection-policy-of-the-host",
        ),
    ],
)
def test_daemon_config_includes_the_settings_of_the_host(
    host_config: dict[str, Any], expected: dict[str, Any]
) -> None:
    """A daemon has the host's settings, except for the pid file and the data root."""
    assert daemon.daemon_config(host_config, Path("/d"), 7) == {"data-root": "/d", **expected}


# Pid files


def test_read_pid_recognises_a_reused_pid(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pid file gives a pid only if the process has the daemon's name and arguments."""
    monkeypatch.setattr(daemon, "PROC", sandbox)
    directory = sandbox / "77"
    directory.mkdir()
    (directory / "comm").write_text("dockerd\n")
    (directory / "cmdline").write_bytes(b"dockerd\0--pidfile\0/own\0")
    pid_file = sandbox / "pid"
    pid_file.write_text("77\n")
    assert daemon.read_pid(pid_file, "dockerd", "/own") == 77
    assert daemon.read_pid(pid_file, "containerd") is None
    assert daemon.read_pid(pid_file, "dockerd", "/other") is None
    (directory / "cmdline").write_bytes(b"")  # a zombie
    assert daemon.read_pid(pid_file, "dockerd", "/own") is None
    for text in ("78", "", "nonsense"):
        pid_file.write_text(text)
        assert daemon.read_pid(pid_file, "dockerd") is None
    assert daemon.read_pid(sandbox / "absent", "dockerd") is None


# Start


@daemon_outlives_test
@pytest.mark.usefixtures("docker")
def test_start_ignores_pid_files_of_other_programs() -> None:
    """Pid files whose numbers are now those of other programs do not hinder a daemon's start."""
    daemon.PID_FILE.parent.mkdir()
    daemon.HOST_CONFIG.write_text('{"data-root": "/from/host"}')
    for path in (daemon.PID_FILE, daemon.CONTAINERD_PID_FILE, daemon.HOST_PID_FILE):
        path.write_text(str(os.getpid()))
    assert daemon.start(None).version == "26.1.5+dfsg1"
    assert daemon.daemon_pid() not in (None, os.getpid())
    assert not daemon.CONTAINERD_PID_FILE.exists()
    assert json.loads(daemon.CONFIG.read_text())["data-root"] == "/from/host"


@daemon_outlives_test
@pytest.mark.usefixtures("docker")
def test_start_waits_for_a_daemon_that_is_starting(sandbox: Path, programs: Programs) -> None:
    """A daemon that is starting is waited for, and no second one is started."""
    programs("dockerd", 'sleep 1; touch "$SANDBOX/up"; sleep 30')
    other = subprocess.Popen(["dockerd"])
    daemon.HOST_PID_FILE.write_text(str(other.pid))
    while daemon.read_pid(daemon.HOST_PID_FILE, "dockerd") is None:
        assert other.poll() is None
    try:
        assert daemon.start(None).version == "26.1.5+dfsg1"
        assert not daemon.LOG.exists()
        daemon.stop()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    assert (sandbox / "up").exists()


@pytest.mark.usefixtures("docker")
def test_daemon_that_ends_shows_its_log(programs: Programs) -> None:
    """The error for a daemon that ends has its log without the informational lines."""
    programs("dockerd", "echo level=info chatter; echo failed to start daemon: no iptables; exit 1")
    with pytest.raises(UserError, match="dockerd ended") as caught:
        daemon.start(None)
    assert "failed to start daemon: no iptables" in caught.value.todo
    assert "chatter" not in caught.value.todo


@daemon_outlives_test
@pytest.mark.usefixtures("docker")
def test_daemon_that_does_not_answer_shows_its_log(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for a daemon ends after `TIMEOUT_SECONDS`, with the client's reason and the log."""
    monkeypatch.setattr(daemon, "TIMEOUT_SECONDS", 0.5)
    programs("dockerd", 'echo $$ > "$4"; echo still loading; exec sleep 2')
    with pytest.raises(UserError, match="does not answer") as caught:
        daemon.start(None)
    assert "still loading" in caught.value.todo
    assert "no daemon, after 0.5 seconds" in caught.value.why


@pytest.mark.usefixtures("docker")
def test_invalid_host_config_stops_the_start() -> None:
    """A daemon.json of the host that cannot be read is an error instead of being ignored."""
    daemon.HOST_CONFIG.write_text("{nope")
    with pytest.raises(UserError, match=r"cannot read .*daemon\.json"):
        daemon.start(None)
    assert daemon.daemon_pid() is None


@pytest.mark.usefixtures("docker")
def test_systemd_starts_the_service_of_the_system(sandbox: Path, programs: Programs) -> None:
    """With systemd, its docker service is started, and a failure shows the reason of systemd."""
    machine = host(systemd=True)
    programs("systemctl", 'echo unit "$@"; [ "$1" != start ] || touch "$SANDBOX/up"')
    assert daemon.provide(NO_ANSWER, machine, None).version == "26.1.5+dfsg1"
    assert daemon.daemon_pid() is None
    (sandbox / "up").unlink()
    programs("systemctl", '[ "$1" = cat ] && echo unit && exit; echo masked >&2; exit 1')
    with pytest.raises(UserError, match="masked"):
        daemon.provide(NO_ANSWER, machine, None)


# Stop


@daemon_outlives_test
@pytest.mark.usefixtures("docker")
def test_stop_reports_a_daemon_that_does_not_end(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, sandbox: Path
) -> None:
    """A daemon that ignores SIGTERM is reported with its pid and its log, and is not killed."""
    programs(
        "dockerd",
        'echo $$ > "$4"; echo containers stay; trap "" TERM; touch "$SANDBOX/up"\n'
        'while [ ! -e "$SANDBOX/end" ]; do sleep 0.05; done',
    )
    daemon.start(None)
    pid = daemon.daemon_pid()
    monkeypatch.setattr(daemon, "TIMEOUT_SECONDS", 0.3)
    try:
        with pytest.raises(UserError, match=f"process {pid} still runs after 0.3 sec") as caught:
            daemon.stop()
        assert "containers stay" in caught.value.todo
        assert daemon.daemon_pid() == pid
    finally:
        monkeypatch.setattr(daemon, "TIMEOUT_SECONDS", 5)
        (sandbox / "end").touch()


@pytest.mark.usefixtures("docker")
def test_stop_leaves_a_process_that_is_not_a_daemon() -> None:
    """A process whose pid is in the pid file is not stopped if it is not a daemon."""
    sleeper = subprocess.Popen(["sleep", "30"])
    daemon.PID_FILE.parent.mkdir()
    daemon.PID_FILE.write_text(str(sleeper.pid))
    try:
        daemon.stop()
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()
