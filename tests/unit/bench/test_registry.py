"""Tests of scripts/bench/registry.py, without a registry."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from scripts.bench import registry
from scripts.core import process
from scripts.core.console import UserError


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the tags of the registry's repository of layers, which are none at first."""
    tags: set[str] = set()
    monkeypatch.setattr(registry.Registry, "tags", lambda _self, _repository: tags)
    return tags


def arguments(target: str) -> list[str]:
    """Return the cache arguments of a build, without the parts that all of them have."""
    builder, *caches = registry.Registry("127.0.0.1:5000").arguments(target)
    prefix, reference = f"--set={target}.cache-", "type=registry,ref=127.0.0.1:5000/vmaf-bench:"
    assert builder == "--builder=vmaf-bench"
    assert all(cache.startswith(prefix) and reference in cache for cache in caches)
    return [cache.removeprefix(prefix).replace(reference, "") for cache in caches]


def test_first_build_exports_all_layers(stored: set[str]) -> None:
    """The first build exports its cache with mode=max, as the default has only the last stage."""
    assert not stored
    assert arguments("cpu") == ["to=cpu,mode=max"]


def test_later_builds_write_to_a_branch(stored: set[str]) -> None:
    """A later build does not overwrite the cache of the first build, which alone is complete."""
    stored.add("cpu")
    assert arguments("cpu") == ["from=cpu", "to=cpu-branch,mode=max"]
    stored.add("cpu-branch")
    assert arguments("cpu") == ["from=cpu-branch", "from=cpu", "to=cpu-branch,mode=max"]


def test_another_image_imports_the_main_cache(stored: set[str]) -> None:
    """Another image imports the cache of the first build, but not those of later builds."""
    stored.update(("cpu", "cpu-branch"))
    assert arguments("cuda12") == ["from=cpu", "to=cuda12,mode=max"]


class _Repository(BaseHTTPRequestHandler):
    """Answers like a registry that has one repository."""

    def do_GET(self) -> None:
        """List the tags of the repository."""
        exists = self.path == "/v2/vmaf-bench/tags/list"
        self.send_response(200 if exists else 404)
        self.end_headers()
        self.wfile.write(b'{"name": "vmaf-bench", "tags": ["cpu"]}' if exists else b"{}")

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


def test_tags_of_a_missing_repository_are_empty() -> None:
    """A repository of a registry to which nothing was pushed has no tags, which is no error."""
    with HTTPServer(("127.0.0.1", 0), _Repository) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        running = registry.Registry(f"127.0.0.1:{server.server_port}")
        assert running.tags(registry.LAYERS) == {"cpu"}
        assert running.tags(registry.BASES) == set()
        server.shutdown()


def test_programs_require_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root, the registry bench ends before any measurement and names an alternative."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match="it requires root") as caught:
        registry.programs()
    assert "--contender" in caught.value.todo


def test_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without BuildKit and Go, the error of the registry bench names the missing program."""
    for name in ("docker-registry", "sh"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(process, "environment", lambda: {"PATH": str(tmp_path)})
    with pytest.raises(UserError, match="go: command not found"):
        registry.programs()


def test_fetched_bytes_are_read_from_the_log(tmp_path: Path) -> None:
    """Only what a client fetched from the repository counts, not other requests or errors."""
    log = tmp_path / "registry.log"
    lines = (
        '127.0.0.1 - - [x] "GET /v2/layers/blobs/sha256:1 HTTP/1.1" 200 100 "" "buildkit"',
        '127.0.0.1 - - [x] "GET /v2/layers/manifests/cpu HTTP/1.1" 200 20 "" "buildkit"',
        '127.0.0.1 - - [x] "HEAD /v2/layers/blobs/sha256:1 HTTP/1.1" 200 100 "" "buildkit"',
        '127.0.0.1 - - [x] "GET /v2/layers/manifests/no HTTP/1.1" 404 99 "" "buildkit"',
        '127.0.0.1 - - [x] "GET /v2/layers2/blobs/sha256:1 HTTP/1.1" 200 100 "" "buildkit"',
    )
    log.write_text("\n".join(lines))
    assert registry.Registry("127.0.0.1:5000", log).sent("layers") == 120


def test_stored_bytes_count_each_blob_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images, and caches of BuildKit, whose manifest is an index, may share blobs."""
    layer, other, config = (
        {"digest": f"sha256:{n}", "size": 10**n, "mediaType": "x"} for n in range(3)
    )
    documents = {
        "layers/tags/list": {"tags": ["cpu", "image"]},
        "layers/manifests/cpu": {"manifests": [layer, config]},
        "layers/manifests/image": {"layers": [layer, other], "config": config},
    }

    class Answer:
        ok = True

        def __init__(self, path: str) -> None:
            self.path = path

        def json(self) -> object:
            return documents[self.path]

    monkeypatch.setattr(registry.Registry, "_get", lambda _self, path: Answer(path))
    assert registry.Registry("127.0.0.1:5000").stored("layers") == 111
