"""The registry of the rebuild bench, without a registry."""

import os
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from scripts.bench import registry
from scripts.core import process
from scripts.core.console import UserError


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return what the registry's repository of layers holds; empty."""
    tags: set[str] = set()
    monkeypatch.setattr(registry.Registry, "tags", lambda _self, _repository: tags)
    return tags


def words(target: str) -> list[str]:
    """Return what a build of a target is told, without what is the same in all."""
    told = registry.Registry("127.0.0.1:5000").words(target)
    cache = "type=registry,ref=127.0.0.1:5000/vmaf-bench:"
    assert told[0] == "--builder=vmaf-bench"
    assert all(word.startswith(f"--set={target}.cache-") and cache in word for word in told[1:])
    return [word.removeprefix(f"--set={target}.cache-").replace(cache, "") for word in told[1:]]


def test_all_layers_go_to_the_registry(kept: set[str]) -> None:
    """By a builder of its own; not the final image's layers alone, which is the default."""
    assert not kept
    assert words("cpu") == ["to=cpu,mode=max"]


def test_no_later_build_writes_over_the_first(kept: set[str]) -> None:
    """BuildKit exports less of what it imported each time: the first has all there is."""
    kept.add("cpu")
    assert words("cpu") == ["from=cpu", "to=cpu-branch,mode=max"]
    kept.add("cpu-branch")
    assert words("cpu") == ["from=cpu-branch", "from=cpu", "to=cpu-branch,mode=max"]


def test_another_image_finds_what_is_the_same_in_the_first(kept: set[str]) -> None:
    """The toolchain, of the main branch; the edits of others' branches are none of its own."""
    kept.update(("cpu", "cpu-branch"))
    assert words("cuda12") == ["from=cpu", "to=cuda12,mode=max"]


class _Pages(BaseHTTPRequestHandler):
    """Answers as Debian's docker-registry does."""

    def do_GET(self) -> None:
        """Tell of one repository."""
        there = self.path == "/v2/vmaf-bench/tags/list"
        self.send_response(200 if there else 404)
        self.end_headers()
        self.wfile.write(b'{"name": "vmaf-bench", "tags": ["cpu"]}' if there else b"{}")

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def test_it_knows_what_it_holds() -> None:
    """Nothing, where nothing was put yet."""
    with HTTPServer(("127.0.0.1", 0), _Pages) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        one = registry.Registry(f"127.0.0.1:{server.server_port}")
        assert one.tags(registry.LAYERS) == {"cpu"}
        assert one.tags(registry.BASES) == set()
        server.shutdown()


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
    monkeypatch.setattr(process, "environment", lambda: {"PATH": str(tmp_path)})
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
