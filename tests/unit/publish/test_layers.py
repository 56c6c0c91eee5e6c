"""The layers of a published image, of what two engines write of the same steps."""

import io
import tarfile
from pathlib import Path

import pytest

from scripts.contents.archive import Archive, SavedImage
from scripts.publish import layers
from tests.support import archives

BASE = archives.layer({"etc/": b"", "etc/a": b"a", "etc/b": b"b", "old": b"", "run/": b""})


def saved(directory: Path, *contents: bytes) -> SavedImage:
    """Return an image with these layers, saved to a directory."""
    directory.mkdir()
    archive = Archive(directory)
    archive.add(archives.save([BASE, *contents]))
    return archive.image(archives.TAG)


def written(directory: Path, *contents: bytes) -> bytes:
    """Return the last of the layers above the base, as it is published."""
    image = saved(directory, *contents)
    layers.write(image, image.layers[-1], directory, directory / "written")
    return (directory / "written").read_bytes()


def names(layer: bytes) -> list[str]:
    """Return the names in a layer."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return tar.getnames()


def with_headers(layer: bytes, **fields: int | str) -> bytes:
    """Return a layer whose members have other headers."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(layer)) as source,
        tarfile.open(fileobj=out, mode="w") as tar,
    ):
        for member in source:
            for name, value in fields.items():
                setattr(member, name, value)
            tar.addfile(member, source.extractfile(member) if member.isreg() else None)
    return out.getvalue()


def test_entries_that_change_nothing_are_left_out(tmp_path: Path) -> None:
    """Directories and files that a step only opened, and marks without effect, are left out."""
    small = archives.layer({"etc/c": b"c", "new/": b"", "new/d": b"d"})
    large = archives.layer(
        {
            "etc/": b"",
            "etc/a": b"a",
            "etc/c": b"c",
            "new/": b"",
            "new/.wh..wh..opq": b"",
            "new/d": b"d",
            "run/": b"",
            ".wh.absent": b"",
        }
    )
    first = written(tmp_path / "a", small)
    assert names(first) == ["etc/c", "new", "new/d"]
    assert written(tmp_path / "b", large) == first


@pytest.mark.parametrize("fields", [{"mtime": 1_700_000_000}, {"uname": "vmaf"}])
def test_times_and_names_of_users_make_no_difference(
    tmp_path: Path, fields: dict[str, int | str]
) -> None:
    """Times and the names of users, which are not in an image, do not change the bytes."""
    layer = archives.layer({"etc/c": b"c", ".wh.old": b""})
    assert written(tmp_path / "a", layer) == written(tmp_path / "b", with_headers(layer, **fields))


@pytest.mark.parametrize(
    ("files", "modes"),
    [
        ({"etc/a": b"A"}, {}),
        ({"etc/a": b"aa"}, {}),
        ({"etc/a": b"a"}, {"etc/a": 0o600}),
        ({"etc/a": "b"}, {}),
        ({"etc/": b""}, {"etc/": 0o700}),
        ({".wh.old": b""}, {}),
        ({"etc/.wh.a": b""}, {}),
        ({"etc/.wh..wh..opq": b""}, {}),
    ],
    ids=["content", "size", "mode", "link", "mode of a directory", "whiteout", "in it", "opaque"],
)
def test_changes_stay(tmp_path: Path, files: dict[str, str | bytes], modes: dict[str, int]) -> None:
    """Each kind of change to what is below stays in the layer."""
    layer = archives.layer(files, modes)
    assert names(written(tmp_path / "a", layer)) == names(layer)


def test_owner_and_attributes_are_changes(tmp_path: Path) -> None:
    """An owner, or a capability of a program, is a change, and stays in the layer."""
    unchanged = archives.layer({"etc/a": b"a"})
    assert names(written(tmp_path / "a", unchanged)) == []
    assert names(written(tmp_path / "b", with_headers(unchanged, uid=1000))) == ["etc/a"]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("etc/a")
        member.size, member.mode = 1, 0o644
        member.pax_headers = {"SCHILY.xattr.user.x": "y", "mtime": "5.5"}
        tar.addfile(member, io.BytesIO(b"a"))
    with tarfile.open(fileobj=io.BytesIO(written(tmp_path / "c", out.getvalue()))) as tar:
        (kept,) = tar
        assert kept.pax_headers == {"SCHILY.xattr.user.x": "y"}


def test_hard_links_stay_with_their_files(tmp_path: Path) -> None:
    """A file that has a hard link in the layer stays, though it is the same as the one below."""
    layer = archives.layer({"etc/a": b"a", "etc/z": b""}, hard={"etc/z": "etc/a"})
    result = written(tmp_path / "a", layer)
    assert names(result) == ["etc/a", "etc/z"]
    with tarfile.open(fileobj=io.BytesIO(result)) as tar:
        assert tar.getmember("etc/z").linkname == "etc/a"


def test_layer_is_compared_with_all_layers_below(tmp_path: Path) -> None:
    """A file that a layer in between changed or removed is a change again."""
    changed = archives.layer({"etc/a": b"A", ".wh.old": b""})
    again = archives.layer({"etc/a": b"a", "old": b"", "etc/b": b"b"})
    assert names(written(tmp_path / "a", changed, again)) == ["etc/a", "old"]
