"""Recording what a build is made from."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scripts.buildkit.rawjson import Build, Step
from scripts.causes import inputs, store
from scripts.core.console import UserError
from scripts.dockerfile import bake
from scripts.engine import client

BAKED = {
    "target": {
        "cpu": {
            "context": ".",
            "dockerfile": "Dockerfile",
            "target": "final",
            "args": {"LEVEL": "1", "http_proxy": "http://user:word@proxy", "HTTPS_PROXY": "x"},
            "contexts": {"libvmaf-source": "tree", "base": "target:base", "x": "docker-image://x"},
            "labels": {"a": "b"},
            "tags": ["vmaf:cpu"],
        },
        "base": {"dockerfile": "base/Dockerfile"},
    }
}


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout whose files are old enough for their digests to be kept."""
    checkout = tmp_path / "checkout"
    for name in ("Dockerfile", "base/Dockerfile", "docker/a.sh", "tree/src/a.c"):
        write(checkout / name, f"FROM {name}\n")
    monkeypatch.setattr(inputs, "ROOT", checkout)
    monkeypatch.setattr(client, "image_id", lambda tag: f"sha256:id of {tag}")
    return checkout


def write(path: Path, text: str, age: float = 100) -> None:
    """Write a file as if that had been so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    time = path.stat().st_mtime - age
    os.utime(path, (time, time))


def recorded(
    monkeypatch: pytest.MonkeyPatch, *steps: str, trees: dict[str, dict[str, str]] | None = None
) -> inputs.Inputs:
    """Return the recorded inputs of a build that had these FROM steps."""
    monkeypatch.setattr(bake, "bake_print", lambda *_, **__: BAKED)
    recording = inputs.Recording(["cpu"], files=["a.hcl"], environment={}, trees=trees or {})
    vertexes = {text: Step(text, text=text) for text in steps}
    found = inputs.read(recording.finish(Build(vertexes)))
    assert found
    return found


def test_recorded_inputs(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets, Dockerfiles, contexts and images are recorded; labels and proxies are not."""
    found = recorded(
        monkeypatch,
        "FROM docker.io/library/debian:trixie-slim@sha256:123",
        "FROM docker.io/library/local:latest",
    )
    assert found.targets["cpu"].args == {"LEVEL": "1"}
    assert store.get(found.dockerfiles["base/Dockerfile"]) == b"FROM base/Dockerfile\n"
    assert set(found.contexts) == {".", "tree"}
    assert set(inputs.read_manifest(found.contexts["tree"]) or ()) == {"src/a.c"}
    assert found.images == {
        "debian:trixie-slim": "sha256:123",
        "local:latest": "sha256:id of docker.io/library/local:latest",
    }
    kept = b"".join(path.read_bytes() for path in store.directory().iterdir())
    assert b"user:word" not in kept
    assert b"vmaf:cpu" not in kept
    assert checkout.exists()


@pytest.mark.usefixtures("checkout")
def test_equal_builds_share_their_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second build of the same inputs stores nothing new."""
    first = recorded(monkeypatch)
    before = sorted(store.directory().iterdir())
    assert recorded(monkeypatch) == first
    assert sorted(store.directory().iterdir()) == before


@pytest.mark.usefixtures("checkout")
def test_manifest_that_is_known_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest of a source tree that was copied for the build is taken as it is."""
    found = recorded(monkeypatch, trees={"tree": {"src/b.c": "644 1"}})
    assert inputs.read_manifest(found.contexts["tree"]) == {"src/b.c": "644 1"}


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize(
    "error", [UserError("a", "b", "c"), msgspec.ValidationError("d"), OSError("e")]
)
def test_build_goes_on_without_recorded_inputs(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the bake files cannot be read, the build has no inputs, and no error."""

    def fail(*_: object, **__: object) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(bake, "bake_print", fail)
    recording = inputs.Recording(["cpu"], files=[], environment={}, trees={})
    assert recording.finish(Build()) == ""
    assert inputs.read("") is None


def test_damaged_inputs_are_none() -> None:
    """A stored content that is not the inputs of a build is as good as none."""
    assert inputs.read(store.put(b"[]")) is None


def test_digests_are_kept_while_a_file_is_the_same(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unchanged file is not read again; an edited, replaced or re-moded one is."""
    read: list[str] = []
    original = inputs._entry  # noqa: SLF001 (counts what is read)

    def counted(path: Path, mode: int) -> str:
        read.append(path.name)
        return original(path, mode)

    monkeypatch.setattr(inputs, "_entry", counted)
    monkeypatch.setattr(inputs, "_RACY_SECONDS", -1.0)
    first = inputs.manifest(checkout)
    assert len(read) == 4
    read.clear()
    assert inputs.manifest(checkout) == first
    assert not read
    time = (checkout / "docker/a.sh").stat().st_mtime
    (checkout / "docker/a.sh").write_text("FROM docker/b.sh\n")
    os.utime(checkout / "docker/a.sh", (time, time))
    second = inputs.manifest(checkout)
    assert read == ["a.sh"]
    assert {name for name in first if first[name] != second[name]} == {"docker/a.sh"}
    (checkout / "docker/a.sh").chmod(0o755)
    third = inputs.manifest(checkout)["docker/a.sh"]
    assert third.partition(" ")[::2] == ("755", second["docker/a.sh"].partition(" ")[2])
    (checkout / "docker/a.sh").unlink()
    assert "docker/a.sh" not in inputs.manifest(checkout)
    assert "docker/a.sh" not in (store.directory() / inputs.KNOWN).read_text()


def test_file_that_was_just_edited_is_read_again(checkout: Path) -> None:
    """The digest of a file that may change within the resolution of its time is not kept."""
    inputs.manifest(checkout)
    assert not (store.directory() / inputs.KNOWN).exists()


def test_damaged_digests_are_computed_again(checkout: Path) -> None:
    """A damaged file of digests has no effect."""
    first = inputs.manifest(checkout)
    (store.directory() / inputs.KNOWN).write_text("{")
    assert inputs.manifest(checkout) == first


def test_links_and_unreadable_files(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link is its target; a file that cannot be read does not end the build."""
    (checkout / "docker/link").symlink_to("a.sh")
    assert inputs.manifest(checkout)["docker/link"] == "link a.sh"

    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "open", fail)
    assert inputs.manifest(checkout)["docker/a.sh"] == "unreadable 13"


def test_path_that_is_not_utf8_is_stored(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest replaces the bytes of a path that are not UTF-8."""
    write(checkout / "tree/a\udcffb", "x")
    found = recorded(monkeypatch)
    assert set(inputs.read_manifest(found.contexts["tree"]) or ()) == {"src/a.c", "a?b"}
    assert recorded(monkeypatch) == found


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("docker.io/library/debian:trixie-slim", "debian:trixie-slim"),
        ("debian", "debian:latest"),
        ("docker.io/nvidia/cuda:12", "nvidia/cuda:12"),
        ("host:5000/a", "host:5000/a:latest"),
    ],
)
def test_references_are_normalized(reference: str, expected: str) -> None:
    """The references in a Dockerfile and in BuildKit's output are the same."""
    assert inputs.normalized(reference) == expected
