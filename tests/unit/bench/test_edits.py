"""Tests of scripts/bench/edits.py."""

import re
from pathlib import Path

import pytest

from scripts.bench import edits
from scripts.bench.contenders import PRODUCTION
from scripts.core.console import UserError
from scripts.core.paths import ROOT

NONCE = "0123456789ab"
TEXT = "int one(void) { return 1; }\n"


@pytest.mark.parametrize("file", ["a.c", "a.cu"])
def test_edit_adds_code_with_a_marker(file: str, tmp_path: Path) -> None:
    """An edit of the bench adds code, as a comment would leave the object unchanged."""
    (tmp_path / file).write_text(TEXT)
    edits.edit_source(tmp_path, file, NONCE)
    added = (tmp_path / file).read_text().removeprefix(TEXT)
    assert f"vmaf_bench_{NONCE}" in added
    assert "used" in added or "__global__" in added


def test_edit_rejects_a_missing_file(tmp_path: Path) -> None:
    """An edit of a file that does not exist is an error, not a build without an edit."""
    with pytest.raises(UserError, match=r"no b\.c"):
        edits.edit_source(tmp_path, "b.c", NONCE)


def test_edited_header_can_be_included_twice(tmp_path: Path) -> None:
    """The bench's edit of a header is inside its include guard."""
    (tmp_path / "a.h").write_text(f"#ifndef A\n#define A\n{TEXT}#endif /* A */\n")
    edits.edit_source(tmp_path, "a.h", NONCE)
    text = (tmp_path / "a.h").read_text()
    assert f"vmaf_bench_{NONCE}" in text
    assert text.endswith("#endif /* A */\n")


def test_package_is_added_to_the_toolchain_only(tmp_path: Path) -> None:
    """The bench adds a package by a change of the line that installs the toolchain."""
    file = tmp_path / "Dockerfile"
    text = (ROOT / PRODUCTION).read_text()
    file.write_text(text)
    edits.add_package(file, "ed")
    pairs = zip(text.splitlines(), file.read_text().splitlines(), strict=True)
    changed = [new for old, new in pairs if old != new]
    assert len(changed) == 1
    assert re.search(r"apt\.sh target ed\b", changed[0])


def test_package_needs_a_toolchain(tmp_path: Path) -> None:
    """A Dockerfile whose toolchain installs nothing is an error, not an unchanged build."""
    file = tmp_path / "Dockerfile"
    file.write_text("FROM scratch AS toolchain\n")
    with pytest.raises(UserError, match="installs none"):
        edits.add_package(file, "ed")
