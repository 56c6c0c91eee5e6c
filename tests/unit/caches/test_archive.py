"""Tests of scripts/caches/archive.py."""

from pathlib import Path

import msgspec
import pytest

from scripts.caches.archive import LAYER, Descriptor, Entry, Layout, is_reference
from scripts.core.console import UserError

ENTRY = Entry(
    id="vmaf-ccache-amd64",
    namespace="",
    architecture="amd64",
    files=1,
    bytes=100,
    archive_bytes=3,
    digest="",
    compiler={"gcc": "1"},
    hit_rates={"ccache": 0.5},
    commit="abc",
)


def commit(layout: Layout, content: bytes, identifier: str = ENTRY.id) -> Descriptor:
    """Save an archive with one mount to a layout."""
    part = layout.part()
    part.write_bytes(content)
    blob = layout.add(part, LAYER).titled(f"{identifier}.tar.zst")
    entry = msgspec.structs.replace(ENTRY, id=identifier, digest=blob.digest)
    layout.commit([entry], [blob])
    return blob


def test_committed_archive_is_read(tmp_path: Path) -> None:
    """An archive has its entries, and its layer a digest and a size."""
    layout = Layout(tmp_path / "new")
    assert layout.entries() == []
    blob = commit(layout, b"one")
    (entry,) = Layout(tmp_path / "new").entries()
    assert (entry.digest, entry.hit_rates) == (blob.digest, {"ccache": 0.5})
    manifest = layout.manifest()
    assert manifest
    assert manifest.layers == [blob]
    layout.check(blob)


def test_previous_blobs_are_removed(tmp_path: Path) -> None:
    """A layout keeps the blobs of its archive only: a layer, a config and a manifest."""
    layout = Layout(tmp_path)
    commit(layout, b"one")
    layout.part().write_bytes(b"of an interrupted save")
    commit(layout, b"two")
    assert len(list((tmp_path / "blobs" / "sha256").iterdir())) == 3


def test_interrupted_save_leaves_the_archive(tmp_path: Path) -> None:
    """Until index.json is replaced, the previous archive is valid."""
    layout = Layout(tmp_path)
    blob = commit(layout, b"one")
    before = layout.entries()
    part = layout.part()
    part.write_bytes(b"two")
    layout.add(part, LAYER)
    (tmp_path / ".part-index.json").write_text("{")
    assert Layout(tmp_path).entries() == before
    layout.check(blob)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"on", "2 bytes, not 3"), (b"onf", "another digest"), (None, "is missing")],
)
def test_damaged_blobs_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    """A blob that is truncated, changed or missing is refused."""
    layout = Layout(tmp_path)
    blob = commit(layout, b"one")
    path = layout.path(blob.digest)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        layout.check(blob)


@pytest.mark.parametrize("file", ["manifest", "config"])
def test_damaged_documents_are_refused(tmp_path: Path, file: str) -> None:
    """A manifest or config that was changed is refused."""
    layout = Layout(tmp_path)
    commit(layout, b"one")
    manifest = layout.manifest()
    assert manifest
    names = {path.name for path in (tmp_path / "blobs" / "sha256").iterdir()}
    config = manifest.config.digest.removeprefix("sha256:")
    others = {blob.digest.removeprefix("sha256:") for blob in manifest.blobs}
    name = config if file == "config" else next(iter(names - others))
    path = tmp_path / "blobs" / "sha256" / name
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    with pytest.raises(UserError, match="another digest"):
        layout.entries()


def test_other_files_are_not_touched(tmp_path: Path) -> None:
    """A directory with other files, or the layout of something else, is refused."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="another directory"):
        Layout(tmp_path)
    (tmp_path / "oci-layout").touch()
    (tmp_path / "index.json").write_text('{"manifests": []}')
    with pytest.raises(UserError, match="0 manifests"):
        Layout(tmp_path).entries()
    (tmp_path / "index.json").write_text("not JSON")
    with pytest.raises(UserError, match="not an archive"):
        Layout(tmp_path).entries()


def test_digests_name_no_other_paths(tmp_path: Path) -> None:
    """A digest that would name a file outside of the layout is refused."""
    with pytest.raises(UserError, match="not a digest"):
        Layout(tmp_path).path("sha256:../../../etc/passwd")


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("registry.example.org/team/caches:main", True),
        ("localhost/caches", True),
        ("127.0.0.1:5000/caches@sha256:00", True),
        ("registry:5000/caches", True),
        ("caches", False),
        ("caches/main", False),
        ("./caches.d/main", False),
        ("../caches", False),
        ("/var/caches.d/main", False),
        ("~/caches.d/main", False),
    ],
)
def test_references_are_told_from_directories(place: str, expected: bool) -> None:  # noqa: FBT001
    """A place is a reference if its first part is the name of a host, as in docker."""
    assert is_reference(place) is expected
