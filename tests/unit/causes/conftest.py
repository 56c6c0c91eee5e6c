"""The fixtures of the tests of scripts/causes."""

from pathlib import Path

import pytest

from scripts.causes import store


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store inputs in a temporary directory."""
    monkeypatch.setattr(store, "RECORDS", tmp_path / "build")
