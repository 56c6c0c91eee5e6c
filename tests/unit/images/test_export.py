"""Tests of the export of source trees, without Docker."""

import json
import tarfile
from pathlib import Path

import pytest

from scripts.buildkit import progress
from scripts.buildkit.progress import Outcome
from scripts.buildkit.rawjson import Build
from scripts.core.console import UserError
from scripts.images import export
from tests.support.builds import STARTED


def test_source_tree_is_exported_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A source tree is exported completely, once, and replaces an interrupted export."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.c").write_text("int a;\n")
    exports = []

    def follow(command: list[str], **_: object) -> Outcome:
        exports.append(command[-1])
        document = json.loads(Path(command[command.index("exported-source") - 1]).read_text())
        (output,) = document["target"]["exported-source"]["output"]
        with tarfile.open(output.partition("dest=")[2], "w") as archive:
            archive.add(tmp_path / "tree", ".")
        return Outcome(Build(), 0, STARTED, 1.0, tmp_path / "log")

    monkeypatch.setattr(export, "RECORDS", tmp_path)
    monkeypatch.setattr(progress, "follow", follow)
    directory = tmp_path / "sources" / "ffmpeg"
    (tmp_path / "sources" / "ffmpeg.part").mkdir(parents=True)
    (tmp_path / "sources" / "ffmpeg.part" / "half").touch()
    for _ in range(2):
        export.source_tree("ffmpeg", directory, "registry")
        assert [path.name for path in directory.iterdir()] == ["a.c"]
    assert len(exports) == 1
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]


def test_failed_export_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If the stage cannot be built, there is no directory."""
    monkeypatch.setattr(export, "RECORDS", tmp_path)
    failed = Outcome(Build(), 1, STARTED, 1.0, tmp_path / "log")
    monkeypatch.setattr(progress, "follow", lambda *_, **__: failed)
    with pytest.raises(UserError):
        export.source_tree("ffmpeg", tmp_path / "ffmpeg", "registry")
    assert not (tmp_path / "ffmpeg").exists()
