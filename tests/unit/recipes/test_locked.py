"""Fetching the files of sources.lock, from mirrors on loopback with faults."""

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.paths import ROOT
from tests.support.sites import Sites

HELPER = Path("/usr/lib/apt/apt-helper")
pytestmark = pytest.mark.skipif(not HELPER.exists(), reason=f"needs apt: {HELPER} is absent")

RECIPE = ROOT / "docker" / "recipes" / "fetch" / "locked" / "locked.sh"
CONTENT = b"the release"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = b"another file of this name"
PATH = "pool/main/x/x/x_1.0.orig.tar.xz"
DAY = "20261127T000000Z"


class Build:
    """A build step with a lock, a mirror and an archive."""

    def __init__(self, directory: Path) -> None:
        """Write the lock, the list of sources and the recipe with their paths."""
        self.mirror, self.upstream, self.archive = Sites(), Sites(), Sites()
        self.directory = directory
        lock = directory / "sources.lock"
        upstream = f"{self.upstream.url}/{Path(PATH).name}"
        lock.write_text(
            f"# name version\narchive {DAY}\n"
            f"x1.0  1.0  {SHA256}  testing  {PATH}  {upstream}\n"
            f"y1.0  1.0  {SHA256}  testing  {PATH}\n"
            "wheels/a-b  2.0  0123  pypi  a-b\nwheels/c  3.1  4567  pypi  c\n"
        )
        (directory / "sources.list").write_text("")
        self.use(self.mirror.url)
        text = RECIPE.read_text()
        for old, new in {
            "/dev/shm/locked.log": str(directory / "log"),  # noqa: S108 (a path in the recipe)
            "/run/recipes/locked/sources.lock": str(lock),
            "store=/var/cache/sources": f"store={directory}/cache",
            "/etc/apt/sources.list ": f"{directory}/sources.list ",
            "/etc/apt/sources.list.d": str(directory),
            "http://snapshot.debian.org": self.archive.url,
        }.items():
            assert old in text
            text = text.replace(old, new)
        self.recipe = directory / "locked.sh"
        self.recipe.write_text(text)

    def use(self, mirror: str) -> None:
        """Make this the mirror of the image."""
        sources = self.directory / "sources.list"
        sources.write_text(f"deb {mirror}/debian trixie main\n")

    def run(self, *arguments: str, **environment: str) -> process.CompletedProcess[str]:
        """Run the recipe."""
        environment = {
            **process.environment(),
            "LOCKED_TIMEOUT": "2",
            "no_proxy": "127.0.0.1",
            **environment,
        }
        return process.run("sh", str(self.recipe), *arguments, env=environment, timeout=60)

    def fetch(self, name: str = "x1.0", **environment: str) -> process.CompletedProcess[str]:
        """Fetch a file."""
        return self.run("fetch", name, **environment)


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Return a build step; stop its servers later."""
    made = Build(tmp_path)
    yield made
    for mirror in (made.mirror, made.upstream, made.archive):
        mirror.close()


def fetched(done: process.CompletedProcess[str]) -> bytes:
    """Return the content of the file that the recipe printed."""
    assert not done.returncode, done.stderr
    return Path(done.stdout.strip()).read_bytes()


def test_locked_file_is_from_the_mirror(build: Build) -> None:
    """A file that the mirror has is fetched once; the next step finds it in the cache mount."""
    build.mirror.files[f"/debian/{PATH}"] = CONTENT
    assert fetched(build.fetch()) == CONTENT
    assert fetched(build.fetch()) == CONTENT
    assert build.mirror.requests == [f"/debian/{PATH}"]
    assert not build.archive.requests


def test_file_that_the_mirror_lacks_is_from_upstream(build: Build) -> None:
    """If the mirror has moved on, a file with an address is from there, before the archive."""
    build.upstream.files[f"/{Path(PATH).name}"] = CONTENT
    assert fetched(build.fetch()) == CONTENT
    assert not build.archive.requests


def test_file_that_only_the_archive_has_is_from_there(build: Build) -> None:
    """The last place is Debian's archive of the locked day."""
    build.archive.files[f"/archive/debian/{DAY}/{PATH}"] = CONTENT
    assert fetched(build.fetch()) == CONTENT


def test_mirror_that_hangs_is_passed_by(build: Build) -> None:
    """A mirror that accepts connections and never answers is given up after a time limit."""
    build.archive.files[f"/archive/debian/{DAY}/{PATH}"] = CONTENT
    with socket.create_server(("127.0.0.1", 0)) as silent:
        build.use(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert fetched(build.fetch()) == CONTENT


@pytest.mark.parametrize("where", ["mirror", "archive"])
def test_other_content_ends_the_build(build: Build, where: str) -> None:
    """A file with another content is refused; the message has both digests and the address."""
    build.mirror.files.update({f"/debian/{PATH}": OTHER} if where == "mirror" else {})
    build.archive.files[f"/archive/debian/{DAY}/{PATH}"] = CONTENT if where == "mirror" else OTHER
    for _ in range(2):
        done = build.fetch()
        assert done.returncode == 1
        assert f"sha256:{SHA256}" in done.stderr
        assert f"sha256:{hashlib.sha256(OTHER).hexdigest()}" in done.stderr
        assert f"{getattr(build, where).url}/" in done.stderr


def test_file_that_nothing_has_ends_the_build(build: Build) -> None:
    """If neither has the file, the message names the file, its digest and the lock."""
    done = build.fetch()
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "neither Debian's mirrors, nor upstream, nor Debian's archive have" in last
    assert f"x_1.0.orig.tar.xz (sha256:{SHA256})" in last
    assert "docker/recipes/fetch/locked/sources.lock" in last
    for way in ("`nox -s update`", "VMAF_LOCK=accept"):
        assert way in last
    assert "nor upstream" not in build.fetch("y1.0").stderr


def test_damaged_file_in_the_cache_is_fetched_again(build: Build) -> None:
    """A file in the cache mount is used only if its digest is the locked one."""
    build.mirror.files[f"/debian/{PATH}"] = CONTENT
    path = Path(build.fetch().stdout.strip())
    path.write_bytes(OTHER)
    assert fetched(build.fetch()) == CONTENT


def test_unknown_name_is_refused(build: Build) -> None:
    """The message for a name that is not in the lock lists the names that are."""
    done = build.fetch("x2.0")
    assert done.returncode == 1
    assert "x2.0 is not in docker/recipes/fetch/locked/sources.lock, which has x1.0" in done.stderr


def test_entry_of_versions_json_is_from_the_lock(build: Build) -> None:
    """The entry of a fetched file has the locked version and digest."""
    build.mirror.files[f"/debian/{PATH}"] = CONTENT
    build.fetch()
    assert json.loads(build.run("describe", "x1.0", "X").stdout) == {
        "name": "X",
        "version": "1.0",
        "source": "x_1.0.orig.tar.xz from Debian's pool",
        "digest": f"sha256:{SHA256}",
    }


APT = """#!/bin/sh
echo "$@" >>{calls}
case "$*" in *tar-only*) printf '%s' '{content}' >{name} ;; esac
"""
"""A replacement of apt-get, which would need Debian's signature on a list of packages."""


@pytest.mark.parametrize("mirror_has", ["nothing", "another content"])
def test_accepted_release_takes_the_place_of_the_locked_one(build: Build, mirror_has: str) -> None:
    """VMAF_LOCK=accept takes apt's release; a warning and versions.json say so."""
    if mirror_has == "another content":
        build.mirror.files[f"/debian/{PATH}"] = b"unsigned"
    calls = build.directory / "calls"
    program = build.directory / "apt-get"
    program.write_text(APT.format(calls=calls, content=OTHER.decode(), name="x_1.0.1.orig.tar.xz"))
    program.chmod(0o755)
    done = build.fetch(VMAF_LOCK="accept", PATH=f"{build.directory}:{os.environ['PATH']}")
    assert fetched(done) == OTHER
    warning = "#warning the lock has x_1.0.orig.tar.xz, and x_1.0.1.orig.tar.xz of Debian testing"
    assert f"{warning} was accepted\n" in done.stderr
    update, source = calls.read_text().splitlines()
    assert update.endswith(" update")
    assert source.endswith(" source --download-only --tar-only --only-source x")
    assert json.loads(build.run("describe", "x1.0", "X").stdout) == {
        "name": "X",
        "version": "1.0.1",
        "source": "x_1.0.1.orig.tar.xz from Debian's pool",
        "digest": f"sha256:{hashlib.sha256(OTHER).hexdigest()}",
        "lock": f"accepted instead of 1.0, sha256:{SHA256}",
    }


def test_other_release_is_not_accepted_for_a_release(build: Build) -> None:
    """A part whose name ends with a release, such as ffmpeg9.0, is only of that release."""
    program = build.directory / "apt-get"
    calls = build.directory / "calls"
    program.write_text(APT.format(calls=calls, content="new", name="x_2.0.orig.tar.xz"))
    program.chmod(0o755)
    done = build.fetch(VMAF_LOCK="accept", PATH=f"{build.directory}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "x_1.0.orig.tar.xz" in done.stderr.splitlines()[-1]


def test_locked_file_is_taken_although_others_are_accepted(build: Build) -> None:
    """With VMAF_LOCK=accept, a file that can be had is the locked one."""
    build.mirror.files[f"/debian/{PATH}"] = CONTENT
    done = build.fetch(VMAF_LOCK="accept")
    assert fetched(done) == CONTENT
    assert "#warning" not in done.stderr


def test_nothing_to_accept_ends_the_build(build: Build) -> None:
    """If Debian has no release to accept, the message is the one of a missing file."""
    program = build.directory / "apt-get"
    program.write_text("#!/bin/sh\nexit 100\n")
    program.chmod(0o755)
    done = build.fetch(VMAF_LOCK="accept", PATH=f"{build.directory}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "nor Debian's archive have x_1.0.orig.tar.xz" in done.stderr


def test_wheels_are_requirements(build: Build) -> None:
    """The wheels of a part are printed with the digests that pip compares."""
    lines = build.run("requirements", "wheels").stdout.splitlines()
    assert lines == ["a-b==2.0 --hash=sha256:0123", "c==3.1 --hash=sha256:4567"]
