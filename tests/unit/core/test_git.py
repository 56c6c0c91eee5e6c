"""What git reports of a checkout: its files, its revision and the time of its images."""

import tarfile
from pathlib import Path

import pytest

from scripts.core import git
from scripts.core.console import UserError
from tests.support.checkouts import COMMIT_TIME, run_git


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout with one commit, which takes the place of this one."""
    monkeypatch.setattr(git, "ROOT", tmp_path)
    (tmp_path / "Dockerfile").touch()
    (tmp_path / "gone.sh").touch()
    (tmp_path / ".gitignore").write_text("ignored*\n")
    run_git(tmp_path, "init", "--quiet")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "commit", "--quiet", "--message=one")
    return tmp_path


def test_tracked_lists_the_files_that_a_commit_would_have(checkout: Path) -> None:
    """The files of a checkout include new ones, but no ignored or deleted ones."""
    (checkout / "new.sh").touch()
    (checkout / "ignored.sh").touch()
    (checkout / "gone.sh").unlink()
    assert git.tracked("*.sh") == [Path("new.sh")]
    assert set(git.tracked()) == {Path("Dockerfile"), Path(".gitignore"), Path("new.sh")}


def test_dockerfiles_are_found_by_their_names(checkout: Path) -> None:
    """The linted Dockerfiles are those of any name Dockerfile* or Containerfile* in a checkout."""
    (checkout / "dev").mkdir()
    (checkout / "dev" / "Containerfile").touch()
    (checkout / "dev" / "Dockerfile.test").touch()
    assert set(map(str, git.dockerfiles())) == {
        "Dockerfile",
        "dev/Containerfile",
        "dev/Dockerfile.test",
    }


def test_revision_is_the_commit_and_marks_edits(checkout: Path) -> None:
    """The revision of a checkout is its commit, not its tag, and an edit adds `-dirty`."""
    commit = run_git(checkout, "rev-parse", "HEAD")
    run_git(checkout, "tag", "v1")
    assert git.revision() == commit
    (checkout / "Dockerfile").write_text("FROM scratch\n")
    assert git.revision() == f"{commit}-dirty"


def test_revision_is_unknown_outside_of_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files outside of a checkout have no revision, and their images the time of the build."""
    monkeypatch.setattr(git, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git.revision() == "unknown"
    assert git.epoch({}) == ""


def test_images_have_the_time_of_the_commit(checkout: Path) -> None:
    """Images of a commit have its time; images of edited files have the time of the build."""
    assert git.epoch({}) == COMMIT_TIME
    (checkout / "Dockerfile").write_text("FROM scratch\n")
    assert git.epoch({}) == ""


@pytest.mark.parametrize("time", ["0", "1700000000", ""])
def test_source_date_epoch_replaces_the_time_of_the_commit(time: str) -> None:
    """SOURCE_DATE_EPOCH is used unchanged; an empty value gives the time of the build."""
    assert git.epoch({"SOURCE_DATE_EPOCH": time}) == time


@pytest.mark.parametrize("time", ["yesterday", "-1", "1.5"])
def test_source_date_epoch_must_be_a_number(time: str) -> None:
    """An invalid SOURCE_DATE_EPOCH is an error that shows how to get a valid one."""
    with pytest.raises(UserError, match="git log"):
        git.epoch({"SOURCE_DATE_EPOCH": time})


def test_commit_is_read_whatever_is_checked_out(checkout: Path) -> None:
    """The files and the time of a commit are read from git, not from the checkout."""
    commit = run_git(checkout, "rev-parse", "HEAD")
    (checkout / ".gitignore").write_text("edited\n")
    assert git.has(commit)
    assert not git.has("a" * 40)
    assert git.read(commit, ".gitignore") == "ignored*\n"
    assert not git.read(commit, "nothing")
    assert git.time(commit) == int(COMMIT_TIME)


def test_archive_of_a_commit_has_its_files(checkout: Path) -> None:
    """The archive of a commit has its files below the prefix; a commit that is absent is named."""
    path = checkout / "ignored.tar"
    git.archive("HEAD", "top", path)
    with tarfile.open(path) as tar:
        names = ["top", "top/.gitignore", "top/Dockerfile", "top/gone.sh"]
        assert sorted(tar.getnames()) == names
    with pytest.raises(UserError, match=f"cannot write ignored.tar: .*{'a' * 40}"):
        git.archive("a" * 40, "top", path)
