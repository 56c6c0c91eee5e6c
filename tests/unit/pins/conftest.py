"""A git checkout with pins."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.checkouts import run_git

Commit = Callable[[dict[str, str]], Path]
"""Writes files, commits them, and returns the checkout."""


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commit:
    """Return a function that commits files, by path, to a new checkout."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.org")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    run_git(checkout, "init", "--quiet")

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_text(text)
        run_git(checkout, "add", ".")
        run_git(checkout, "commit", "--quiet", "--message=first")
        return checkout

    return write
