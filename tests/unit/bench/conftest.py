"""The fixtures of the tests of scripts/bench."""

from pathlib import Path

import pytest

from scripts.bench import builds, cleanup, rebuild, session
from scripts.bench.results import Run
from scripts.bench.session import Session


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Return a session whose files are in a temporary directory."""
    for module in (builds, cleanup, rebuild, session):
        monkeypatch.setattr(module, "DIRECTORY", tmp_path)
    run = Run("2026-11-22T00:00:00Z", "abc", {"cpus": 2, "memory_gb": 8})
    return Session(run, tmp_path / "x-run.json", "bootstrap")
