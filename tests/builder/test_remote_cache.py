"""The remote cache in build steps: a tiny program in C and assembly, and a Redis on this host.

The steps use the recipes' own compile.sh. Each build has its own, empty cache mounts, as a fresh
worker has.
"""

import json
import os
import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tenacity

from scripts.buildkit.measurements import Measurements, read_measurements
from scripts.caches import mounts
from scripts.core.paths import ROOT
from scripts.images import bases
from scripts.images.overlay import overlay
from tests.support.buildx import needs_buildx
from tests.support.subject import docker

pytestmark = [needs_buildx, pytest.mark.timeout(600)]

PASSWORD = "planted-0b5c93f2"  # noqa: S105 # the tests look for it
KEY = "planted-key-7d01aa46"
PLANTED = ("planted-0b5c93f2", "planted-key-7d01aa46")
OBJECTS = 5
"""The number of sources in each language."""
DOCKERFILE = """\
# syntax=docker/dockerfile:1.7
FROM toolchain AS tiny
ARG TARGETARCH TRIAL LEAK
USER 1000:1000
RUN --mount=type=cache,id=vmaf-ccache-$TARGETARCH,target=/ccache,sharing=locked,uid=1000,gid=1000 \\
    --mount=type=secret,id=remote-cache,uid=1000 --mount=type=tmpfs,target=/tmp \\
    --mount=type=tmpfs,target=/build --mount=type=bind,from=sources,target=/src \\
    --mount=type=bind,source=docker/compiler-cache/src,target=/run/cache \\
    --mount=type=bind,source=docker/recipes/compile/compile.sh,target=/run/recipes/compile.sh \\
    sh /src/compile.sh
RUN --mount=type=cache,id=vmaf-ccache-$TARGETARCH,target=/ccache,sharing=locked,uid=1000,gid=1000 \\
    --mount=type=secret,id=remote-cache,uid=1000 --mount=type=tmpfs,target=/tmp \\
    --mount=type=tmpfs,target=/build --mount=type=bind,from=sources,target=/src \\
    --mount=type=bind,source=docker/compiler-cache/src,target=/run/cache \\
    --mount=type=bind,source=docker/recipes/compile/compile.sh,target=/run/recipes/compile.sh \\
    sh /src/compile.sh again && sh /src/search.sh
FROM scratch AS result
COPY --from=tiny /out/ /
"""
COMPILE = """\
set -eu
. /run/recipes/compile.sh
launch nasm
cp /src/*.c /src/*.asm /build
cd /build
for source in *.c; do ccache gcc -O2 -MD -c "$source" -o "$source.o"; done
for source in *.asm; do nasm -f elf64 -MD "$source.d" -o "$source.o" "$source"; done
# The address is in no argument and no variable of a process while the proxy runs.
[ -z "${LEAK-}" ] || {
    sh -c 'sleep 30; true' planted-0b5c93f2 &
    cat /run/secrets/remote-cache >/out/leak
    sleep 1
}
cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ >/build/processes 2>/dev/null || true
! grep -aqF -f /src/planted /build/processes || echo "FOUND in a process"
report_caches
for object in *.o; do cp "$object" "/out/$object${1-}"; done
"""
SEARCH = """\
# Look for the secret in what the steps wrote: the layers, and the cache mount.
find / /ccache -xdev -type f -newer /src/planted -not -path '/src/*' -not -path '/run/secrets/*' \
    -exec grep -laF -f /src/planted {} + 2>/dev/null | sed 's/^/FOUND in /'
"""


@dataclass
class Built:
    """A finished build."""

    text: str
    """All output of buildx, with the build's metadata."""
    objects: dict[str, bytes]
    """The files of the image."""
    measured: list[Measurements] = field(default_factory=list)
    """By step."""
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the lines of the steps."""
        for line in self.text.splitlines():
            _, found, rest = line.partition("#measure ")
            measurements, fault = read_measurements(rest)
            if found and not fault:
                if measurements.depcache:  # the first line of a step
                    self.measured.append(Measurements())
                self.measured[-1] = self.measured[-1].updated(measurements)
            _, warned, warning = line.partition("#warning ")
            self.warnings += [warning] if warned else []

    @property
    def total(self) -> Measurements:
        """The sums over the steps."""
        return sum(self.measured, Measurements())


class Builds:
    """Builds of the tiny program."""

    def __init__(self, directory: Path) -> None:
        """Write the sources, which no earlier build has compiled."""
        self.directory = directory
        self.namespaces: list[str] = []
        self.sources = directory / "sources"
        self.sources.mkdir()
        unique = uuid.uuid4().hex
        for number in range(OBJECTS):
            (self.sources / f"c{number}.c").write_text(
                f'#include <stdio.h>\nint c{number}(void) {{ return puts("{unique}"); }}\n'
            )
            (self.sources / f"a{number}.asm").write_text(
                f'section .data\ndb "{unique}", {number}\n'
            )
        (self.sources / "compile.sh").write_text(COMPILE)
        (self.sources / "search.sh").write_text(SEARCH)
        (self.sources / "planted").write_text("\n".join(PLANTED) + "\n")
        (directory / "Dockerfile").write_text(DOCKERFILE)

    def build(self, address: str, *, leak: str = "", output: str = "") -> Built:
        """Build with empty cache mounts and the address of a remote cache; empty for none."""
        number = len(self.namespaces)
        self.namespaces.append(f"remote-{uuid.uuid4().hex[:12]}")
        source = bases.choose()
        if source == "bootstrap":
            bases.bootstrap()
        settings = {**os.environ, "VMAF_REMOTE_CACHE": address}
        document = overlay(
            self.directory, environment=settings, base_source=source, namespace=self.namespaces[-1]
        )
        destination = self.directory / f"out{number}"
        document["target"]["tiny"] = {
            "inherits": ["_common"],
            "context": str(ROOT),
            "dockerfile": str(self.directory / "Dockerfile"),
            "target": "result",
            "contexts": {"toolchain": "target:toolchain", "sources": str(self.sources)},
            "args": {"TRIAL": self.namespaces[-1], "LEAK": leak},
            "output": [output or f"type=local,dest={destination}"],
        }
        (self.directory / "overlay.json").write_text(json.dumps(document))
        files = (*bases.OVERLAYS[source], self.directory / "overlay.json")
        metadata = self.directory / "metadata.json"
        done = docker(
            *("buildx", "bake", "--progress=plain", f"--metadata-file={metadata}"),
            *(f"--file={file}" for file in files),
            "tiny",
            timeout=500,
            cwd=ROOT,
            env={**os.environ, "BUILDX_NO_DEFAULT_LOAD": "1"},
        )
        assert not done.returncode, done.stderr
        objects = {path.name: path.read_bytes() for path in destination.glob("*.o*")}
        overlay_text = (self.directory / "overlay.json").read_text()
        return Built(f"{done.stdout}{done.stderr}{metadata.read_text()}{overlay_text}", objects)

    def close(self) -> None:
        """Remove the cache mounts."""
        for mount in mounts.existing():
            if mount.namespace in self.namespaces:
                mounts.buildx("prune", "prune", "--force", f"--filter=id={mount.record}")


@pytest.fixture(scope="module")
def gateway() -> str:
    """Return the address of this host in build steps."""
    found = docker("network", "inspect", "bridge", "--format={{(index .IPAM.Config 0).Gateway}}")
    address = found.stdout.strip()
    try:
        socket.create_server((address, 0)).close()
    except OSError:
        pytest.skip("this host has no address in the engine's default network")
    return address


@pytest.fixture
def builds(tmp_path: Path) -> Iterator[Builds]:
    """Return builds of a new program; remove their cache mounts later."""
    made = Builds(tmp_path)
    yield made
    made.close()


@pytest.fixture
def redis(tmp_path: Path, gateway: str) -> Iterator[str]:
    """Return the address of a new Redis."""
    program = shutil.which("redis-server")
    if not program and (packed := shutil.which("redis-check-rdb")):
        program = str(tmp_path / "redis-server")  # redis-tools has it under another name
        Path(program).symlink_to(packed)
    if not program:
        pytest.skip("there is no redis-server, which redis-tools has: see .ci/run")
    with socket.create_server((gateway, 0)) as listener:
        port = listener.getsockname()[1]
    options = ["--bind", gateway, "--port", str(port), "--save", "", "--requirepass", PASSWORD]
    process = subprocess.Popen([program, *options], cwd=tmp_path, stdout=subprocess.DEVNULL)
    for attempt in tenacity.Retrying(
        stop=tenacity.stop_after_delay(20), wait=tenacity.wait_fixed(0.05), reraise=True
    ):
        with attempt:
            socket.create_connection((gateway, port), 1).close()
    yield f"redis://:{PASSWORD}@{gateway}:{port}/?key={KEY}"
    process.kill()
    process.wait()


def test_fresh_worker_has_hits_of_a_warm_store(builds: Builds, redis: str) -> None:
    """With empty mounts and a warm Redis, all objects of gcc and nasm are hits, with equal bytes.

    The second step of each build finds the objects in the local cache, and asks for nothing.
    """
    first, second = builds.build(redis), builds.build(redis)
    assert len(first.objects) == 4 * OBJECTS
    assert second.objects == first.objects
    for built, hits in ((first, 0), (second, OBJECTS)):
        assert not built.warnings
        step, again = built.measured
        assert step.ccache
        assert step.depcache
        assert (step.ccache.direct_cache_hit, step.ccache.cache_miss) == (hits, OBJECTS - hits)
        assert (step.depcache.hit, step.depcache.miss) == (hits, OBJECTS - hits)
        assert again.remote
        assert again.remote.lookups.total == 0
        remote = built.total.remote
        assert remote
        assert remote.error == remote.refused == remote.dropped == 0
        assert (remote.sent > 0) == (hits == 0)
        assert (remote.hit, remote.miss > 0) == ((4 * OBJECTS, False) if hits else (0, True))


def findings(text: str) -> list[str]:
    """Return the places of the secret in the output of a build."""
    lines = [line for line in text.splitlines() if "FOUND in" in line and "echo" not in line]
    return lines + [line for line in text.splitlines() if any(word in line for word in PLANTED)]


@pytest.mark.parametrize("leak", ["", "1"], ids=["project", "leaking-step"])
def test_address_is_nowhere(builds: Builds, redis: str, leak: str) -> None:
    """The address is in no layer, cache mount, log, process, history, image or metadata.

    A step that leaks it on purpose is found.
    """
    tag = f"vmaf-remote-test:{uuid.uuid4().hex}"
    built = builds.build(redis, leak=leak, output=f"type=docker,name={tag}")
    saved = builds.directory / "image.tar"
    try:
        shown = docker("history", "--no-trunc", tag).stdout + docker("inspect", tag).stdout
        assert not docker("save", f"--output={saved}", tag).returncode
    finally:
        docker("image", "rm", tag)
    found = findings(built.text + shown)
    image = saved.read_bytes()
    in_image = any(word.encode() in image for word in PLANTED)
    if leak:
        assert any("FOUND in a process" in line for line in found)
        assert any("FOUND in /out/leak" in line for line in found)
        assert in_image
    else:
        assert found == []
        assert not in_image


@pytest.fixture
def hung(gateway: str) -> Iterator[Callable[[], tuple[str, int]]]:
    """Return a function for the address of a store that never answers, and its connections."""
    links: list[socket.socket] = []
    with closing(socket.create_server((gateway, 0))) as listener:
        address = f"redis://:{PASSWORD}@{gateway}:{listener.getsockname()[1]}/"

        def accept() -> None:
            while True:
                try:
                    links.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield lambda: (address, len(links))
    for link in links:
        link.close()


def test_hung_store_costs_a_build_one_probe(
    builds: Builds, hung: Callable[[], tuple[str, int]]
) -> None:
    """A store that never answers is asked once in a build of several steps, with one warning."""
    address, _ = hung()
    built = builds.build(address)
    _, connections = hung()
    assert connections == 1
    (warning,) = built.warnings
    assert "does not answer (within 1 s); this build goes on without it" in warning
    assert not findings(built.text)
    assert len(built.objects) == 4 * OBJECTS
    assert built.total.ccache
    assert built.total.ccache.cache_miss == OBJECTS
