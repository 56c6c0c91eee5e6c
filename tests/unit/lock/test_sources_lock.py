"""Reading and writing sources.lock."""

from dataclasses import replace

import pytest

from scripts.core.console import UserError
from scripts.lock import sources_lock
from scripts.lock.sources_lock import Lock
from tests.unit.lock.samples import LOCK, NEW, TEXT, A, B, C


def test_columns_and_parts_are_read() -> None:
    """A file has its columns, and a part its files in their order."""
    file = LOCK.files["ffmpeg9.0"]
    assert (file.version, file.sha256, file.origin) == ("9.0.2", B, "testing")
    assert file.path == "pool/main/f/ffmpeg/ffmpeg_9.0.2.orig.tar.xz"
    assert file.address == "https://ffmpeg.org/ffmpeg-9.0.2.tar.xz"
    assert (file.part, file.short, file.is_debian) == ("ffmpeg9.0", "ffmpeg9.0", True)
    hip = LOCK.parts["hip6"]
    assert [file.short for file in hip] == ["hipcc", "libhip-6", "libhip-d"]
    assert {file.part for file in hip} == {"hip6"}
    assert list(LOCK.parts) == ["cuda13", "ffmpeg9.0", "hip6", "libvmaf", "exp"]
    assert not LOCK.files["libvmaf"].is_debian
    assert LOCK.archive == "20261127T000000Z"


def test_unchanged_lock_is_written_as_it_was() -> None:
    """Reading and writing gives the same bytes: comments, empty lines and alignment stay."""
    assert LOCK.text() == TEXT
    assert LOCK.replace({}).text() == TEXT


def test_lock_of_the_repository_is_written_as_it_was() -> None:
    """The lock of this checkout is well-formed, and aligned as the update aligns it."""
    assert Lock.read().text() == sources_lock.PATH.read_text()


def test_replaced_lines_are_aligned_with_the_others() -> None:
    """A longer version widens its column in all lines; only the replaced file changes."""
    old = LOCK.files["cuda13/nvcc"]
    new = replace(old, version="13.10.123456789.1", sha256=NEW)
    lock = LOCK.replace({new.name: new}, "20261201T235959Z")
    assert lock.files == {**LOCK.files, new.name: new}
    assert lock.archive == "20261201T235959Z"
    lines = lock.text().splitlines()
    rows = [line for line in lines if "testing" in line or "pypi" in line]
    assert len({line.index(line.split()[2]) for line in rows}) == 1
    assert lines[2].index("sha256") == rows[0].index(NEW)
    assert Lock.parse(lock.text()) == lock
    assert lock.replace({old.name: old}, LOCK.archive).text() == TEXT


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f"  {B}", "", "line 6, `ffmpeg9.0`, has 5 columns|has the digest `testing`"),
        ("  vmaf-sys", "", "line 12, `libvmaf`, has 4 columns; it needs name version sha256"),
        ("-9.0.2.tar.xz", "-9.0.2.tar.xz more", "line 6, `ffmpeg9.0`, has 7 columns"),
        (B, B[:-1], r"line 6, `ffmpeg9.0`, has the digest `b+`, which is not a SHA-256"),
        (B, B.upper(), "which is not a SHA-256"),
        ("crates.io ", "crates.oi ", "has the origin `crates.oi`, which is none of trixie"),
        ("https://", "http://", "has the address `http://ffmpeg.org"),
        ("exp_1.0-1~exp1_all", "exp_1.0-2~exp1_all", "has the version 1.0-1~exp1, and its path"),
        ("pool/main/e", "main/e", "has the path `main/e/exp.*no package or source tarball"),
        ("vmaf-sys", "a/vmaf-sys", "has the path `a/vmaf-sys`, which is no name in an index"),
        ("hip6/libhip-d", "hip6/libhip-6", "line 9, `hip6/libhip-6`, is there twice"),
        ("hip6/libhip-d", "hip6", "makes hip6 a part of one file and of several"),
        ("cuda13/nvcc  ", "hip6         ", "makes hip6 a part of one file and of several"),
        (f"{C}  testing", f"{C}  trixie", "is from testing, and other files of hip6 are not"),
        ("archive ", "# archive ", "it has no line `archive`"),
        ("20261127T000000Z", "2026-11-27", "line 4, `archive`, needs one time, such as"),
        ("20261127T000000Z", "20261127T000000Z x", "line 4, `archive`, needs one time"),
    ],
)
def test_damaged_line_is_named(old: str, new: str, message: str) -> None:
    """A damaged line is an error with its number, its name and the fault."""
    assert TEXT.count(old) == 1 or old in {B, "archive "}
    with pytest.raises(UserError, match=message) as caught:
        Lock.parse(TEXT.replace(old, new))
    assert caught.value.what == "cannot read docker/recipes/fetch/locked/sources.lock"


def test_empty_lock_is_refused() -> None:
    """A lock without files is an error, as every part would have vanished."""
    with pytest.raises(UserError, match="it names no file"):
        Lock.parse("archive 20261127T000000Z\n")


def test_absent_lock_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that does not exist is an error that names it."""
    monkeypatch.setattr(sources_lock, "PATH", sources_lock.PATH.with_name("gone.lock"))
    with pytest.raises(UserError, match=r"locked/gone.lock: No such file"):
        Lock.read()


def test_version_of_a_wheel_needs_no_path() -> None:
    """The path of a wheel is its name in the index, which has no version."""
    assert LOCK.files["cuda13/nvcc"].path == "nvcc"
    assert LOCK.files["cuda13/nvcc"].sha256 == A
