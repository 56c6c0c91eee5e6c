"""Tests of programs in the background that listen on loopback."""

import time
from pathlib import Path

import pytest

from scripts.core import loopback
from scripts.core.console import UserError


def test_daemon_ends_with_its_context(tmp_path: Path) -> None:
    """A background program is stopped when its context is left."""
    before = time.monotonic()
    with loopback.daemon(["sleep", "100"], tmp_path / "log"):
        pass
    assert time.monotonic() - before < 50


def test_silent_daemon_is_an_error_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A background program that never listens on its port is an error that shows its log."""
    monkeypatch.setattr(loopback, "TIMEOUT_SECONDS", 0)
    (tmp_path / "log").write_text("no such address\n")
    with pytest.raises(UserError, match="no such address"):
        loopback.wait(loopback.free_port(), tmp_path / "log")
