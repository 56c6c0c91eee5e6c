"""What a builder's garbage collection takes, and what `nox -s cache -- prune` does.

Each test has a dockerd of its own, with the limits of the real one made small. It
collects a second after it starts, and then once a minute: so it is filled with
collection off, and started again on a copy of its data with the policy under test.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from scripts.caches import mounts
from scripts.core import process
from scripts.engine import client

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("dockerd") or not shutil.which("unshare"),
    reason="starts a dockerd of its own, which takes root, dockerd and unshare",
)

MEGABYTES = 8
"""What each mount and each layer of the test holds."""
LIMIT = 24
"""How many MiB there is room for: the mounts and dd, and not the layers as well."""
PATIENCE = 30
COLLECTED = 90
"""Seconds in which collection has come round twice."""
Environment = Mapping[str, str]


def zeros(there: str, options: str = "") -> str:
    """Return an instruction that writes a file."""
    words = ["/bin/dd", "if=/dev/zero", f"of={there}/file", "bs=1000000", f"count={MEGABYTES}"]
    return f"RUN --network=none {options} {dumps(words)}"


def mounted(name: str) -> str:
    """Return an instruction that fills a cache mount."""
    return zeros("/mounted", f"--mount=type=cache,id={name},target=/mounted")


LAYERS = ("/bin", "/lib", "/etc")
# The mounts come first and are used once: nothing is older, or of less use.
STEPS = (mounted("vmaf-kept"), mounted("stranger"), *map(zeros, LAYERS))


@contextmanager
def daemon(data: Path, collection: Mapping[str, Any]) -> Iterator[Environment]:
    """Start a dockerd on this data, and end it; yields the environment of its clients.

    It has a network of its own: without a bridge it removes docker0, whosever that is.
    Its folder is not pytest's, whose path is too long for a socket.
    """
    with TemporaryDirectory(prefix="vmaf-gc-") as name:
        yield from _daemon(Path(name), data, collection)


def _daemon(folder: Path, data: Path, collection: Mapping[str, Any]) -> Iterator[Environment]:
    socket = f"unix://{folder}/socket"
    settings = {
        "data-root": str(data),
        "exec-root": str(folder),
        "pidfile": str(folder / "pid"),
        "hosts": [socket],
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "containerd-namespace": folder.name,
        "containerd-plugins-namespace": f"{folder.name}-plugins",
        "builder": {"gc": collection},
    }
    config, log = folder / "daemon.json", folder / "log"
    config.write_text(dumps(settings))
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            ["unshare", "--net", "--mount", "dockerd", "--config-file", str(config)],
            stdout=output,
            stderr=output,
            env=process.environment(),
        )
    # Its own builder, whatever has been chosen for the other engine.
    environment = {**os.environ, "DOCKER_HOST": socket, "BUILDX_BUILDER": "default"}
    try:
        begin = time.monotonic()
        while docker(environment, "version", check=False).returncode:
            alive = daemon.poll() is None and time.monotonic() - begin < PATIENCE
            assert alive, process.last_lines(log)
            time.sleep(0.1)
        yield environment
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE)


def docker(
    environment: Environment, *words: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run the client against a daemon."""
    return subprocess.run(
        ["docker", *words], env=environment, capture_output=True, text=True, check=check
    )


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data of a daemon that has built two cache mounts and three layers."""
    folder = tmp_path_factory.mktemp("filled")
    root = folder / "context" / "root"
    needed = subprocess.run(["ldd", "/bin/dd"], capture_output=True, text=True, check=True).stdout
    for file in ("/bin/dd", *re.findall(r"(/\S+) \(", needed)):
        there = root / file.removeprefix("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, there)
    lines = ("FROM scratch", "COPY root /", *STEPS)
    (folder / "context" / "Dockerfile").write_text("\n".join(lines))
    with daemon(folder / "data", {"enabled": False}) as environment:
        # Not kept as an image, which would hold on to its layers.
        docker(environment, "build", "--output=type=cacheonly", str(folder / "context"))
    return folder / "data"


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Path:
    """Return a copy of that data."""
    subprocess.run(["cp", "-a", str(filled), str(tmp_path / "data")], check=True)
    return tmp_path / "data"


def ours() -> Sequence[dict[str, Any]]:
    """Return the rules that the engine is given, their limits made small."""
    return [{**rule, "keepStorage": f"{LIMIT}MB"} for rule in client.collection(40)["policy"]]


def held(data: Path) -> int:
    """Return the bytes of the files that the steps wrote and that are still there.

    Read from the disk, as collection spares what a listing of the builder looks at, and
    takes something else instead.
    """
    sizes = []
    for path in data.glob("overlay2/*/diff/**/file"):
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return sum(sizes)


def mounts_stay(data: Path, policy: Sequence[Mapping[str, Any]]) -> None:
    """Assert that collection by these rules takes layers, and leaves both cache mounts."""
    collection = {"enabled": True, "policy": policy}
    with daemon(data, collection) as environment:
        begin = time.monotonic()
        while held(data) > LIMIT * 10**6:
            assert time.monotonic() - begin < COLLECTED, f"nothing was collected: {held(data)}"
            time.sleep(0.2)
        time.sleep(1)  # until it is done
        shown = docker(environment, "buildx", "du", "--verbose").stdout
    left = {one.id for one in mounts.read_du(shown)}
    assert left == {"vmaf-kept", "stranger"}, f"collection took cache mounts:\n{shown}"


def test_cache_mounts_survive_collection(data: Path) -> None:
    """The engine's limit is kept by dropping layers, which warm mounts rebuild quickly."""
    mounts_stay(data, ours())


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(ours()[1:], id="without-our-first-rule"),
        # By default they go once they exceed 512 MB, though not for two days.
        pytest.param(
            [{"filter": ["type=exec.cachemount"], "keepStorage": "1MB"}, *ours()],
            id="the-engines-default",
        ),
    ],
)
def test_that_test_fails(policy: Sequence[Mapping[str, Any]], data: Path) -> None:
    """Where nothing spares the mounts."""
    with pytest.raises(AssertionError, match="collection took cache mounts"):
        mounts_stay(data, policy)


@pytest.mark.parametrize(
    ("age", "expected"),
    [(timedelta(hours=1), []), (timedelta(seconds=1), ["vmaf-kept"])],
    ids=str,
)
def test_prune_takes_our_old_mounts_and_nothing_else(
    age: timedelta, expected: list[str], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers and the mounts of other projects stay, and so do mounts in use of late."""
    with daemon(data, {"enabled": False}) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        gone, stay = mounts.prune(age)
        shown = docker(environment, "buildx", "du", "--verbose").stdout
    assert [one.id for one in gone] == expected
    assert all(one.size >= MEGABYTES * 10**6 for one in gone)
    left = {one.id for one in mounts.read_du(shown)}
    assert (
        left == {"stranger", *(one.id for one in stay)} == {"stranger", "vmaf-kept"} - {*expected}
    )
    assert all(f"of={there}/file" in shown for there in LAYERS)
