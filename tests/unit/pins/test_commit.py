"""The commits of an update."""

from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.pins.commit import require_committed, write
from scripts.pins.proposal import Step
from tests.support.checkouts import run_git
from tests.unit.pins.conftest import Commit

A, B = Path("a.lock"), Path("sub/b.lock")
STEPS = [Step("pins: a 1 to 2", {A: "2\n"}), Step("pins: b 1 to 2\n\nx", {A: "3\n", B: "2\n"})]


@pytest.fixture
def checkout(commit: Commit) -> Path:
    """Return a checkout with two files, beside one that has staged changes."""
    root = commit({"a.lock": "1\n", "sub/b.lock": "1\n", "other": "old\n"})
    (root / "other").write_text("new\n")
    run_git(root, "add", "other")
    return root


def test_each_step_is_a_commit(checkout: Path) -> None:
    """Each commit has the files of its step; staged changes of other files are not in them."""
    require_committed(checkout, [A, B])
    assert write(checkout, STEPS) == 2
    log = run_git(checkout, "log", "--format=%s", "--reverse").splitlines()
    assert log == ["first", "pins: a 1 to 2", "pins: b 1 to 2"]
    assert run_git(checkout, "show", "HEAD~1:a.lock") == "2"
    assert run_git(checkout, "show", "--format=", "--name-only", "HEAD").split() == [
        "a.lock",
        "sub/b.lock",
    ]
    assert run_git(checkout, "diff", "--cached", "--name-only") == "other"


def test_nothing_newer_is_no_commit(checkout: Path) -> None:
    """Without steps, the history stays."""
    assert write(checkout, []) == 0
    assert run_git(checkout, "rev-list", "--count", "HEAD") == "1"


@pytest.mark.parametrize("staged", [False, True])
def test_edited_file_is_refused(checkout: Path, *, staged: bool) -> None:
    """Changes of a file that are not committed would get into the commit of a part."""
    (checkout / B).write_text("edited\n")
    if staged:
        run_git(checkout, "add", str(B))
    for refused in (require_committed, lambda root, _: write(root, STEPS[1:])):
        with pytest.raises(UserError, match=r"update sub/b.lock: it has changes that are not comm"):
            refused(checkout, [A, B])
    assert (checkout / A).read_text() == "1\n"
    require_committed(checkout, [A])


def test_directory_outside_git_is_refused(tmp_path: Path) -> None:
    """Without a git checkout there is nothing to commit to; the message is git's."""
    with pytest.raises(UserError, match="not a git repository"):
        require_committed(tmp_path, [A])


def test_missing_git_is_told(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git, the message says that it is missing."""
    monkeypatch.setenv("PATH", str(checkout))
    monkeypatch.setattr("scripts.core.process.environment", lambda: {"PATH": str(checkout)})
    with pytest.raises(UserError, match="git: command not found"):
        require_committed(checkout, [A])


def test_failed_commit_leaves_the_files_as_before(checkout: Path) -> None:
    """A commit that a hook refuses is an error with the reason, and nothing is half-edited."""
    hook = checkout / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ngrep -q 3 a.lock || exit 0\necho refused by the hook >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(UserError, match="refused by the hook"):
        write(checkout, STEPS)
    assert ((checkout / A).read_text(), (checkout / B).read_text()) == ("2\n", "1\n")
    assert run_git(checkout, "log", "-1", "--format=%s") == "pins: a 1 to 2"
    require_committed(checkout, [A, B])
