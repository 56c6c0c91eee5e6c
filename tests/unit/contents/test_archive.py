"""The reader of saved images, on archives made here."""

import gzip
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.contents.archive import Archive, SavedImage, opened
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
from tests.support.archives import TAG, Files, layer, save


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[Callable[..., SavedImage]]:
    """Return a function that makes an image of layers."""
    with ExitStack() as stack:

        def make(*layers: Files) -> SavedImage:
            path = save(tmp_path, [layer(files) for files in layers])
            return stack.enter_context(Archive(path)).image(TAG)

        yield make


@pytest.mark.parametrize("oci", [True, False])
def test_layers_are_named_by_their_instruction(tmp_path: Path, *, oci: bool) -> None:
    """Steps that make no layer are passed over, in either layout."""
    path = save(tmp_path, [layer({"a": b""}), layer({"b": b""})], oci=oci)
    with Archive(path) as archive:
        first, second = archive.image(TAG).layers
    assert (str(first), str(second)) == ("layer 1 (FROM base)", "layer 2 (RUN step 1)")
    assert [entry.path for entry in second.entries] == ["/b"]


def test_layers_without_history_are_unknown(tmp_path: Path) -> None:
    """A squashed image has fewer steps than it claims; no layer is given a wrong name."""
    path = save(tmp_path, [layer({"a": b""})], history=False)
    with Archive(path) as archive:
        assert str(archive.image(TAG).layers[0]) == "layer 1 (unknown)"


def test_a_compressed_layer_is_read(tmp_path: Path) -> None:
    """Other tools than Docker's overlay2 store save layers compressed."""
    path = save(tmp_path, [gzip.compress(layer({"a": b"content"}))])
    with Archive(path) as archive:
        assert archive.image(TAG).read("/a") == b"content"


@pytest.mark.parametrize("compressed", [False, True])
def test_a_large_file_is_read_in_pieces(tmp_path: Path, *, compressed: bool) -> None:
    """Each begins with the end of the one before, so that nothing is cut in two."""
    made = layer({"small": b"other", "large": b"0123456789"})
    with Archive(save(tmp_path, [gzip.compress(made) if compressed else made])) as archive:
        image = archive.image(TAG)
        where, entry = image.merged["/large"]
        assert list(image.chunks(where, entry, 4, 2)) == [b"0123", b"234567", b"6789"]
        assert list(image.chunks(where, entry, 4, 0)) == [b"0123", b"4567", b"89"]


def test_any_name_of_an_image_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is saved by its id, as `repository` alone would save all its tags; that has no tag."""
    identity = "sha256:" + "0" * 64
    asked: list[str] = []

    def run(words: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(words[-1])
        output = Path(words[2].removeprefix("--output="))
        output.write_bytes(save(tmp_path, [layer({"a": b"x"})], tag=None).read_bytes())
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(process, "output", lambda *_: f"7 {identity}\n")
    monkeypatch.setattr(subprocess, "run", run)
    with opened("repository") as (size, image):
        assert (size, image.read("/a")) == (7, b"x")
    assert asked == [identity]


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    """Neither any file nor any tar file will do."""
    path = tmp_path / "other.tar"
    path.write_bytes(b"no tar")
    with pytest.raises(UserError, match="docker save"):
        Archive(path)
    path.write_bytes(layer({"a": b""}))
    with pytest.raises(UserError, match="docker save"):
        Archive(path)


def test_later_layers_win(saved: Callable[..., SavedImage]) -> None:
    """The merged file system has the last version of a file, and remembers whose it is."""
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
def test_whiteouts_hide(saved: Callable[..., SavedImage], above: Mapping[str, bytes]) -> None:
    """What a whiteout hides is gone from the merged file system, and counted as hidden."""
    image = saved({"d/": b"", "d/sub/": b"", "d/sub/f": b"12345", "dx": b""}, above)
    assert "/d/sub/f" not in image.merged
    assert "/dx" in image.merged
    assert [entry.path for _, entry, _ in image.hidden] == ["/d/sub/f"]
    with pytest.raises(FileNotFoundError):
        image.read("/d/sub/f")


def test_an_opaque_folder_keeps_what_its_own_layer_puts_in_it(
    saved: Callable[..., SavedImage],
) -> None:
    """Only the layers below are hidden."""
    image = saved({"d/old": b""}, {"d/new": b"", "d/.wh..wh..opq": b""})
    assert ("/d/new" in image.merged, "/d/old" in image.merged) == (True, False)


def test_links_are_followed_as_in_a_container(saved: Callable[..., SavedImage]) -> None:
    """A link may be relative, absolute or below a linked directory; a circle of links ends."""
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
    ids=lambda leftover: leftover.what,
)
def test_a_planted_leftover_is_found_though_deleted(
    saved: Callable[..., SavedImage], leftover: Leftover
) -> None:
    """The layer that carries it is named, and so is the one that only hides it."""
    directory, _, name = leftover.example.rpartition("/")
    image = saved({"etc/": b""}, {leftover.example: b""}, {f"{directory}/.wh.{name}": b""})
    assert leftovers(image.layers, [leftover]) == [
        f"layer 2 (RUN step 1) carries {leftover.example}: {leftover.what}",
        f"layer 3 (RUN step 2) hides {leftover.example}: {leftover.what}",
    ]


def test_what_a_runtime_image_has_is_no_leftover(saved: Callable[..., SavedImage]) -> None:
    """Empty mount points, apt's locks and look-alikes of tools are in every good image."""
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
