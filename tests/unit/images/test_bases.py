"""Where bases come from, and that a bootstrapped one is never half written."""

import os
import time
from pathlib import Path

import docker
import pytest

from scripts.core.console import UserError
from scripts.images import bases


@pytest.fixture
def mmdebstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in for mmdebstrap on PATH; it writes `made` to its last argument."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(bases, "RECORDS", tmp_path / "build")
    program = tmp_path / "bin" / "mmdebstrap"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nfor last; do :; done\necho made >"$last"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return program


def test_vmaf_bases_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked where the user has said it; a misspelt word is an error."""
    for word in bases.OVERLAYS:
        monkeypatch.setenv("VMAF_BASES", word)
        assert bases.choose() == word
    monkeypatch.setenv("VMAF_BASES", "bootstap")
    with pytest.raises(UserError, match="bootstap"):
        bases.choose()


def test_a_silent_registry_means_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps the engine from the registry, the build goes on without it."""

    class Engine:
        """An engine whose registry answers, or does not."""

        class images:  # noqa: N801 - the name docker-py gives it
            """Its images."""

            @staticmethod
            def get_registry_data(_name: str) -> None:
                """Answer as told."""
                if error:
                    raise error

    monkeypatch.delenv("VMAF_BASES", raising=False)
    monkeypatch.setattr(docker, "DockerClient", lambda **_: Engine)
    error: Exception | None = docker.errors.APIError("no route")
    assert bases.choose() == "bootstrap"
    error = None
    assert bases.choose() == "registry"


def test_a_root_file_system_is_made_once_a_day(tmp_path: Path, mmdebstrap: Path) -> None:
    """A fresh one is kept, bytes and date, so that BuildKit sends nothing."""
    bases.bootstrap()
    here = tmp_path / "build" / "bootstrap" / "rootfs.tar"
    assert here.read_text() == "made\n"
    mmdebstrap.write_text("#!/bin/sh\nexit 1\n")
    before = here.stat().st_mtime_ns
    bases.bootstrap()
    assert here.stat().st_mtime_ns == before


def test_a_failed_bootstrap_keeps_the_old_one(tmp_path: Path, mmdebstrap: Path) -> None:
    """Yesterday's base is better than none; none at all is an error that says what to do."""
    mmdebstrap.write_text('#!/bin/sh\nfor last; do :; done\necho half >"$last"\nexit 1\n')
    with pytest.raises(UserError, match="cannot bootstrap"):
        bases.bootstrap()
    kept = tmp_path / "cache" / "vmaf-images" / "bases" / "trixie.tar"
    assert list(kept.parent.iterdir()) == []
    kept.write_text("yesterday's")
    old = time.time() - 2 * bases.FRESH_SECONDS
    os.utime(kept, (old, old))
    bases.bootstrap()
    assert (tmp_path / "build" / "bootstrap" / "rootfs.tar").read_text() == "yesterday's"
