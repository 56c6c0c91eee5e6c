"""The Docker Engine: what is decided, and what is done, with scripts in place of the programs."""

import gc
import json
import os
import platform
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.cli.__main__ import main
from scripts.core.console import UserError
from scripts.engine import client
from scripts.engine.client import Engine, Host

GIB = 2**30
GOOD = Engine("26.1.5+dfsg1", "0.13.1+ds1", "/var/lib/docker", "overlay2", local=True)
SILENT = client.no_engine("nothing listens")

INFO: Mapping[str, Any] = {
    "ServerVersion": "26.1.5+dfsg1",
    "DockerRootDir": "/var/lib/docker",
    "Driver": "overlay2",
    "Name": "node",
    "KernelVersion": "6.1",
    "ClientInfo": {"Plugins": [{"Name": "compose"}, {"Name": "buildx", "Version": "0.13.1+ds1"}]},
}


def host(
    system: str = "Linux",
    ident: str = "debian",
    like: str = "",
    *,
    root: bool = True,
    systemd: bool = False,
) -> Host:
    """Return a machine of this kind, of bookworm's age."""
    release = {"ID": ident, "ID_LIKE": like, "VERSION_CODENAME": "bookworm"}
    return Host(system, root, release, systemd)


# Versions, and what `docker info` says


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
def test_number(version: str, expected: tuple[int, int]) -> None:
    """The first two numbers count, whatever stands around them."""
    assert client.number(version) == expected


def test_info_of_a_local_engine() -> None:
    """Everything comes from one call of `docker info`."""
    assert client.read_info(INFO, "", "node", "6.1") == GOOD


@pytest.mark.parametrize(("node", "kernel"), [("other", "6.1"), ("node", "6.2")])
def test_an_engine_of_another_name_or_kernel_is_elsewhere(node: str, kernel: str) -> None:
    """A socket may be that of a virtual machine, or of the host of this container."""
    assert not client.read_info(INFO, "", node, kernel).local


@pytest.mark.parametrize("plugins", [None, [], [{"Name": "buildx", "Err": "exec format"}]])
def test_info_without_a_working_buildx(plugins: list[Any] | None) -> None:
    """No plugin, and one that does not start, are the same."""
    info = {**INFO, "ClientInfo": {"Plugins": plugins}}
    assert client.read_info(info, "", "node", "6.1").buildx == ""


@pytest.mark.parametrize(
    ("info", "errors", "why"),
    [
        ({"ServerVersion": "", "ServerErrors": ["Cannot connect"]}, "", "Cannot connect"),
        ({"ServerVersion": ""}, "Cannot connect\nmore\n", "Cannot connect"),
        ({}, "Failed to initialize: no context", "Failed to initialize: no context"),
        ({}, "", "the docker client found none"),
    ],
)
def test_silence_keeps_the_reason(info: Mapping[str, Any], errors: str, why: str) -> None:
    """Old clients put it into the JSON, new ones on stderr."""
    with pytest.raises(client.NoEngineError) as caught:
        client.read_info(info, errors, "node", "6.1")
    assert caught.value.why == why
    assert "nox -s engine" in caught.value.todo


def test_a_forbidden_socket_needs_no_second_engine() -> None:
    """One runs there: what lacks is a permission."""
    silence = client.no_engine("permission denied while trying to connect")
    assert "group `docker`" in silence.todo
    with pytest.raises(client.NoEngineError) as caught:
        client.check_startable(host(root=False), client.HOST_SOCKETS[0], silence)
    assert caught.value is silence


def test_good_versions_pass() -> None:
    """The minimum itself is good."""
    client.check(GOOD)
    client.check(Engine("23.0.0", "v0.13.0", "/d", "overlay2", local=False))


@pytest.mark.parametrize(
    ("version", "buildx", "says"),
    [
        ("20.10.24", "0.13.1", "20.10.24"),
        ("22.99.0", "0.13.1", "22.99.0"),
        ("26.1.5", "0.12.1", "0.12.1"),
        ("26.1.5", "", "no buildx plugin"),
    ],
)
def test_bad_versions_name_themselves_and_the_minimum(version: str, buildx: str, says: str) -> None:
    """People see what they have and what they need."""
    with pytest.raises(UserError) as caught:
        client.check(Engine(version, buildx, "/d", "overlay2", local=True))
    assert says in caught.value.why
    assert "Docker Engine 23.0 and buildx 0.13 or newer" in caught.value.todo


def test_free_bytes(tmp_path: Path) -> None:
    """Known for an engine on this machine only."""
    here = Engine("26.1", "0.13", str(tmp_path), "overlay2", local=True)
    assert (client.free_bytes(here) or 0) > 0
    assert client.free_bytes(Engine("26.1", "0.13", str(tmp_path), "o", local=False)) is None
    gone = Engine("26.1", "0.13", str(tmp_path / "gone"), "overlay2", local=True)
    assert client.free_bytes(gone) is None


# Whether to start one


def test_data_root_as_wanted(tmp_path: Path) -> None:
    """By whatever name; and any is fine where none is asked for."""
    (tmp_path / "link").symlink_to(tmp_path)
    answering = Engine("26.1", "0.13", str(tmp_path / "link"), "overlay2", local=True)
    client.check_data_root(answering, tmp_path.resolve(), ours=False)
    client.check_data_root(answering, None, ours=False)


@pytest.mark.parametrize(
    ("local", "ours", "says"),
    [(True, True, "-- --stop"), (True, False, "not started here"), (False, False, "another mach")],
)
def test_data_root_elsewhere(*, local: bool, ours: bool, says: str) -> None:
    """The message says how that engine is stopped."""
    answering = Engine("26.1", "0.13", "/elsewhere" if local else "/wanted", "o", local=local)
    with pytest.raises(UserError, match=says):
        client.check_data_root(answering, Path("/wanted"), ours=ours)


@pytest.mark.parametrize("socket", ["unix:///var/run/docker.sock", "unix:///run/docker.sock"])
def test_startable(socket: str) -> None:
    """Root on any Linux may start a daemon, if its client looks at the usual socket."""
    client.check_startable(host(), socket, SILENT)
    client.check_startable(host(ident="fedora"), socket, SILENT)


@pytest.mark.parametrize(
    ("machine", "endpoint", "says"),
    [
        (host(), "tcp://10.0.0.9:2375", "DOCKER_HOST"),
        (host("Darwin", root=False), "unix:///run/docker.sock", "Docker Desktop"),
        (host(root=False), "unix:///run/docker.sock", "as root"),
        (host(ident="fedora", root=False), "unix:///run/docker.sock", "your distribution's"),
    ],
)
def test_not_startable(machine: Host, endpoint: str, says: str) -> None:
    """The message fits the machine, and keeps the reason of the silence."""
    with pytest.raises(UserError) as caught:
        client.check_startable(machine, endpoint, SILENT)
    assert says in caught.value.todo
    assert "nothing listens" in caught.value.why


@pytest.mark.parametrize(
    ("ident", "like", "expected"),
    [
        ("debian", "", True),
        ("ubuntu", "debian", True),
        ("mint", "ubuntu debian", True),
        ("fedora", "", False),
        ("", "", False),
    ],
)
def test_debian_family(ident: str, like: str, *, expected: bool) -> None:
    """Those with apt."""
    assert host(ident=ident, like=like).debian is expected


# What to install


@pytest.mark.parametrize(
    ("dockerd", "client", "buildx", "expected"),
    [
        ("", "", "", ["docker.io", "docker-cli", "docker-buildx"]),
        ("Docker version 20.10.24", "20.10.24", "", ["docker.io", "docker-cli", "docker-buildx"]),
        ("", "28.2", "0.20", ["docker.io", "docker-cli"]),
        ("Docker version 26.1.5", "", "", ["docker-cli", "docker-buildx"]),
        ("Docker version 26.1.5", "28.2", "", ["docker-buildx"]),
        ("Docker version 26.1.5", "28.2", "0.9", []),
    ],
)
def test_missing(dockerd: str, client: str, buildx: str, expected: list[str]) -> None:
    """A new docker.io never comes without its client."""
    assert client.missing(dockerd, client, buildx) == expected


BOOKWORM = """\
docker.io:
  Installed: (none)
  Candidate: 20.10.24+dfsg1-1+deb12u1+b6
  Version table:
     20.10.24+dfsg1-1+deb12u1+b6 500
docker-buildx:
  Installed: (none)
  Candidate: (none)
  Version table:
"""
TRIXIE = {"docker.io": "26.1.5+dfsg1-9", "docker-cli": "26.1.5", "docker-buildx": "0.13.1+ds1-3"}


def test_candidates() -> None:
    """A package without a candidate cannot be installed."""
    assert client.read_candidates(BOOKWORM) == {"docker.io": "20.10.24+dfsg1-1+deb12u1+b6"}


@pytest.mark.parametrize(
    ("packages", "candidates", "expected"),
    [
        (list(TRIXIE), TRIXIE, True),
        (list(TRIXIE), client.read_candidates(BOOKWORM), False),
        (["docker-cli"], client.read_candidates(BOOKWORM), False),
        (list(TRIXIE), {"docker.io": "27.5.1", "docker-buildx": "0.20.1"}, True),  # Ubuntu
        (list(TRIXIE), {"docker.io": "27.5.1", "docker-buildx": "0.12.1"}, False),
        (["docker-buildx"], {"docker.io": "20.10.24", "docker-buildx": "0.13.1"}, True),
    ],
)
def test_suffices(packages: list[str], candidates: dict[str, str], *, expected: bool) -> None:
    """Every package must be new enough; Ubuntu has the client in docker.io."""
    assert client.suffices(packages, candidates) is expected


STANZAS = """\
# http://old.example.org/debian
Types: deb
URIs: http://deb.example.org/debian http://second.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/one.gpg

Types: deb
URIs: http://security.example.org/debian-security/
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
Enabled: yes
"""
LINES = """\
# deb [signed-by=/old.gpg] http://list.example.org/debian bookworm main
deb [arch=amd64 signed-by=/list.gpg] http://list.example.org/debian bookworm main
deb http://plain.example.org/debian bookworm main
"""


@pytest.mark.parametrize(
    ("text", "uri", "expected"),
    [
        (STANZAS, "http://second.example.org/debian/", "Signed-By: /usr/share/keyrings/one.gpg\n"),
        (
            STANZAS,
            "http://security.example.org/debian-security/",
            "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n",
        ),
        (STANZAS, "http://old.example.org/debian/", ""),
        (LINES, "http://list.example.org/debian/", "Signed-By: /list.gpg\n"),
        (LINES, "http://plain.example.org/debian/", ""),
    ],
)
def test_signed_by(text: str, uri: str, expected: str) -> None:
    """Both formats, keys inside the file, and no key of a commented source."""
    assert client.signed_by(text, uri) == expected


TARGETS = """\
http://deb.example.org/debian/|bookworm|Debian|main|/etc/apt/debian.sources:1
http://contrib.example.org/debian/|bookworm|Debian|contrib|/etc/apt/debian.sources:1
http://deb.example.org/debian/|bookworm|Debian|main|/etc/apt/debian.sources:1
http://deb.example.org/debian/|bookworm-updates|Debian|main|/etc/apt/debian.sources:1
http://plain.example.org/sec/|bookworm-security|Debian|main|/etc/apt/sources.list:2
http://vendor.example.org/apt/|bookworm|Vendor|main|/etc/apt/vendor.list:1
"""


def test_sources_are_the_hosts_own_at_the_newer_suite() -> None:
    """Its mirrors and keys, once each; no foreign archive, no other component."""
    texts = {"/etc/apt/debian.sources": STANZAS, "/etc/apt/sources.list": LINES}
    assert client.sources(TARGETS, "bookworm", texts) == (
        "Types: deb\nURIs: http://deb.example.org/debian/\nSuites: trixie\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/one.gpg\n"
        "\n"
        "Types: deb\nURIs: http://plain.example.org/sec/\nSuites: trixie-security\n"
        "Components: main\n"
    )


def test_no_sources_without_debian() -> None:
    """An archive of another release than the host is none."""
    assert client.sources(TARGETS, "bullseye", {}) == ""


@pytest.mark.parametrize(
    ("simulated", "expected"),
    [
        ("Inst docker.io (26)\nInst libc6 [2.36] (2.41)\n", True),
        ("Remv libc6:amd64 [2.36]\n", True),
        ("Inst libc6-dev [2.36] (2.41)\nConf libc6 (2.36)\n", False),
    ],
)
def test_changes_libc(simulated: str, *, expected: bool) -> None:
    """The library itself, not what is merely named after it."""
    assert client.changes_libc(simulated) is expected


# The daemon's configuration


@pytest.mark.parametrize(
    ("free", "used", "expected"),
    [(60, 0, 40), (30, 30, 40), (3000, 0, 100), (1, 0, 1)],
)
def test_cache_limit(free: int, used: int, expected: int) -> None:
    """The same before and after the cache has filled, and never the whole disk."""
    assert client.cache_limit(free * GIB, used * GIB) == expected


def test_collection_spares_cache_mounts_until_layers_are_gone() -> None:
    """Layers first, by their type; then everything."""
    first, last = client.collection(40)["policy"]
    assert first == {"filter": ["type=regular"], "keepStorage": "40GB"}
    assert last == {"all": True, "keepStorage": "40GB"}


def test_every_builder_is_given_the_same_policy() -> None:
    """BuildKit's own file says in its words what daemon.json says in the engine's."""
    ours = json.loads(client.POLICY.read_text())["builder"]["gc"]
    worker = tomllib.loads(client.POLICY.with_name("buildkitd.toml").read_text())["worker"]["oci"]
    words = {"filter": "filters", "keepStorage": "keepBytes", "all": "all"}
    policy = [{words[name]: value for name, value in rule.items()} for rule in ours["policy"]]
    for rule in policy:
        if "filters" in rule:
            rule["filters"] = [one.replace("=", "==") for one in rule["filters"]]
    assert (worker["gc"], worker["gcpolicy"]) == (ours["enabled"], policy)


def test_daemon_config_alone() -> None:
    """Without a daemon.json of the host."""
    made = client.daemon_config({}, Path("/d"), 40)
    assert made == {"data-root": "/d", "builder": {"gc": client.collection(40)}}


def test_daemon_config_keeps_the_hosts() -> None:
    """Its settings stay, but for what we give ourselves."""
    hosts = {
        "data-root": "/old",
        "pidfile": "/run/x.pid",
        "registry-mirrors": ["m"],
        "builder": {"entitlements": {}},
    }
    made = client.daemon_config(hosts, Path("/d"), 40)
    assert made["registry-mirrors"] == ["m"]
    assert made["data-root"] == "/d"
    assert made["builder"] == {"entitlements": {}, "gc": client.collection(40)}
    assert "pidfile" not in made


def test_daemon_config_leaves_the_hosts_collection() -> None:
    """Whoever sets a policy has it."""
    hosts = {"builder": {"gc": {"enabled": False}}}
    made = client.daemon_config(hosts, Path("/d"), 40)
    assert made["builder"] == {"gc": {"enabled": False}}


# With scripts in place of the programs

Fake = Callable[[str, str], None]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Move every path of the module into a folder, and start with no engine there."""
    for name in ("PID_FILE", "CONFIG", "DAEMON_LOG", "APT_LOG"):
        monkeypatch.setattr(client, name, tmp_path / "state" / getattr(client, name).name)
    monkeypatch.setattr(client, "STATE", tmp_path / "state")
    for name in ("HOST_CONFIG", "HOST_DATA_ROOT", "HOST_PID_FILE", "CONTAINERD_PID_FILE"):
        monkeypatch.setattr(client, name, tmp_path / getattr(client, name).name)
    monkeypatch.setattr(client, "PATIENCE", 5)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fake(place: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put shell scripts first on PATH; `$place` in them is the test's folder."""
    folder = place / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("place", str(place))

    def write(name: str, script: str) -> None:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return write


DOCKER = """
case "$1" in
  info) if [ -e "$place/up" ]; then cat "$place/info.json"; else echo no daemon >&2; exit 1; fi ;;
  context) echo unix:///var/run/docker.sock ;;
  *) echo 28.2.2 ;;
esac
"""
DOCKERD = """
[ "$1" = --version ] && echo Docker version 26.1.5 && exit
if [ -e "$4" ] && kill -0 "$(cat "$4")"; then echo that process is still running; exit 1; fi
echo $$ > "$4"
trap 'rm "$place/up"; exit' TERM
touch "$place/up"
while :; do sleep 0.05; done
"""


@pytest.fixture
def docker(place: Path, fake: Fake) -> Iterator[None]:
    """Provide a docker client and daemon; what still runs afterwards is ended."""
    info = {**INFO, "DockerRootDir": str(place / "data"), "Name": platform.node()}
    info["KernelVersion"] = platform.release()
    (place / "info.json").write_text(json.dumps(info))
    fake("docker", DOCKER)
    fake("dockerd", DOCKERD)
    yield
    client.stop()


# The daemon outlives the Popen that started it: that is its purpose.
outlives = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")


def test_ask_without_a_client(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The most common case on a fresh machine."""
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(client.NoEngineError, match="client is not installed"):
        client.require()


def test_ask_a_client_that_prints_no_json(fake: Fake) -> None:
    """It may be broken, or something else called docker."""
    fake("docker", "echo json; echo broken client >&2")
    with pytest.raises(client.NoEngineError, match="broken client"):
        client.ask()


def test_require_checks_versions(place: Path, fake: Fake) -> None:
    """Other modules need no check of their own."""
    (place / "info.json").write_text(json.dumps({**INFO, "ServerVersion": "20.10.24"}))
    fake("docker", 'cat "$place/info.json"')
    with pytest.raises(UserError, match="too old"):
        client.require()


def test_endpoint(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The context counts; without one the variable, then the usual socket."""
    fake("docker", "echo tcp://context:1")
    assert client.endpoint() == "tcp://context:1"
    fake("docker", "exit 1")
    assert client.endpoint() == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://variable:1")
    assert client.endpoint() == "tcp://variable:1"


def test_live_tells_a_recycled_pid(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name and arguments; a zombie and nonsense are none."""
    monkeypatch.setattr(client, "PROC", place)
    process = place / "77"
    process.mkdir()
    (process / "comm").write_text("dockerd\n")
    (process / "cmdline").write_bytes(b"dockerd\0--pidfile\0/ours\0")
    pid_file = place / "pid"
    pid_file.write_text("77\n")
    assert client.live(pid_file, "dockerd", "/ours") == 77
    assert client.live(pid_file, "containerd") is None
    assert client.live(pid_file, "dockerd", "/other") is None
    (process / "cmdline").write_bytes(b"")  # a zombie
    assert client.live(pid_file, "dockerd", "/ours") is None
    for text in ("78", "", "nonsense"):
        pid_file.write_text(text)
        assert client.live(pid_file, "dockerd") is None
    assert client.live(place / "absent", "dockerd") is None


@outlives
@pytest.mark.usefixtures("docker")
def test_start_again_status_stop(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole life of a daemon."""
    monkeypatch.setattr(client, "probe_host", host)
    words = ["--data-root", str(place / "data")]
    assert main(["engine", *words]) == 0
    pid = client.our_pid()
    assert pid is not None
    assert "starting dockerd" in capsys.readouterr().err
    assert json.loads(client.CONFIG.read_text())["data-root"] == str(place / "data")
    assert os.getsid(pid) == pid  # detached: Ctrl-C at our terminal does not reach it

    assert main(["engine", *words]) == 0
    again = capsys.readouterr().err
    assert "starting" not in again
    assert f"answers, started by `nox -s engine` (pid {pid})" in again
    assert "hint" not in again
    with pytest.raises(UserError, match="--stop"):
        main(["engine", "--data-root", "/elsewhere"])

    started = client.require()
    assert client.is_ours(started)
    assert not client.is_ours(replace(started, local=False))
    assert not client.is_ours(replace(started, data_root="/elsewhere"))

    assert main(["engine", "--status"]) == 0
    status = capsys.readouterr().out
    assert "Docker Engine 26.1.5" in status
    assert f"pid {pid}" in status

    assert main(["engine", "--stop"]) == 0
    assert f"pid {pid}) has stopped" in capsys.readouterr().err
    assert client.our_pid() is None
    assert not client.is_ours(started)
    assert main(["engine", "--stop"]) == 0
    assert "nothing to stop" in capsys.readouterr().err
    with pytest.raises(client.NoEngineError):
        main(["engine", "--status"])


@outlives
@pytest.mark.usefixtures("docker")
def test_start_over_stale_pid_files() -> None:
    """Pids of the past, taken by other programs, hinder nothing."""
    client.STATE.mkdir()
    client.HOST_CONFIG.write_text('{"data-root": "/from/host"}')
    for path in (client.PID_FILE, client.CONTAINERD_PID_FILE, client.HOST_PID_FILE):
        path.write_text(str(os.getpid()))  # recycled: it is pytest's
    assert client.start_daemon(None).version == "26.1.5+dfsg1"
    assert client.our_pid() not in (None, os.getpid())
    assert not client.CONTAINERD_PID_FILE.exists()
    assert json.loads(client.CONFIG.read_text())["data-root"] == "/from/host"


@outlives
@pytest.mark.usefixtures("docker")
def test_start_waits_for_a_daemon_that_is_starting(place: Path, fake: Fake) -> None:
    """It is somebody else's: waited for, not doubled, and not stopped."""
    fake("dockerd", 'sleep 1; touch "$place/up"; sleep 30')
    other = subprocess.Popen(["dockerd"])
    client.HOST_PID_FILE.write_text(str(other.pid))
    while client.live(client.HOST_PID_FILE, "dockerd") is None:
        assert other.poll() is None
    try:
        assert client.start_daemon(None).version == "26.1.5+dfsg1"
        assert not client.DAEMON_LOG.exists()
        assert main(["engine", "--stop"]) == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    assert (place / "up").exists()


@pytest.mark.usefixtures("docker")
def test_a_daemon_that_ends_shows_its_log(fake: Fake) -> None:
    """What matters of it."""
    fake("dockerd", "echo level=info chatter; echo failed to start daemon: no iptables; exit 1")
    with pytest.raises(UserError, match="dockerd ended") as caught:
        client.start_daemon(None)
    assert "failed to start daemon: no iptables" in caught.value.todo
    assert "chatter" not in caught.value.todo


@outlives
@pytest.mark.usefixtures("docker")
def test_a_daemon_that_stays_silent(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience ends, and the log is shown."""
    monkeypatch.setattr(client, "PATIENCE", 0.5)
    fake("dockerd", 'echo $$ > "$4"; echo still loading; exec sleep 2')
    with pytest.raises(UserError, match="does not answer") as caught:
        client.start_daemon(None)
    assert "still loading" in caught.value.todo
    assert "no daemon, after" in caught.value.why
    del caught  # its frames hold the Popen, which shall warn in this test
    gc.collect()


@pytest.mark.usefixtures("docker")
def test_a_broken_host_config_stops_the_start() -> None:
    """It is not silently dropped."""
    client.HOST_CONFIG.write_text("{nope")
    with pytest.raises(UserError, match=r"cannot read .*daemon\.json"):
        client.start_daemon(None)
    assert client.our_pid() is None


@pytest.mark.usefixtures("docker")
def test_stop_spares_a_process_that_is_not_ours() -> None:
    """A pid in our file does not make it so."""
    sleeper = subprocess.Popen(["sleep", "30"])
    client.STATE.mkdir()
    client.PID_FILE.write_text(str(sleeper.pid))
    try:
        assert main(["engine", "--stop"]) == 0
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.usefixtures("docker")
def test_a_foreign_engine_is_used_with_a_hint(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless the host has a policy of its own."""
    (place / "up").touch()
    assert main(["engine"]) == 0
    said = capsys.readouterr().err
    assert "not started here" in said
    assert "hint" in said
    client.HOST_CONFIG.write_text('{"builder": {"gc": {}}}')
    assert main(["engine"]) == 0
    assert "hint" not in capsys.readouterr().err


APT_GET = """
echo "$@" >> "$place/calls"
case "$*" in
  *indextargets*) cat "$place/targets" ;;
  *--simulate*) [ ! -e "$place/libc" ] || echo "Inst libc6 [2.36] (2.41)" ;;
  *" download "*) touch docker.io_26.deb docker-buildx_0.13.deb; cp suite.sources "$place" ;;
  *" install "*) echo words of apt; [ ! -e "$place/broken" ] || exit 100 ;;
esac
"""


@pytest.fixture
def calls(place: Path, fake: Fake) -> Callable[[], list[str]]:
    """Provide bookworm's apt; returns a function that returns its calls so far."""
    (place / "debian.sources").write_text(STANZAS)
    (place / "targets").write_text(TARGETS.replace("/etc/apt", str(place)))
    (place / "sources.list").write_text(LINES)
    (place / "vendor.list").touch()
    (place / "policy").write_text(BOOKWORM)
    fake("apt-get", APT_GET)
    fake("apt-cache", 'cat "$place/policy"')
    return lambda: (place / "calls").read_text().splitlines()


def test_install_of_a_newer_suite(place: Path, calls: Callable[[], list[str]]) -> None:
    """Fetched by an apt of its own, installed once by the host's."""
    client.install(["docker.io", "docker-buildx"], host())
    assert "trixie-security" in (place / "suite.sources").read_text()
    update, _, own, download, simulate, install = calls()
    assert update.endswith("update")
    assert "Dir::State::Lists" not in update
    assert "Dir::State::Lists=" in own
    assert "Dir::Etc::SourceParts=/dev/null" in own
    assert "APT::Default-Release= " in own
    assert download.endswith("download docker.io docker-buildx")
    assert "--simulate" in simulate
    assert "Dir::" not in install
    assert "--no-install-recommends --no-remove" in install
    assert "./docker.io_26.deb" in install
    assert install.endswith("ca-certificates git mmdebstrap")


def test_install_never_replaces_the_c_library(place: Path, calls: Callable[[], list[str]]) -> None:
    """The simulation is the last call."""
    (place / "libc").touch()
    with pytest.raises(UserError, match="C library"):
        client.install(["docker.io", "docker-buildx"], host())
    assert "--simulate" in calls()[-1]


def test_install_from_the_hosts_own_archive(place: Path, calls: Callable[[], list[str]]) -> None:
    """Where it is new enough, plain apt it is."""
    policy = [f"{name}:\n  Installed: (none)\n  Candidate: {v}\n" for name, v in TRIXIE.items()]
    (place / "policy").write_text("".join(policy))
    client.install(["docker-buildx"], host())
    update, install = calls()
    assert update.endswith("update")
    assert install.endswith("install --no-install-recommends --no-remove docker-buildx")


def test_install_leaves_out_a_package_that_does_not_exist(
    place: Path, calls: Callable[[], list[str]]
) -> None:
    """As docker-cli on Ubuntu."""
    ubuntu = {"docker.io": "27.5.1", "docker-cli": "(none)", "docker-buildx": "0.20"}
    policy = [f"{name}:\n  Installed: (none)\n  Candidate: {v}\n" for name, v in ubuntu.items()]
    (place / "policy").write_text("".join(policy))
    client.install(list(ubuntu), host(ident="ubuntu", like="debian"))
    assert calls()[-1].endswith("docker.io docker-buildx ca-certificates git mmdebstrap")


def test_install_shows_the_end_of_apts_log(place: Path, calls: Callable[[], list[str]]) -> None:
    """The error carries what apt said."""
    (place / "broken").touch()
    with pytest.raises(UserError, match="`apt-get install` failed") as caught:
        client.install(["docker.io"], host())
    assert "words of apt" in caught.value.todo
    assert len(calls()) == 6


def test_install_elsewhere(calls: Callable[[], list[str]]) -> None:
    """Refused without a change to the system."""
    with pytest.raises(UserError, match="no Debian"):
        client.install(["docker.io"], host(ident="fedora"))
    with pytest.raises(UserError, match=r"too old \(docker.io 20.10.24"):
        client.install(["docker.io"], host(ident="ubuntu", like="debian"))
    assert len(calls()) == 1


def test_install_without_a_source_of_debian(place: Path, calls: Callable[[], list[str]]) -> None:
    """No archive is made up."""
    (place / "targets").write_text("")
    with pytest.raises(UserError, match="no source of Debian"):
        client.install(["docker.io"], host())
    assert "indextargets" in calls()[-1]


@pytest.mark.usefixtures("docker")
def test_buildx_alone_is_installed(place: Path, calls: Callable[[], list[str]]) -> None:
    """For root on Debian; for others the message says what to do."""
    (place / "up").touch()
    bare = json.loads((place / "info.json").read_text())
    del bare["ClientInfo"]
    (place / "info.json").write_text(json.dumps(bare))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "probe_host", host)
        with pytest.raises(UserError, match="no buildx plugin"):  # the script installs nothing
            main(["engine"])
        assert any(call.endswith("download docker-buildx") for call in calls())
        before = len(calls())
        for machine in (host(root=False), host(ident="fedora")):
            patch.setattr(client, "probe_host", lambda machine=machine: machine)
            with pytest.raises(UserError, match="no buildx plugin"):
                main(["engine"])
        assert len(calls()) == before


def test_compose_is_installed_where_it_is_missing(
    fake: Fake, calls: Callable[[], list[str]], capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    """For root on Debian; where it cannot be had, that is said and no more."""
    fake("docker", "echo 2.26.1")
    client.provide_compose(host())
    fake("docker", "exit 1")
    for machine in (host(root=False), host(ident="ubuntu", like="debian")):
        client.provide_compose(machine)
    assert not (place / "calls").exists()
    client.provide_compose(host())
    assert any(call.endswith("download docker-compose") for call in calls())
    (place / "libc").touch()
    client.provide_compose(host())
    assert "hint: no compose plugin" in capsys.readouterr().err


@pytest.mark.usefixtures("docker")
def test_systemd_starts_its_own_service(place: Path, fake: Fake) -> None:
    """And says why it does not."""
    machine = host(systemd=True)
    fake("systemctl", 'echo unit "$@"; [ "$1" != start ] || touch "$place/up"')
    assert client.provide(SILENT, machine, None).version == "26.1.5+dfsg1"
    assert client.our_pid() is None
    (place / "up").unlink()
    fake("systemctl", '[ "$1" = cat ] && echo unit && exit; echo masked >&2; exit 1')
    with pytest.raises(UserError, match="masked"):
        client.provide(SILENT, machine, None)
