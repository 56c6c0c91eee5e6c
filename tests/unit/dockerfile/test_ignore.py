"""The files that a .dockerignore leaves in a context."""

from pathlib import Path

import pytest

from scripts.core import git
from scripts.core.paths import ROOT
from scripts.dockerfile import ignore

FILES = ("a.c", "b/a.c", "b/c/a.o", "b/c/d/x.pyc", "e/f", "e/__pycache__/g")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("", FILES),
        ("# a.c\n\n", FILES),
        ("*\n!b", ("b/a.c", "b/c/a.o", "b/c/d/x.pyc")),
        ("*\n!b/c\nb/c/d", ("b/c/a.o",)),
        ("*\n!/b/a.c", ("b/a.c",)),
        ("b", ("a.c", "e/f", "e/__pycache__/g")),
        ("*.c", ("b/a.c", "b/c/a.o", "b/c/d/x.pyc", "e/f", "e/__pycache__/g")),
        ("**/*.c\n**/__pycache__", ("b/c/a.o", "b/c/d/x.pyc", "e/f")),
        ("b/**\n!**/a.?", ("a.c", "b/a.c", "b/c/a.o", "e/f", "e/__pycache__/g")),
        ("[a-b]*\n./e/", ()),
    ],
)
def test_patterns(patterns: str, expected: tuple[str, ...], tmp_path: Path) -> None:
    """The last pattern that matches a file or a directory above it decides."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text(f"{patterns}\n.dockerignore\n")
    found = [name for name, _ in ignore.read(tmp_path).files(tmp_path)]
    assert sorted(found) == sorted(expected)


def test_context_without_patterns_has_all_files(tmp_path: Path) -> None:
    """Without a .dockerignore, links are included, and links to directories are not followed."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").touch()
    (tmp_path / "link").symlink_to("a")
    assert [name for name, _ in ignore.read(tmp_path).files(tmp_path)] == ["a/b", "link"]


def test_context_of_this_checkout() -> None:
    """The context has the recipes and no scripts; files that git does not ignore are in it."""
    found = {name for name, _ in ignore.read(ROOT).files(ROOT)}
    tracked = {str(path) for path in git.tracked("docker/recipes")}
    assert tracked <= found
    assert not any(name.startswith(("scripts/", ".git/", "tests/")) for name in found)
