"""Asking the origins, and the commits of the update."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.lock import crates, debian, pypi, update
from scripts.lock.debian import Debian, Found
from scripts.lock.offers import Offers
from scripts.lock.plan import plan
from scripts.lock.sources_lock import File, Lock
from tests.support.checkouts import run_git
from tests.unit.lock.samples import LOCK, NEW, TEXT, offer, offers

ARCHIVE = "20261205T235959Z"
PLAN = plan(
    LOCK,
    {
        **{part: offers(part) for part in LOCK.parts},
        "cuda13": offers("cuda13", nvcc="13.6.1"),
        "exp": offers("exp", exp="1.0-1"),
    },
    list(LOCK.parts),
    ARCHIVE,
)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the lock in a git checkout, beside a file with changes."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.org")
    path = tmp_path / "locked" / "sources.lock"
    path.parent.mkdir()
    path.write_text(TEXT)
    (tmp_path / "other").write_text("old\n")
    run_git(tmp_path, "init", "--quiet")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "commit", "--quiet", "--message=first")
    (tmp_path / "other").write_text("new\n")
    run_git(tmp_path, "add", "other")
    return path


def test_each_part_is_a_commit(checkout: Path) -> None:
    """Each commit has the lines of its part; staged changes of other files are not in them."""
    update.require_committed(checkout)
    assert update.write(PLAN, checkout) == 2
    log = run_git(checkout.parent, "log", "--format=%s", "--reverse").splitlines()
    assert log == ["first", "lock: cuda13 13.5.37 to 13.6.1", "lock: exp 1.0-1~exp1 to 1.0-1"]
    names = run_git(checkout.parent, "log", "-2", "--format=", "--name-only").split()
    assert names == ["locked/sources.lock"] * 2
    first = Lock.parse(run_git(checkout.parent, "show", "HEAD~1:locked/sources.lock"))
    assert first.files == {**LOCK.files, "cuda13/nvcc": first.files["cuda13/nvcc"]}
    assert first.files["cuda13/nvcc"].version == "13.6.1"
    last = Lock.parse(checkout.read_text())
    assert (last.files["exp"].version, last.archive) == ("1.0-1", ARCHIVE)
    assert run_git(checkout.parent, "diff", "--cached", "--name-only") == "other"


def test_nothing_newer_is_no_commit(checkout: Path) -> None:
    """If the origins have nothing newer, the file and the history stay."""
    current = plan(LOCK, {part: offers(part) for part in LOCK.parts}, list(LOCK.parts), ARCHIVE)
    assert update.write(current, checkout) == 0
    assert checkout.read_text() == TEXT
    assert run_git(checkout.parent, "rev-list", "--count", "HEAD") == "1"


@pytest.mark.parametrize("staged", [False, True])
def test_edited_lock_is_refused(checkout: Path, *, staged: bool) -> None:
    """Changes of the lock that are not committed would get into the commit of a part."""
    checkout.write_text(TEXT + "# note\n")
    if staged:
        run_git(checkout.parent, "add", checkout.name)
    with pytest.raises(UserError, match="it has changes that are not committed"):
        update.require_committed(checkout)


def test_lock_outside_git_is_refused(tmp_path: Path) -> None:
    """Without a git checkout there is nothing to commit to; the message is git's."""
    (tmp_path / "sources.lock").write_text(TEXT)
    with pytest.raises(UserError, match="not a git repository"):
        update.require_committed(tmp_path / "sources.lock")


def test_failed_commit_is_told(checkout: Path) -> None:
    """A commit that a hook refuses is an error with the reason; the file has the new lines."""
    hook = checkout.parents[1] / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho refused by the hook >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(UserError, match="refused by the hook"):
        update.write(PLAN, checkout)
    assert "13.6.1" in checkout.read_text()


def test_unknown_part_is_answered_with_the_list() -> None:
    """A name that is no part is an error that lists the parts; without names, all are chosen."""
    assert update.choose(LOCK, []) == list(LOCK.parts)
    assert update.choose(LOCK, ["exp", "hip6"]) == ["hip6", "exp"]
    with pytest.raises(UserError, match=r"hip6/hipcc\nChoose: cuda13, ffmpeg9.0, hip6"):
        update.choose(LOCK, ["exp", "hip6/hipcc"])


@pytest.fixture
def origins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the origins; FFmpeg 9.0.3 is in testing with a bad signature. Return who is asked."""
    asked: list[str] = []
    ffmpeg = offer(LOCK.files["ffmpeg9.0"], "9.0.3")
    locked = [
        Found(file.path.rpartition("/")[2].partition("_")[0], offer(file))
        for file in LOCK.files.values()
        if file.is_debian and file.name != "ffmpeg9.0"
    ]

    def of_index(files: Sequence[File], *_: object) -> Offers:
        asked.append(files[0].part)
        return offers(files[0].part)

    def of_debian() -> Debian:
        asked.append("Debian")
        found = [*locked, Found("ffmpeg", ffmpeg)]
        dates = dict.fromkeys(("testing", "experimental"), datetime(2026, 12, 5, tzinfo=UTC))
        return Debian(dict.fromkeys(dates, found), dates, {NEW: "the signature is not valid"})

    monkeypatch.setattr(pypi, "ask", of_index)
    monkeypatch.setattr(crates, "ask", of_index)
    monkeypatch.setattr(debian, "ask", of_debian)
    return asked


def test_only_the_origins_of_the_parts_are_asked(origins: list[str]) -> None:
    """An index is asked for its parts, and Debian only if a part is from there."""
    assert len(update.ask(LOCK, ["cuda13", "libvmaf"], {}).findings) == 2
    assert origins == ["cuda13", "libvmaf"]
    assert not any(found.is_behind for found in update.ask(LOCK, ["hip6"], {}).findings)
    assert origins == ["cuda13", "libvmaf", "Debian"]


def test_bad_signature_ends_the_update(origins: list[str]) -> None:
    """A new tarball whose signature is not valid is an error before anything is written."""
    with pytest.raises(UserError, match=r"cannot lock ffmpeg_9.0.3.orig.tar.xz: the signature"):
        update.ask(LOCK, ["ffmpeg9.0"], {})
    assert origins == ["Debian"]


def test_archive_waits_for_parts_that_were_not_named(origins: list[str]) -> None:
    """FFmpeg is newer in testing, so the archive stays when only another part is updated."""
    old = replace(LOCK.files["exp"], version="0.9-1", path="pool/main/e/exp/exp_0.9-1_all.deb")
    made = update.ask(LOCK.replace({"exp": old}), ["exp"], {})
    ((lock, _),) = made.steps()
    assert (made.holding, lock.archive) == (("ffmpeg9.0",), LOCK.archive)
    assert origins == ["Debian"]
