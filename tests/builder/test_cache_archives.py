"""Tests of the archives of cache mounts, with mounts in a namespace of their own."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.bench import registry
from scripts.buildkit import cold, records
from scripts.caches import mounts, program, stream, toolchain
from scripts.caches.archive import Layout, digest_of
from scripts.caches.mounts import DeclaredMount
from scripts.caches.program import Mount, Stream
from scripts.core import loopback
from scripts.core.console import UserError
from scripts.dockerfile import parser, project
from tests.support.buildx import needs_buildx

pytestmark = [needs_buildx, pytest.mark.timeout(600)]

ROOT_OWNED = {"type": "cache", "id": "vmaf-root", "target": "/root-owned", "sharing": "locked"}
OWNED = {
    **ROOT_OWNED,
    "id": "vmaf-owned-$TARGETARCH",
    "target": "/owned",
    "uid": "1000",
    "gid": "1000",
}
DECLARED = [DeclaredMount(options["id"], parser.Mount(options)) for options in (OWNED, ROOT_OWNED)]
"""A contract with the two kinds of keys that a cache mount may have."""
TIME = 1_700_000_000_123_456_789
"""A time in nanoseconds since 1970."""


@pytest.fixture(scope="session")
def streamer() -> Stream:
    """Return the program, for the current builder."""
    builder = program.builder()
    return Stream(program.find(builder.architecture), builder)


@pytest.fixture
def namespaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Return a function that names a new namespace; remove the mounts in them later."""
    monkeypatch.setattr(mounts, "declared", lambda _: DECLARED)
    monkeypatch.setattr(project, "of_repository", lambda: None)
    monkeypatch.setattr(records, "records", list)
    monkeypatch.setattr(cold, "FILE", tmp_path / "cold.json")
    names: list[str] = []

    def new() -> str:
        names.append(f"test-{uuid.uuid4().hex[:8]}")
        return names[-1]

    yield new
    for mount in mounts.existing():
        if mount.namespace in names:
            mounts.prune_id(mount.name)


def in_contract(streamer: Stream, namespace: str) -> list[Mount]:
    """Return the mounts of the contract in a namespace, for images of this architecture."""
    contract = stream.contract(DECLARED, streamer.builder.architecture, namespace)
    return [mount for mount in contract if not mount.is_foreign]


def make_tree(directory: Path, files: int = 20, size: int = 1000) -> Path:
    """Write a tree with each kind of file that an archive keeps."""
    (directory / "deep" / "er").mkdir(parents=True)
    for number in range(files):
        path = directory / "deep" / f"file{number}"
        path.write_bytes(os.urandom(size))
        path.chmod(0o400 + number % 0o400)
        os.chown(path, 1000, number)
    (directory / "program").write_text("#!/bin/sh")
    (directory / "program").chmod(0o4755)
    (directory / "hard").hardlink_to(directory / "program")
    (directory / "soft").symlink_to("deep/file1")
    for path in sorted(directory.rglob("*"), reverse=True):
        os.utime(path, ns=(TIME, TIME + path.name.count("1")), follow_symlinks=False)
    return directory


def described(directory: Path) -> dict[str, tuple[object, ...]]:
    """Return all that an archive keeps of a tree, by path."""
    inodes: dict[int, str] = {}
    tree: dict[str, tuple[object, ...]] = {}
    for path in sorted(directory.rglob("*")):
        stat, name = path.lstat(), str(path.relative_to(directory))
        content = (
            str(path.readlink()) if path.is_symlink() else path.is_file() and path.read_bytes()
        )
        same = inodes.setdefault(stat.st_ino, name)
        tree[name] = (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime_ns, content, same)
    return tree


def agent(streamer: Stream, directory: Path, request: Mapping[str, object], archive: Path) -> None:
    """Run the agent on a directory of this machine; it reads or writes an archive."""
    command = [str(streamer.program), "agent", str(directory), json.dumps(request)]
    if request["verb"] == "save":
        with archive.open("wb") as file:
            subprocess.run(command, stdout=file, stderr=subprocess.DEVNULL, check=True)
    else:
        with archive.open("rb") as file:
            subprocess.run(command, stdin=file, stderr=subprocess.DEVNULL, check=True)


def fill(streamer: Stream, mount: Mount, directory: Path, scratch: Path) -> dict[str, object]:
    """Load a directory of this machine into a mount; return the request."""
    archive = scratch / "filling"
    command = [str(streamer.program), "agent", str(directory), '{"verb": "save"}']
    with archive.open("wb") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, check=True)
    message = json.loads(done.stderr.splitlines()[-1])
    expected = {key: message[key] for key in ("files", "bytes", "digest")}
    request = {"verb": "load", "expected": expected, "replace": True}
    streamer.run(mount, request, archive)
    return request


def content(streamer: Stream, mount: Mount, scratch: Path) -> dict[str, tuple[object, ...]]:
    """Return what a mount contains."""
    archive, directory = scratch / "reading", scratch / uuid.uuid4().hex
    message = streamer.run(mount, {"verb": "save"}, archive)
    directory.mkdir()
    expected = {"files": message.files, "bytes": message.bytes, "digest": message.digest}
    agent(streamer, directory, {"verb": "load", "expected": expected}, archive)
    return described(directory)


def save(place: str, namespace: str, *, force: bool = False) -> None:
    """Save the contract's mounts in a namespace."""
    unused = mounts.read_age("7d")
    stream.save(place, also=(), unused=unused, force=force, namespace=namespace)


@pytest.mark.timeout(1800)  # it compiles BuildKit's client if nothing is cached
def test_program_has_the_pinned_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sources of docker/cache-stream give the bytes whose digest the repository has."""
    monkeypatch.setattr(program, "FILE", tmp_path / "cache-stream")
    architecture = program.builder().architecture
    built = digest_of(program.find(architecture)).removeprefix("sha256:")
    line = f"{built}  {architecture}\n"
    assert line in program.PIN.read_text(), f"{program.PIN} must have the line `{line}`"


def test_round_trip_keeps_everything(
    streamer: Stream, namespaces: Callable[[], str], tmp_path: Path
) -> None:
    """Modes, times, owners and links are the same after a save and a load."""
    before, after = namespaces(), namespaces()
    tree = make_tree(tmp_path / "tree")
    for mount in in_contract(streamer, before):
        fill(streamer, mount, tree, tmp_path)
    save(f"{tmp_path}/archive", before)
    entries = stream.load(f"{tmp_path}/archive", replace=False, namespace=after)
    assert [entry.files for entry in entries] == [23, 23]
    directories = {m.id: m.directory for m in mounts.existing() if m.namespace == after}
    assert sorted(directories.values()) == ["/owned", "/root-owned"]
    for mount in in_contract(streamer, after):
        assert content(streamer, mount, tmp_path) == described(tree)


def test_steps_use_the_mount_that_is_streamed(
    streamer: Stream, namespaces: Callable[[], str], tmp_path: Path
) -> None:
    """A step of a Dockerfile finds in its mount what was loaded: the keys are the same."""
    namespace = namespaces()
    tree = make_tree(tmp_path / "tree")
    shutil.copy(streamer.program, tmp_path / "cache-stream")
    # The name of the namespace makes the steps other ones than those of an earlier run.
    steps = ["FROM scratch", "ARG TARGETARCH", "COPY cache-stream /", f"ENV RUN={namespace}"]
    for mount in in_contract(streamer, namespace):
        fill(streamer, mount, tree, tmp_path)
        target = mount.declaration.mount.target
        request = json.dumps({"verb": "ls", "path": "deep/file7"})
        command = json.dumps(["/cache-stream", "agent", target, request])
        steps.append(f"RUN --mount={mount.declaration.options} {command}")
    (tmp_path / "Dockerfile").write_text("\n".join(steps))
    built = subprocess.run(
        ["docker", "buildx", "build", "--progress=plain", "--output=type=cacheonly",
         f"--build-arg=BUILDKIT_CACHE_MOUNT_NS={namespace}", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert built.stderr.count('"name":"deep/file7"') == len(DECLARED), built.stderr


def test_builder_is_reached_through_buildx(
    streamer: Stream, namespaces: Callable[[], str], tmp_path: Path
) -> None:
    """The connection that buildx provides, for drivers without a local socket, has the mount."""
    tree, mount = make_tree(tmp_path / "tree"), in_contract(streamer, namespaces())[0]
    name = os.environ.get("BUILDX_BUILDER", "default")
    far = Stream(streamer.program, replace(streamer.builder, address=f"buildx://{name}"))
    fill(far, mount, tree, tmp_path)
    assert content(streamer, mount, tmp_path) == described(tree)
    absent = replace(streamer.builder, address="buildx://absent")
    with pytest.raises(program.StreamError, match='no builder "absent"'):
        Stream(streamer.program, absent).run(mount, {"verb": "probe"})


def holding(mount: Mount) -> threading.Thread:
    """Start a step that holds a mount for 8 s, and return when it has begun."""
    text = (
        "FROM toolchain AS writer\nARG STAMP\n"
        f"RUN --mount={mount.declaration.options} echo first >/root-owned/file; sleep 8; "
        "echo last >/root-owned/file; mkdir -p /out/x; echo $STAMP >/out/x/y\n"
        "FROM scratch\nCOPY --from=writer /out/ /\n"
    )
    step = threading.Thread(target=toolchain.run, args=("write", text, mount.namespace))
    step.start()
    deadline = time.monotonic() + 300
    while not any(m.namespace == mount.namespace for m in mounts.existing()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return step


def test_save_waits_for_a_step(
    streamer: Stream, namespaces: Callable[[], str], tmp_path: Path
) -> None:
    """A save while a step uses the mount waits, and has what the step wrote last."""
    namespace = namespaces()
    (mount,) = (m for m in in_contract(streamer, namespace) if m.id == "vmaf-root")
    step = holding(mount)
    waited: list[str] = []
    streamer.progress = lambda message: waited.append(message.event)
    try:
        found = content(streamer, mount, tmp_path)
    finally:
        streamer.progress = lambda _: None
        step.join()
    assert found["file"][4] == b"last\n"
    assert "waiting" in waited


def test_client_killed_while_it_waits_leaves_no_lock(
    streamer: Stream, namespaces: Callable[[], str]
) -> None:
    """BuildKit does not go on waiting for a client that has gone away, and then keep the lock."""
    namespace = namespaces()
    (mount,) = (m for m in in_contract(streamer, namespace) if m.id == "vmaf-root")
    step = holding(mount)
    command = streamer._command(mount, {"verb": "probe"}, None)  # noqa: SLF001
    with subprocess.Popen(command, stderr=subprocess.PIPE) as child:
        assert child.stderr
        assert b"waiting" in child.stderr.readline()
        child.send_signal(signal.SIGKILL)
    step.join()
    command = streamer._command(mount, {"verb": "probe"}, None)  # noqa: SLF001
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def test_unused_results_are_evicted(
    streamer: Stream, namespaces: Callable[[], str], tmp_path: Path
) -> None:
    """Results that were unused for too long are evicted, and the compiler is identified."""
    namespace = namespaces()
    ccache = {**OWNED, "id": "vmaf-ccache-$TARGETARCH", "target": "/ccache"}
    declared = [DeclaredMount(ccache["id"], parser.Mount(ccache))]
    mount, _foreign = stream.contract(declared, streamer.builder.architecture, namespace)
    toolchain.run(
        "write",
        f"""
FROM toolchain AS writer
ARG TARGETARCH STAMP
USER 1000
RUN --mount={declared[0].options} --mount=type=tmpfs,target=/tmp cd /tmp \
    && echo 'int old;' >old.c && ccache gcc -c old.c \
    && mkdir -p /ccache/depcache/aa && touch /ccache/depcache/aa/old \
    && find /ccache -type f -exec touch -d '8 days ago' '{{}}' + \
    && echo 'int new;' >new.c && ccache gcc -c new.c && touch /ccache/depcache/aa/new \
    && mkdir -p /out/x && echo "$STAMP" >/out/x/y
FROM scratch
COPY --from=writer /out/ /
""",
        namespace,
    )

    def results() -> tuple[int, set[str]]:
        found = content(streamer, mount, tmp_path)
        kept = {name for name in found if name.startswith("depcache/aa/")}
        return sum(name.endswith("R") for name in found), kept

    assert results() == (2, {"depcache/aa/old", "depcache/aa/new"})
    compiler = stream.evict([mount], mounts.read_age("7d"), namespace)
    assert results() == (1, {"depcache/aa/new"})
    assert {"gcc", "nasm", "headers", "ccache"} < set(compiler)
    assert all(len(value) == 64 for value in compiler.values())
    assert stream.current_identity() == compiler


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a registry on loopback."""
    directory, port = tmp_path_factory.mktemp("registry"), loopback.free_port()
    (directory / "config.yml").write_text(
        f"version: 0.1\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{directory}/data'}}}}\n"
    )
    command = [str(registry.registry_program()), "serve", f"{directory}/config.yml"]
    with loopback.daemon(command, directory / "log"):
        loopback.wait(port, directory / "log")
        yield f"127.0.0.1:{port}"


def test_registry_has_the_same_artifact(
    streamer: Stream, namespaces: Callable[[], str], tmp_path: Path, address: str
) -> None:
    """A save to a registry and a load from it keep everything; an equal directory is the same."""
    before, after = namespaces(), namespaces()
    tree = make_tree(tmp_path / "tree")
    for mount in in_contract(streamer, before):
        fill(streamer, mount, tree, tmp_path)
    reference = f"{address}/caches/test:main"
    save(reference, before)
    save(reference, before)  # the blobs exist
    save(f"{tmp_path}/archive", before)
    with stream._layout(reference) as (pulled, remote):  # noqa: SLF001 (the temporary layout)
        assert remote
        assert remote.pull(pulled)
        assert pulled.manifest_bytes() == Layout(tmp_path / "archive").manifest_bytes()
    stream.load(reference, replace=False, namespace=after)
    for mount in in_contract(streamer, after):
        assert content(streamer, mount, tmp_path) == described(tree)


def test_missing_reference_is_refused(namespaces: Callable[[], str], address: str) -> None:
    """A reference that the registry does not have is refused, and the next build says so."""
    namespace = namespaces()
    with pytest.raises(UserError, match="has no archive"):
        stream.load(f"{address}/caches/none:main", replace=False, namespace=namespace)
    assert "has no archive" in cold.take(namespace)


def test_mount_with_files_is_refused(
    streamer: Stream, namespaces: Callable[[], str], tmp_path: Path
) -> None:
    """A mount with files is left as it is, unless it is to be replaced."""
    before, after = namespaces(), namespaces()
    tree, other = make_tree(tmp_path / "tree"), make_tree(tmp_path / "other", files=3)
    for mount in in_contract(streamer, before):
        fill(streamer, mount, tree, tmp_path)
    save(f"{tmp_path}/archive", before)
    _, last = in_contract(streamer, after)
    fill(streamer, last, other, tmp_path)
    with pytest.raises(UserError, match="not empty"):
        stream.load(f"{tmp_path}/archive", replace=False, namespace=after)
    first, _ = in_contract(streamer, after)
    assert not content(streamer, first, tmp_path)
    assert content(streamer, last, tmp_path) == described(other)
    stream.load(f"{tmp_path}/archive", replace=True, namespace=after)
    assert content(streamer, last, tmp_path) == described(tree)


def test_damaged_archive_leaves_the_mount(
    streamer: Stream, namespaces: Callable[[], str], tmp_path: Path
) -> None:
    """The program itself refuses an archive that is not the expected one."""
    mount = in_contract(streamer, namespaces())[0]
    tree, other = make_tree(tmp_path / "tree"), make_tree(tmp_path / "other", files=3)
    fill(streamer, mount, other, tmp_path)
    request = fill(streamer, in_contract(streamer, namespaces())[0], tree, tmp_path)
    whole = (tmp_path / "filling").read_bytes()
    changed = bytes([whole[500] ^ 0xFF])
    for damaged in (whole[:-100], whole[:500] + changed + whole[501:]):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(program.StreamError):
            streamer.run(mount, request, tmp_path / "damaged")
        assert content(streamer, mount, tmp_path) == described(other)


def test_empty_mount_is_not_saved(
    streamer: Stream, namespaces: Callable[[], str], tmp_path: Path
) -> None:
    """An empty mount is not saved, unless that is forced; the archive stays as it was."""
    full, empty = namespaces(), namespaces()
    (tmp_path / "nothing").mkdir()
    tree = make_tree(tmp_path / "tree")
    for mount in in_contract(streamer, full):
        fill(streamer, mount, tree, tmp_path)
    for mount in in_contract(streamer, empty):
        fill(streamer, mount, tmp_path / "nothing", tmp_path)
    save(f"{tmp_path}/archive", full)
    before = Layout(tmp_path / "archive").entries()
    with pytest.raises(UserError, match="no files"):
        save(f"{tmp_path}/archive", empty)
    with pytest.raises(UserError, match="none of them"):
        save(f"{tmp_path}/archive", namespaces())
    assert Layout(tmp_path / "archive").entries() == before
    save(f"{tmp_path}/archive", empty, force=True)
    assert [entry.files for entry in Layout(tmp_path / "archive").entries()] == [0, 0]


def killed(streamer: Stream, mount: Mount, request: Mapping[str, object], file: Path) -> None:
    """Kill the program with SIGKILL after the agent has begun."""
    command = streamer._command(mount, request, file)  # noqa: SLF001
    with subprocess.Popen(command, stderr=subprocess.PIPE) as child:
        assert child.stderr
        assert b"started" in child.stderr.readline()
        time.sleep(0.3)
        child.send_signal(signal.SIGKILL)


def test_killed_load_is_repeated(
    streamer: Stream, namespaces: Callable[[], str], tmp_path: Path
) -> None:
    """A load that is killed in the middle leaves nothing visible, and the next one works."""
    namespace = namespaces()
    tree = make_tree(tmp_path / "tree", files=200, size=100_000)
    mount = in_contract(streamer, namespace)[1]
    request = fill(streamer, in_contract(streamer, namespaces())[1], tree, tmp_path)
    request["replace"] = False
    archive = tmp_path / "filling"
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    half = archive.read_bytes()[: archive.stat().st_size // 2]

    def feed() -> None:
        with suppress(BrokenPipeError), fifo.open("wb") as file:
            file.write(half)
            file.flush()
            ended.wait(60)

    ended = threading.Event()
    feeder = threading.Thread(target=feed)
    feeder.start()
    killed(streamer, mount, request, fifo)
    ended.set()
    feeder.join()
    streamer.run(mount, request, archive)
    assert content(streamer, mount, tmp_path) == described(tree)


def test_killed_save_is_repeated(
    streamer: Stream, namespaces: Callable[[], str], tmp_path: Path
) -> None:
    """A save that is killed in the middle leaves the archive and the mount as they were."""
    namespace = namespaces()
    tree = make_tree(tmp_path / "tree")
    for mount in in_contract(streamer, namespace):
        fill(streamer, mount, tree, tmp_path)
    save(f"{tmp_path}/archive", namespace)
    layout = Layout(tmp_path / "archive")
    before = layout.entries()
    killed(streamer, in_contract(streamer, namespace)[0], {"verb": "save"}, layout.part())
    assert layout.entries() == before
    save(f"{tmp_path}/archive", namespace)
    assert layout.entries() == before
    assert not list((tmp_path / "archive").rglob(".part-*"))


def test_mounts_can_be_looked_into(
    streamer: Stream,
    namespaces: Callable[[], str],
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """`ls`, `du` and `cat` show what a mount contains; a mount that does not exist is refused."""
    namespace = namespaces()
    tree = make_tree(tmp_path / "tree")
    fill(streamer, in_contract(streamer, namespace)[1], tree, tmp_path)
    files = stream.look("ls", "vmaf-root", "", namespace)
    assert [file["name"] for file in files] == ["deep", "hard", "program", "soft"]
    assert files[3]["link"] == "deep/file1"
    usage = stream.look("du", f"{namespace}/vmaf-root", "/", "")
    assert usage[0] == {"name": "deep", "files": 20, "bytes": 20_000}
    stream.cat("vmaf-root", "deep/file7", namespace)
    assert capfdbinary.readouterr().out == (tree / "deep" / "file7").read_bytes()
    with pytest.raises(UserError, match="escapes"):
        stream.cat("vmaf-root", "../etc/passwd", namespace)
    with pytest.raises(UserError, match="no such cache mount"):
        stream.look("ls", "vmaf-root", "", namespaces())
    with pytest.raises(UserError, match="no such cache mount"):
        stream.look("ls", "vmaf-other", "", namespace)
