"""The corresponding source of small images, whose origins are on loopback."""

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.cli import sources as verb
from scripts.cli.__main__ import main
from scripts.contents import sources
from scripts.contents.archive import SavedImage
from scripts.core import git
from scripts.core.console import UserError
from scripts.engine import client
from scripts.images import catalogue
from scripts.images import sources as trees_of
from scripts.lock import crates, download, sources_lock
from tests.support.archives import TAG, Files, layer, open_image
from tests.support.checkouts import COMMIT_TIME, run_git
from tests.support.sites import Sites
from tests.unit.contents.test_sbom import go_program
from tests.unit.lock.test_download import module

FFMPEG, CRATE, HEADERS, VULKAN = b"FFmpeg", b"a crate", b"headers", b"headers of Vulkan"
MODULE, MODULE_DIGEST = module(b"package a")
PLACE = "https://snapshot.debian.org/package/"
POOL = "pool/main/x"
STATUS = b"""\
Package: libx
Status: install ok installed
Architecture: amd64
Source: x (1.0)
Version: 1.0+b1

Package: x-tools
Status: install ok installed
Architecture: amd64
Source: x
Version: 1.0
Built-Using: rustc (= 1:1.85+dfsg-1)
Static-Built-Using: rust-a (= 1), rust-b

Package: apt
Status: install ok installed
Architecture: amd64
Version: 3.0~1
"""


def sha256(content: bytes) -> str:
    """Return the SHA-256 of some content."""
    return hashlib.sha256(content).hexdigest()


LOCK = f"""\
archive 20261127T000000Z
ffmpeg9.0 9.0.2 {sha256(FFMPEG)} testing {POOL}/ffmpeg_9.0.2.orig.tar.xz
headers 12 {sha256(HEADERS)} trixie {POOL}/libh-dev_12_all.deb
vulkan-headers 1.4 {sha256(VULKAN)} testing {POOL}/libvk_1.4_all.deb
libvmaf 0.2.0 {sha256(CRATE)} crates.io vmaf-sys
"""


def part(source: str, content: bytes = b"", version: str = "1", **more: str) -> dict[str, str]:
    """Return an entry of versions.json."""
    digest = {"digest": f"sha256:{sha256(content)}"} if content else {}
    return {"version": version, "source": source, **digest, **more}


PARTS = {
    "gcc": part("Debian 13.8"),
    "libvmaf": part("crate vmaf-sys 0.2.0 (Netflix/vmaf abc), with a.patch", CRATE),
    "ffmpeg": part("ffmpeg_9.0.2.orig.tar.xz from Debian's pool", FFMPEG, "9.0.2"),
}


class World:
    """A checkout with one commit, the origins of its files, and images that were built from it."""

    def __init__(self, directory: Path, site: Sites) -> None:
        """Commit the lock and go.sum in a new checkout."""
        self.directory, self.site = directory, site
        self.checkout, self.out = directory / "checkout", directory / "out"
        lock = self.checkout / sources._LOCK  # noqa: SLF001
        lock.parent.mkdir(parents=True)
        lock.write_text(LOCK)
        (self.checkout / "server").mkdir()
        (self.checkout / "server" / "go.sum").write_text(
            f"m v1.0.0 {MODULE_DIGEST}\nm v1.0.0/go.mod h1:x=\n"
        )
        run_git(self.checkout, "init", "--quiet")
        run_git(self.checkout, "add", ".")
        run_git(self.checkout, "commit", "--quiet", "--message=one")
        self.commit = run_git(self.checkout, "rev-parse", "HEAD")

    def image(
        self,
        parts: Mapping[str, Any] | None = None,
        files: Files | None = None,
        **labels: str,
    ) -> SavedImage:
        """Return an image with these components, further files, and labels."""
        directory = self.directory / f"image{len(list(self.directory.iterdir()))}"
        directory.mkdir()
        everything = {
            "etc/apt/sources.list": f"deb {self.site.url}/debian trixie main\n".encode(),
            "var/lib/dpkg/status": STATUS,
            "usr/local/share/vmaf/versions.json": json.dumps(parts or PARTS).encode(),
            **(files or {}),
        }
        saved = open_image(directory, layer(everything))
        given = {
            "org.opencontainers.image.revision": self.commit,
            "org.opencontainers.image.title": "vmaf:cpu",
            "vmaf.ffmpeg": "9.0",
            **{name.replace("_", "."): value for name, value in labels.items()},
        }
        saved.config = {**saved.config, "config": {"Labels": given}}
        return saved

    def write(self, saved: SavedImage, **trees: str) -> dict[str, str]:
        """Write the source of an image; return the digests of SHA256SUMS by file."""
        written = sources.write(
            TAG,
            saved,
            self.out,
            trees=trees,
            environment={"GOPROXY": f"{self.site.url}/go", "CARGO_HOME": "/nowhere"},
        )
        rows = [line.split("  ") for line in (self.out / "SHA256SUMS").read_text().splitlines()]
        sums = {path: digest for digest, path in rows}
        assert sums == {
            str(path.relative_to(self.out)): sha256(path.read_bytes())
            for path in written
            if path.name != "SHA256SUMS"
        }
        return sums

    def readme(self) -> str:
        """Return the README of the written source."""
        return (self.out / "README.txt").read_text()

    def left_over(self) -> list[str]:
        """Return what is beside the images and the checkout."""
        kept = ("image", "checkout", "cache", "tree")
        return [p.name for p in self.directory.iterdir() if not p.name.startswith(kept)]


@pytest.fixture(scope="module")
def site() -> Iterator[Sites]:
    """Return a server for all tests, as it takes half a second to end."""
    server = Sites()
    yield server
    server.close()


@pytest.fixture
def world(tmp_path: Path, site: Sites, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a checkout, origins with its files, and an empty cache."""
    made = World(tmp_path, site)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(git, "ROOT", made.checkout)
    monkeypatch.setattr(download, "ARCHIVE", f"{site.url}/archive")
    monkeypatch.setattr(crates, "_fetch", lambda _: f'{{"dl": "{site.url}/crates"}}')
    site.files = {
        f"/debian/{POOL}/ffmpeg_9.0.2.orig.tar.xz": FFMPEG,
        f"/debian/{POOL}/libh-dev_12_all.deb": HEADERS,
        f"/debian/{POOL}/libvk_1.4_all.deb": VULKAN,
        "/crates/vmaf-sys/0.2.0/download": CRATE,
        "/go/m/@v/v1.0.0.zip": MODULE,
    }
    return made


def test_source_has_the_archives_that_the_image_names(world: World) -> None:
    """The directory has the files by digest, the recipes, the lists and their digests."""
    sums = world.write(world.image())
    recipes = f"vmaf-images-{world.commit[:12]}.tar"
    assert set(sums) == {
        *("README.txt", "debian.txt", "versions.json", recipes),
        *("ffmpeg_9.0.2.orig.tar.xz", "vmaf-sys-0.2.0.crate"),
    }
    assert sums["vmaf-sys-0.2.0.crate"] == sha256(CRATE)
    with tarfile.open(world.out / recipes) as tar:
        assert f"vmaf-images-{world.commit[:12]}/server/go.sum" in tar.getnames()
    text = world.readme()
    assert "The corresponding source of vmaf:cpu" in text
    assert f"libvmaf 1: vmaf-sys-0.2.0.crate, with a.patch of {recipes}\n" in text
    assert "  gcc 1: Debian 13.8, a tool of the build\n" in text
    assert "  nox -s build-cpu -- --ffmpeg-release 9.0\n" in text


def test_same_image_gives_the_same_bytes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of one image are equal, with one time and mode, whatever the user's settings."""
    first = world.write(world.image())
    run_git(world.checkout, "config", "tar.umask", "user")
    run_git(world.checkout, "config", "core.autocrlf", "true")
    (world.checkout / "edited").touch()
    old = os.umask(0o077)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    try:
        assert world.write(world.image()) == first
    finally:
        os.umask(old)
    paths = [world.out, *world.out.rglob("*")]
    assert {int(path.stat().st_mtime) for path in paths} == {int(COMMIT_TIME)}
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o755, 0o644}


def test_debian_sources_are_listed_with_their_places(world: World) -> None:
    """The list has each source package once, and those whose parts were compiled into another."""
    world.write(world.image())
    lines = (world.out / "debian.txt").read_text().splitlines()
    assert [line.replace(PLACE, "") for line in lines if not line.startswith("#")] == [
        "apt = 3.0~1  apt/3.0~1/  apt",
        "rust-a = 1  rust-a/1/  x-tools",
        "rustc = 1:1.85+dfsg-1  rustc/1%3A1.85%2Bdfsg-1/  x-tools",
        "x = 1.0  x/1.0/  libx x-tools",
    ]


def test_each_form_of_source_is_known(world: World) -> None:
    """Packages, headers, subprojects, wheels and own programs are written, listed or named."""
    parts = {
        **PARTS,
        "libplacebo": part("server/ at abc"),
        "hip": part("Debian package libx (testing)", b"x"),
        "hipcc": part("Debian package hipcc (testing)", b"y"),
        "nv": part("Debian package libh-dev (trixie), with nv.patch", HEADERS),
        "volk": part("Debian package libvolk-dev, compiled into libvmaf", version="2:3"),
        "tbb": part("PyPI wheel tbb-1-py3-none-any.whl", b"z"),
        "cuda": part("image nvidia/cuda:12", b"c"),
    }
    sums = world.write(world.image(parts))
    assert {"libh-dev_12_all.deb", "libvk_1.4_all.deb"} <= set(sums)
    recipes = f"vmaf-images-{world.commit[:12]}.tar"
    here, elsewhere = world.readme().split("Without a source here:\n")
    assert f"  libplacebo 1: {recipes}\n" in here
    assert "  vulkan-headers 1.4: libvk_1.4_all.deb\n" in here
    assert "  hip 1: Debian's package libx, in debian.txt\n" in here
    assert f"  nv 1: libh-dev_12_all.deb, with nv.patch of {recipes}\n" in here
    assert "  volk 2:3: Debian's package libvolk-dev, in debian.txt, compiled into libvmaf" in here
    assert "  hipcc 1: Debian package hipcc (testing), a tool of the build\n" in elsewhere
    assert "  tbb 1: PyPI wheel tbb-1-py3-none-any.whl, as its vendor distributes it" in elsewhere
    assert "  cuda 1: image nvidia/cuda:12, as its vendor distributes it\n" in elsewhere
    listed = (world.out / "debian.txt").read_text()
    address = "https://snapshot.debian.org/binary/libvolk-dev/2%3A3/"
    assert f"libvolk-dev = 2:3  {address}\n" in listed


def test_accepted_release_is_fetched_by_the_digest_in_the_image(world: World) -> None:
    """A release that was taken instead of the locked one is fetched from the same directory."""
    content = b"newer"
    world.site.files[f"/debian/{POOL}/ffmpeg_9.0.3.orig.tar.xz"] = content
    newer = part("ffmpeg_9.0.3.orig.tar.xz from Debian's pool", content, "9.0.3", lock="accepted")
    assert "ffmpeg_9.0.3.orig.tar.xz" in world.write(world.image({**PARTS, "ffmpeg": newer}))


def test_go_modules_of_programs_are_written(world: World) -> None:
    """The modules that a program was linked from are written; go.sum has their digests."""
    program = go_program(f"dep\tm\tv1.0.0\t{MODULE_DIGEST}\n")
    sums = world.write(world.image(files={"usr/local/bin/server": program}))
    assert sums["go/m@v1.0.0.zip"] == sha256(MODULE)
    assert "  m v1.0.0: go/m@v1.0.0.zip\n" in world.readme()
    assert "  Go 1.24.4: compiler and standard library" in world.readme()


def test_crates_of_programs_are_written(world: World) -> None:
    """The crates that a program was compiled from are written; versions.json has their digests."""
    world.site.files["/crates/log/0.4.33/download"] = HEADERS
    digest = f"sha256:{sha256(HEADERS)}"
    crate = {"name": "log", "version": "0.4.33", "licence": "MIT OR Apache-2.0", "digest": digest}
    rust: Any = {**part("crate vmaf-sys 0.2.0 (a/b abc)", CRATE), "crates": [crate]}
    sums = world.write(world.image({**PARTS, "ab-av1": rust}))
    assert sums["cargo/log-0.4.33.crate"] == sha256(HEADERS)
    assert "  log 0.4.33: cargo/log-0.4.33.crate\n" in world.readme()


def tree(directory: Path, text: str = "one") -> Path:
    """Make a small tree of libvmaf."""
    (directory / "libvmaf").mkdir(parents=True)
    (directory / "model").mkdir()
    (directory / "libvmaf" / "meson.build").write_text(f"version : '9'\n# {text}\n")
    (directory / "model" / "vmaf.json").write_text("{}")
    (directory / "LICENSE").write_text("BSD+Patent")
    return directory


def built_from(directory: Path) -> dict[str, Any]:
    """Return the components of an image that was built with --libvmaf."""
    copy = trees_of.prepare("libvmaf", str(directory)).directory
    described = json.loads((copy / trees_of.DESCRIPTION).read_text())
    return {**PARTS, "libvmaf": {key: described[key] for key in ("version", "source", "digest")}}


def test_tree_of_a_user_is_written_as_it_was_built(world: World) -> None:
    """A --libvmaf tree is written without what git ignores; equal trees give equal bytes."""
    first, second = tree(world.directory / "tree1"), tree(world.directory / "tree2")
    saved = world.image(built_from(first))
    sums = world.write(saved, libvmaf=str(first))
    assert world.write(saved, libvmaf=str(second)) == sums
    with tarfile.open(world.out / "libvmaf-9.tar") as tar:
        names = ["LICENSE", "libvmaf/meson.build", "model/vmaf.json"]
        assert tar.getnames() == [f"libvmaf-9/{name}" for name in names]
    assert "  tar -xf libvmaf-9.tar\n" in world.readme()
    assert "-- --libvmaf ../libvmaf-9 --ffmpeg-release 9.0\n" in world.readme()


def test_tree_of_a_repository_is_fetched_by_its_commit(world: World) -> None:
    """A tree from a git URL is fetched again, by the commit in versions.json."""
    repository = tree(world.directory / "tree1")
    run_git(repository, "init", "--quiet")
    run_git(repository, "add", ".")
    run_git(repository, "commit", "--quiet", "--message=one")
    parts = built_from(repository)
    commit = run_git(repository, "rev-parse", "HEAD")
    (repository / "libvmaf" / "meson.build").write_text("later")
    run_git(repository, "commit", "--quiet", "--all", "--message=two")
    run_git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    parts["libvmaf"] |= {"source": f"git file://{repository} {commit}"}
    assert f"libvmaf-{parts['libvmaf']['version']}.tar" in world.write(world.image(parts))


Change = Callable[[World], SavedImage]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: w.image(files={"usr/local/share/vmaf/versions.json": "/none"}),
            "it has no /usr/local/share/vmaf/versions.json",
        ),
        (
            lambda w: w.image(org_opencontainers_image_revision="unknown"),
            "its revision is 'unknown', not a commit",
        ),
        (
            lambda w: w.image(org_opencontainers_image_revision=f"{w.commit}-dirty"),
            "it was built from edited files",
        ),
        (
            lambda w: w.image(org_opencontainers_image_revision="a" * 40),
            "this checkout does not have the commit a{40}",
        ),
        (lambda w: w.image({"x": part("somewhere")}), "'somewhere', which is of no known form"),
        (
            lambda w: w.image({"../x": part("directory vmaf", b"x")}),
            "cannot write the source of ../x",
        ),
        (
            lambda w: w.image({"x": part("directory vmaf", b"x", "../1")}),
            "states '../1' from 'directory vmaf', which is of no known form",
        ),
        (lambda w: w.image({"x": {"source": "Debian 13"}}), "KeyError: 'version'"),
        (
            lambda w: w.image({"x": part("y_1.orig.tar.gz from Debian's pool", b"y")}),
            "has no file with the digest",
        ),
        (
            lambda w: w.image(files={"usr/local/bin/x": go_program("dep\tm\tv2.0.0\th1:x=\n")}),
            "server/go.sum at .* does not have v2.0.0",
        ),
        (lambda w: w.image({"libvmaf": part("directory vmaf", b"x")}), "by --libvmaf PATH"),
    ],
)
def test_image_without_a_source_is_refused(world: World, change: Change, message: str) -> None:
    """An image whose source is not known is refused with the reason; nothing is written."""
    with pytest.raises(UserError, match=message):
        world.write(change(world))
    assert not world.left_over()


def test_another_tree_is_refused(world: World) -> None:
    """A source tree that differs from the one that was built is refused, with both digests."""
    parts = built_from(tree(world.directory / "tree1"))
    other = tree(world.directory / "tree2", "two")
    with pytest.raises(UserError, match="is not what the image was built from") as caught:
        world.write(world.image(parts), libvmaf=str(other))
    assert parts["libvmaf"]["digest"].removeprefix("sha256:") in caught.value.why


@pytest.mark.parametrize(
    ("content", "message"), [(b"other", "Do not use the file"), (None, "cannot fetch ffmpeg")]
)
def test_interrupted_work_leaves_the_earlier_result(
    world: World, content: bytes | None, message: str
) -> None:
    """If an origin has another file or none, the earlier source stays, and nothing beside it."""
    sums = world.write(world.image())
    name = f"/debian/{POOL}/ffmpeg_9.0.2.orig.tar.xz"
    del world.site.files[name]
    if content:
        world.site.files[name] = content
    for path in (world.directory / "cache").rglob("ffmpeg*"):
        path.unlink()
    with pytest.raises(UserError, match=message):
        world.write(world.image())
    assert world.left_over() == ["out"]
    assert set(sums) | {"SHA256SUMS"} == {path.name for path in world.out.iterdir()}


def test_directory_of_a_user_is_not_replaced(world: World) -> None:
    """A directory that is no earlier result is not replaced, unless it is empty."""
    world.out.mkdir()
    world.write(world.image())
    (world.out / "SHA256SUMS").unlink()
    (world.out / "mine").touch()
    with pytest.raises(UserError, match="has no SHA256SUMS of an earlier run"):
        world.write(world.image())
    assert (world.out / "mine").exists()


@pytest.fixture
def engine_image(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Make an image the one that any tag names, for the command."""

    @contextmanager
    def saved_image(_: str) -> Iterator[tuple[int, SavedImage]]:
        yield 1, world.image({"gcc": PARTS["gcc"]})

    monkeypatch.setattr(verb, "saved_image", saved_image)
    monkeypatch.setattr(verb, "RECORDS", world.directory / "tree")
    monkeypatch.setattr(catalogue, "images", dict)
    monkeypatch.setattr(client, "require", lambda: None)
    return world


def test_command_writes_below_build_or_to_the_named_directory(engine_image: World) -> None:
    """The command writes to build/sources/IMAGE, or to --output."""
    assert main(["sources", "vmaf:cpu", "a/b:c"]) == 0
    assert main(["sources", "vmaf:cpu", "--output", str(engine_image.out)]) == 0
    for path in ("tree/sources/cpu", "tree/sources/a_b_c", "out"):
        assert (engine_image.directory / path / "SHA256SUMS").is_file()


def test_command_refuses_one_directory_for_two_images(engine_image: World) -> None:
    """--output with two images is refused."""
    with pytest.raises(UserError, match="--output names one directory"):
        main(["sources", "a", "b", "--output", str(engine_image.out)])


def test_headers_in_the_lock_have_their_names() -> None:
    """The headers that are written with a component are in the lock of this checkout."""
    assert set(sources._HEADERS.values()) <= set(sources_lock.Lock.read().files)  # noqa: SLF001
