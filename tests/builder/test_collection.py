"""The garbage collection of a builder, and `nox -s cache -- prune`.

Each test starts its own dockerd with the project's collection policy and a small limit. dockerd
collects one second after its start and then once a minute. A first daemon without collection
therefore makes the data, and each test starts a daemon on a copy of the data.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

import pytest
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from scripts.caches import mounts
from scripts.core import process
from scripts.engine.daemon import collection_policy

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("dockerd") or not shutil.which("unshare"),
    reason="starting a dockerd needs root, dockerd and unshare",
)

MEGABYTES = 8
"""The size of each cache mount and of each layer."""
LIMIT = 24
"""The limit in MB: enough for the cache mounts and dd, but not for the layers as well."""
PATIENCE = 30
"""Seconds that dockerd may take to answer, or to end."""
COLLECTION_SECONDS = 90
"""Seconds in which dockerd collects at least twice."""
Environment = Mapping[str, str]


def write_zeros(directory: str, options: str = "") -> str:
    """Return an instruction that writes a file."""
    command = [
        *("/bin/dd", "if=/dev/zero", f"of={directory}/file", "bs=1000000", f"count={MEGABYTES}")
    ]
    return f"RUN --network=none {options} {dumps(command)}"


def fill_mount(name: str) -> str:
    """Return an instruction that fills a cache mount."""
    return write_zeros("/mounted", f"--mount=type=cache,id={name},target=/mounted")


LAYERS = ("/bin", "/lib", "/etc")
# The mounts are filled first and used once, so that no record is older or used less often.
STEPS = (fill_mount("vmaf-kept"), fill_mount("stranger"), *map(write_zeros, LAYERS))


@contextmanager
def daemon(data: Path, collection: Mapping[str, Any]) -> Iterator[Environment]:
    """Run a dockerd with this data; yield the environment of its clients.

    It has its own network namespace, because a dockerd without a bridge removes docker0 of
    any other engine. Its directory is not pytest's, whose path is too long for a socket.
    """
    with TemporaryDirectory(prefix="vmaf-gc-") as name:
        yield from _daemon(Path(name), data, collection)


def _daemon(directory: Path, data: Path, collection: Mapping[str, Any]) -> Iterator[Environment]:
    socket = f"unix://{directory}/socket"
    settings = {
        "data-root": str(data),
        "exec-root": str(directory),
        "pidfile": str(directory / "pid"),
        "hosts": [socket],
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "containerd-namespace": directory.name,
        "containerd-plugins-namespace": f"{directory.name}-plugins",
        "builder": {"gc": collection},
    }
    config, log = directory / "daemon.json", directory / "log"
    config.write_text(dumps(settings))
    started = process.start_daemon(
        "unshare", "--net", "--mount", "dockerd", "--config-file", str(config), log=log
    )
    # The builder of this dockerd, whichever builder the user chose for another engine.
    environment = {**os.environ, "DOCKER_HOST": socket, "BUILDX_BUILDER": "default"}

    def is_starting() -> bool:
        return started.poll() is None and not answers(environment)

    try:
        wait_while(is_starting, PATIENCE)
        assert started.poll() is None, process.last_lines(log)
        assert answers(environment), process.last_lines(log)
        yield environment
    finally:
        started.terminate()
        started.wait(PATIENCE)


def wait_while(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition is false, but no longer than so many seconds."""
    attempts = Retrying(
        retry=retry_if_result(bool), wait=wait_fixed(0.2), stop=stop_after_delay(seconds)
    )
    with suppress(RetryError):
        attempts(condition)


def answers(environment: Environment) -> bool:
    """Return whether a daemon answers its client."""
    return process.run("docker", "version", env=environment).returncode == 0


def docker(environment: Environment, *arguments: str) -> str:
    """Run the docker client with a daemon and return its output; a failure fails the test."""
    done = process.run("docker", *arguments, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data of a daemon that has built two cache mounts and three layers."""
    directory = tmp_path_factory.mktemp("filled")
    root = directory / "context" / "root"
    linked = process.output("ldd", "/bin/dd")
    for file in ("/bin/dd", *re.findall(r"(/\S+) \(", linked)):
        copy = root / file.removeprefix("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    lines = ("FROM scratch", "COPY root /", *STEPS)
    (directory / "context" / "Dockerfile").write_text("\n".join(lines))
    with daemon(directory / "data", {"enabled": False}) as environment:
        # An image would protect its layers from collection.
        docker(environment, "build", "--output=type=cacheonly", str(directory / "context"))
    return directory / "data"


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Path:
    """Return a copy of that data."""
    copy = tmp_path / "data"
    assert process.run("cp", "-a", str(filled), str(copy)).returncode == 0
    return copy


def project_rules() -> Sequence[dict[str, Any]]:
    """Return the rules of the project's collection policy with a small limit."""
    return [{**rule, "keepStorage": f"{LIMIT}MB"} for rule in collection_policy(40)["policy"]]


def stored_bytes(data: Path) -> int:
    """Return the size of the files that the steps wrote and that were not collected.

    The size is read from the disk, as collection spares the records that a listing of the
    builder has just read.
    """
    sizes = []
    for path in data.glob("overlay2/*/diff/**/file"):
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return sum(sizes)


def check_mounts_stay(data: Path, rules: Sequence[Mapping[str, Any]]) -> None:
    """Assert that collection by these rules removes layers, but neither cache mount."""
    with daemon(data, {"enabled": True, "policy": rules}) as environment:
        wait_while(lambda: stored_bytes(data) > LIMIT * 10**6, COLLECTION_SECONDS)
        size = stored_bytes(data)
        assert size <= LIMIT * 10**6, f"collection did not reach the limit: {size} bytes"
        sleep(1)  # until collection has ended
        listing = docker(environment, "buildx", "du", "--verbose")
    remaining = {mount.id for mount in mounts.read_du(listing)}
    assert remaining == {"vmaf-kept", "stranger"}, f"collection removed cache mounts:\n{listing}"


def test_collection_removes_layers_and_no_cache_mount(data: Path) -> None:
    """The project's garbage collection reaches its limit by removing layers, not cache mounts."""
    check_mounts_stay(data, project_rules())


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(project_rules()[1:], id="without-the-first-rule"),
        # The default rule removes them beyond 512 MB, though only after two days.
        pytest.param(
            [{"filter": ["type=exec.cachemount"], "keepStorage": "1MB"}, *project_rules()],
            id="default-rule-of-the-engine",
        ),
    ],
)
def test_other_rules_remove_cache_mounts(rules: Sequence[Mapping[str, Any]], data: Path) -> None:
    """Rules without protection of cache mounts fail the check of the collection policy."""
    with pytest.raises(AssertionError, match="collection removed cache mounts"):
        check_mounts_stay(data, rules)


@pytest.mark.parametrize(
    ("age", "expected"),
    [(timedelta(hours=1), []), (timedelta(seconds=1), ["vmaf-kept"])],
    ids=str,
)
def test_prune_removes_only_old_mounts_of_the_project(
    age: timedelta, expected: list[str], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cache prune` removes old mounts of the project, and no layer, recent or foreign mount."""
    with daemon(data, {"enabled": False}) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        removed, retained = mounts.prune(age)
        listing = docker(environment, "buildx", "du", "--verbose")
    assert [mount.id for mount in removed] == expected
    assert all(mount.size >= MEGABYTES * 10**6 for mount in removed)
    remaining = {mount.id for mount in mounts.read_du(listing)}
    assert remaining == {"stranger", *(mount.id for mount in retained)}
    assert remaining == {"stranger", "vmaf-kept"} - {*expected}
    assert all(f"of={directory}/file" in listing for directory in LAYERS)
