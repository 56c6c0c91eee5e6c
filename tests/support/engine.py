"""Fixtures for tests of the engine, in which shell scripts replace docker, dockerd and apt."""

import gc
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.engine import client, daemon, debian
from scripts.engine.client import Engine
from scripts.engine.host import Host

ENGINE = Engine("26.1.5+dfsg1", "0.13.1+ds1", "/var/lib/docker", "overlay2", local=True)
NO_ANSWER = client.no_engine("nothing listens")
INFO: Mapping[str, Any] = {
    "ServerVersion": "26.1.5+dfsg1",
    "DockerRootDir": "/var/lib/docker",
    "Driver": "overlay2",
    "Name": "node",
    "KernelVersion": "6.1",
    "ClientInfo": {"Plugins": [{"Name": "compose"}, {"Name": "buildx", "Version": "0.13.1+ds1"}]},
}
"""The output of `docker info` for `ENGINE`."""

Programs = Callable[[str, str], None]
"""A function that writes a shell script to replace the program with that name."""
Calls = Callable[[], list[str]]
"""A function that returns the command lines of apt-get so far."""


def host(
    system: str = "Linux",
    ident: str = "debian",
    like: str = "",
    *,
    root: bool = True,
    systemd: bool = False,
) -> Host:
    """Return a host: by default Debian bookworm without systemd, with root permissions."""
    release = {"ID": ident, "ID_LIKE": like, "VERSION_CODENAME": "bookworm"}
    return Host(system, root, release, systemd)


DOCKER = """
case "$1" in
  info) if [ -e "$SANDBOX/up" ]; then cat "$SANDBOX/info.json"; else
      echo no daemon >&2; exit 1; fi ;;
  context) echo unix:///var/run/docker.sock ;;
  *) echo 28.2.2 ;;
esac
"""
"""The docker client. If the file `up` exists, `docker info` prints `info.json`."""
DOCKERD = """
[ "$1" = --version ] && echo Docker version 26.1.5 && exit
if [ -e "$4" ] && kill -0 "$(cat "$4")"; then echo that process is still running; exit 1; fi
echo $$ > "$4"
trap 'rm "$SANDBOX/up"; exit' TERM
touch "$SANDBOX/up"
while :; do sleep 0.05; done
"""
"""The daemon. It runs until SIGTERM, and does not start if its pid file names a process."""
APT_GET = """
echo "$@" >> "$SANDBOX/calls"
case "$*" in
  *indextargets*) cat "$SANDBOX/targets" ;;
  *--simulate*) [ ! -e "$SANDBOX/libc" ] || echo "Inst libc6 [2.36] (2.41)" ;;
  *" download "*) touch docker.io_26.deb docker-buildx_0.13.deb; cp suite.sources "$SANDBOX" ;;
  *" install "*) echo output of apt; [ ! -e "$SANDBOX/broken" ] || exit 100 ;;
esac
"""
"""apt-get. If the file `libc` exists, it replaces the C library; if `broken` exists, it fails."""

BOOKWORM_POLICY = """\
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
"""The output of `apt-cache policy` on bookworm."""
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
"""A .sources file."""
LINES = """\
# deb [signed-by=/old.gpg] http://list.example.org/debian bookworm main
deb [arch=amd64 signed-by=/list.gpg] http://list.example.org/debian bookworm main
deb http://plain.example.org/debian bookworm main
"""
"""A .list file."""
TARGETS = """\
http://deb.example.org/debian/|bookworm|Debian|main|/etc/apt/debian.sources:1
http://contrib.example.org/debian/|bookworm|Debian|contrib|/etc/apt/debian.sources:1
http://deb.example.org/debian/|bookworm|Debian|main|/etc/apt/debian.sources:1
http://deb.example.org/debian/|bookworm-updates|Debian|main|/etc/apt/debian.sources:1
http://plain.example.org/sec/|bookworm-security|Debian|main|/etc/apt/sources.list:2
http://vendor.example.org/apt/|bookworm|Vendor|main|/etc/apt/vendor.list:1
"""
"""The output of `apt-get indextargets` with these files."""

daemon_outlives_test = pytest.mark.filterwarnings(
    "ignore:subprocess .* is still running:ResourceWarning"
)
"""The mark of tests in which the daemon outlives the Popen object that started it."""


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Move all paths of the engine's modules to a directory in which no engine runs."""
    for module in (daemon, debian):
        monkeypatch.setattr(module, "STATE", tmp_path / "state")
    for module, names in ((daemon, ("PID_FILE", "CONFIG", "LOG")), (debian, ("APT_LOG",))):
        for name in names:
            monkeypatch.setattr(module, name, tmp_path / "state" / getattr(module, name).name)
    for name in ("HOST_CONFIG", "HOST_DATA_ROOT", "HOST_PID_FILE", "CONTAINERD_PID_FILE"):
        monkeypatch.setattr(daemon, name, tmp_path / getattr(daemon, name).name)
    monkeypatch.setattr(daemon, "TIMEOUT_SECONDS", 5)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def programs(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Return a function that writes shell scripts to the first directory of PATH."""
    directory = sandbox / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setenv("SANDBOX", str(sandbox))

    def write(name: str, script: str) -> None:
        path = directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return write


@pytest.fixture
def docker(sandbox: Path, programs: Programs) -> Iterator[None]:
    """Replace docker and dockerd; stop the daemon after the test."""
    info = {**INFO, "DockerRootDir": str(sandbox / "data"), "Name": platform.node()}
    info["KernelVersion"] = platform.release()
    (sandbox / "info.json").write_text(json.dumps(info))
    programs("docker", DOCKER)
    programs("dockerd", DOCKERD)
    yield
    daemon.stop()
    gc.collect()  # collects the Popen of a running daemon while its warning is ignored


@pytest.fixture
def apt_calls(sandbox: Path, programs: Programs) -> Calls:
    """Replace apt with the apt of bookworm."""
    (sandbox / "debian.sources").write_text(STANZAS)
    (sandbox / "targets").write_text(TARGETS.replace("/etc/apt", str(sandbox)))
    (sandbox / "sources.list").write_text(LINES)
    (sandbox / "vendor.list").touch()
    (sandbox / "policy").write_text(BOOKWORM_POLICY)
    programs("apt-get", APT_GET)
    programs("apt-cache", 'cat "$SANDBOX/policy"')
    return lambda: (sandbox / "calls").read_text().splitlines()
