"""The registry of the rebuild bench, without a registry."""

import os
import time
from pathlib import Path

import pytest

from scripts import engine, registry
from scripts.console import UserError


def test_all_layers_go_to_the_registry_and_come_from_it() -> None:
    """By a builder of its own; not the final image's layers alone, which is the default."""
    words = registry.Registry("127.0.0.1:5000").words("cpu")
    assert words == [
        "--builder=vmaf-bench",
        "--set=cpu.cache-from=type=registry,ref=127.0.0.1:5000/vmaf-bench:cpu",
        "--set=cpu.cache-to=type=registry,ref=127.0.0.1:5000/vmaf-bench:cpu,mode=max",
    ]


def test_it_says_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is measured."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match="it takes root") as caught:
        registry.programs()
    assert "--contender" in caught.value.todo


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither BuildKit nor what compiles it is there."""
    for name in ("docker-registry", "sh"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(engine, "environment", lambda: {"PATH": str(tmp_path)})
    with pytest.raises(UserError, match="`go` is not installed"):
        registry.programs()


def test_a_daemon_ends_with_the_bench(tmp_path: Path) -> None:
    """Whatever else happens."""
    before = time.monotonic()
    with registry.daemon(["sleep", "100"], tmp_path / "log"):
        pass
    assert time.monotonic() - before < 50


def test_a_silent_daemon_is_an_error_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not a bench that waits for ever."""
    monkeypatch.setattr(registry, "PATIENCE", 0)
    (tmp_path / "log").write_text("no such address\n")
    with pytest.raises(UserError, match="no such address"):
        registry.wait(registry.free_port(), tmp_path / "log")
