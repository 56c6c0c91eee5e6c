"""The reader of saved images, on archives made here."""

import errno
import gzip
import io
import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from io import BufferedWriter
from pathlib import Path

import pytest

from scripts.contents.archive import Archive, SavedImage, saved_image
from scripts.contents.unwanted import (
    BUILDS,
    CACHES,
    DEVELOPMENT,
    SECRETS,
    TOOLS,
    Leftover,
    leftovers,
)
from scripts.core import process
from scripts.core.console import UserError
from tests.support.archives import TAG, Files, layer, open_image, save


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., SavedImage]:
    """Return a function that makes an image of layers."""

    def make(*layers: Files) -> SavedImage:
        return open_image(tmp_path, *map(layer, layers))

    return make


@pytest.fixture
def docker_save(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Return a function that replaces the docker client by one that prints these bytes."""

    def install(output: bytes, message: str = "", status: int = 0) -> None:
        directory = tmp_path / "client"
        directory.mkdir(exist_ok=True)
        (directory / "output").write_bytes(output)
        client = directory / "docker"
        client.write_text(
            f'#!/bin/sh\necho "$@" >>{directory}/calls\ncat {directory}/output\n'
            f"printf %s {shlex.quote(message)} >&2\nexit {status}\n"
        )
        client.chmod(0o755)
        monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)

    return install


@pytest.mark.parametrize("oci", [True, False])
def test_layers_are_named_by_their_instruction(tmp_path: Path, *, oci: bool) -> None:
    """Each layer of a saved image has its own instruction, in both layouts of `docker save`."""
    archive = Archive(tmp_path)
    archive.add(save([layer({"a": b""}), layer({"b": b""})], oci=oci))
    first, second = archive.image(TAG).layers
    assert (str(first), str(second)) == ("layer 1 (FROM base)", "layer 2 (RUN step 1)")
    assert [entry.path for entry in second.entries] == ["/b"]


def test_layers_without_history_are_unknown(tmp_path: Path) -> None:
    """The layers of a squashed image have no instruction, rather than a wrong one."""
    archive = Archive(tmp_path)
    archive.add(save([layer({"a": b""})], history=False))
    assert str(archive.image(TAG).layers[0]) == "layer 1 (unknown)"


def test_compressed_layer_is_read(tmp_path: Path) -> None:
    """A compressed layer is read, as other tools than Docker's overlay2 store save it."""
    image = open_image(tmp_path, gzip.compress(layer({"a": b"content"})))
    assert image.read("/a") == b"content"


@pytest.mark.parametrize("compressed", [False, True])
def test_large_file_is_read_in_overlapping_pieces(tmp_path: Path, *, compressed: bool) -> None:
    """The pieces of a large file overlap, so that no text is cut in two."""
    made = layer({"small": b"other", "large": b"0123456789"})
    image = open_image(tmp_path, gzip.compress(made) if compressed else made)
    where, entry = image.merged["/large"]
    assert list(image.chunks(where, entry, 4, 2)) == [b"0123", b"234567", b"6789"]
    assert list(image.chunks(where, entry, 4, 0)) == [b"0123", b"4567", b"89"]


def test_image_is_saved_by_its_id(
    tmp_path: Path, docker_save: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image is saved by its id, as `docker save repository` would save all its tags."""
    identity = "sha256:" + "0" * 64
    docker_save(save([layer({"a": b"x"})], tag=None).getvalue())
    monkeypatch.setattr(process, "output", lambda *_: f"7 {identity}\n")
    with saved_image("repository") as (size, image):
        assert (size, image.read("/a")) == (7, b"x")
    assert (tmp_path / "client" / "calls").read_text() == f"save {identity}\n"


def test_shared_layer_is_stored_once(tmp_path: Path) -> None:
    """A layer that the archive already has is not written again when another image is saved."""
    base, above = layer({"a": b"base"}), layer({"b": b"above"})
    archive = Archive(tmp_path)
    archive.add(save([base], tag="made:base"))
    (stored,) = (tmp_path / name for name in archive.image("made:base").blobs)
    before = stored.stat()
    archive.add(save([base, above], tag="made:above"))
    assert (stored.stat().st_ino, stored.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert archive.image("made:above").read("/a") == b"base"
    assert archive.image("made:above").read("/b") == b"above"
    assert "/b" not in archive.image("made:base").merged


@pytest.mark.parametrize(
    ("size", "message"),
    [(None, "no space left"), (700, "no space left"), (0, "no such image"), (700, "")],
    ids=["complete", "incomplete", "empty", "incomplete without a message"],
)
def test_failure_to_save_is_reported(
    tmp_path: Path, docker_save: Callable[..., None], size: int | None, message: str
) -> None:
    """If `docker save` fails, the error has its message and says where space is needed."""
    docker_save(save([layer({"a": b"x"})]).getvalue()[:size], message, int(bool(message)))
    with pytest.raises(UserError) as error:
        Archive(tmp_path).save(TAG)
    assert error.value.why == (message or "`docker save` did not write this file")
    assert str(tmp_path) in error.value.todo


def test_layer_without_space_is_reported(
    tmp_path: Path, docker_save: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a layer cannot be written, the error has the reason, and no incomplete layer is read."""

    def copy(_source: object, file: BufferedWriter, _size: int) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    docker_save(save([layer({"a": b"x"})]).getvalue())
    archive = Archive(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", copy)
        with pytest.raises(UserError, match="No space left on device"):
            archive.save(TAG)
    archive.save(TAG)
    assert archive.image(TAG).read("/a") == b"x"


def test_archive_rejects_other_files(tmp_path: Path) -> None:
    """A file, or a tar file, that `docker save` did not write is refused."""
    for content in (b"no tar", layer({"a": b""})):
        with pytest.raises(UserError, match="docker save"):
            Archive(tmp_path).add(io.BytesIO(content))


def test_later_layer_overwrites_a_file(saved: Callable[..., SavedImage]) -> None:
    """The merged file system has the last version of a file; earlier versions are hidden."""
    image = saved({"a": b"old", "b": b"kept"}, {"a": b"new!"})
    assert (image.read("/a"), image.read("/b")) == (b"new!", b"kept")
    assert image.merged["/a"][0].number == 2
    ((below, entry, above),) = image.hidden
    assert (below.number, entry.path, entry.size, above.number) == (1, "/a", 3, 2)


@pytest.mark.parametrize(
    "above",
    [{"d/.wh.sub": b""}, {"d/.wh..wh..opq": b""}, {".wh.d": b""}, {"d": b"a file"}],
    ids=["whiteout", "opaque", "whiteout of the parent", "replaced by a file"],
)
def test_whiteout_hides_the_files_below(
    saved: Callable[..., SavedImage], above: Mapping[str, bytes]
) -> None:
    """A file below a whiteout is not in the merged file system, and counts as hidden."""
    image = saved({"d/": b"", "d/sub/": b"", "d/sub/f": b"12345", "dx": b""}, above)
    assert "/d/sub/f" not in image.merged
    assert "/dx" in image.merged
    assert [entry.path for _, entry, _ in image.hidden] == ["/d/sub/f"]
    with pytest.raises(FileNotFoundError):
        image.read("/d/sub/f")


def test_opaque_directory_hides_only_lower_layers(
    saved: Callable[..., SavedImage],
) -> None:
    """An opaque directory hides the files of lower layers, and none of its own layer."""
    image = saved({"d/old": b""}, {"d/new": b"", "d/.wh..wh..opq": b""})
    assert ("/d/new" in image.merged, "/d/old" in image.merged) == (True, False)


def test_links_are_followed_as_in_a_container(saved: Callable[..., SavedImage]) -> None:
    """Links in a saved image are followed as in a container, and a circle of links is an error."""
    image = saved(
        {
            "lib": "usr/lib",
            "usr/lib/libx.so": "libx.so.1",
            "usr/lib/libx.so.1": "/usr/lib/libx.so.1.2",
            "usr/lib/libx.so.1.2": b"library",
            "up": "usr/../up2",
            "up2": b"above",
            "round": "round",
        },
    )
    assert image.resolve("/lib/libx.so") == "/usr/lib/libx.so.1.2"
    assert image.read("/lib/libx.so") == b"library"
    assert image.read("/up") == b"above"
    with pytest.raises(FileNotFoundError):
        image.read("/round")


@pytest.mark.parametrize(
    "leftover",
    [*CACHES, *TOOLS, *DEVELOPMENT, *BUILDS, *SECRETS],
    ids=lambda leftover: leftover.kind,
)
def test_deleted_leftover_is_found(saved: Callable[..., SavedImage], leftover: Leftover) -> None:
    """An unwanted file that a later layer deletes is found in both layers."""
    directory, _, name = leftover.example.rpartition("/")
    image = saved({"etc/": b""}, {leftover.example: b""}, {f"{directory}/.wh.{name}": b""})
    assert leftovers(image.layers, [leftover]) == [
        f"layer 2 (RUN step 1) carries {leftover.example}: {leftover.kind}",
        f"layer 3 (RUN step 2) hides {leftover.example}: {leftover.kind}",
    ]


def test_files_of_a_runtime_image_are_no_leftovers(saved: Callable[..., SavedImage]) -> None:
    """Empty mount points, apt's locks and names similar to tools are no unwanted files."""
    good: Files = {
        "var/cache/apt/": b"",
        "var/cache/apt/archives/lock": b"",
        "var/lib/apt/lists/lock": b"",
        "ccache/": b"",
        "tmp/": b"",
        "run/lock/": b"",
        "usr/bin/ld.so": "../lib64/ld-linux-x86-64.so.2",
        "usr/bin/ldd": b"",
        "usr/bin/ffmpeg": b"",
        "usr/share/doc/libpam-modules/examples/upperLOWER.c": b"",
        "usr/lib/x86_64-linux-gnu/libgcc_s.so.1": b"",
        "opt/intel/oneapi/lib/cllibraryl9.o": b"",
    }
    image = saved(good)
    assert leftovers(image.layers, [*CACHES, *TOOLS, *DEVELOPMENT, *BUILDS, *SECRETS]) == []
