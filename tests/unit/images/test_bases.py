"""Tests of the choice of base images and of the bootstrapped root file system."""

import os
import platform
import time
from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.images import bases


def put_on_path(monkeypatch: pytest.MonkeyPatch, program: Path, script: str) -> None:
    """Write a shell script as a program that PATH finds first."""
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


@pytest.fixture
def mmdebstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace mmdebstrap by a script that writes `made` to its last argument."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(bases, "RECORDS", tmp_path / "build")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    program = tmp_path / "bin" / "mmdebstrap"
    put_on_path(monkeypatch, program, 'for last; do :; done\necho made >"$last"')
    return program


@pytest.mark.parametrize("base_source", bases.OVERLAYS)
def test_vmaf_bases_sets_the_base_source(base_source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """VMAF_BASES sets the base source, and no registry is contacted."""
    monkeypatch.setattr(process, "run", lambda *_, **__: pytest.fail("a program was run"))
    monkeypatch.setenv("VMAF_BASES", base_source)
    assert bases.choose() == base_source


def test_vmaf_bases_rejects_an_unknown_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt value of VMAF_BASES is an error that lists the valid ones."""
    monkeypatch.setenv("VMAF_BASES", "bootstrop")
    with pytest.raises(UserError, match="bootstrop") as caught:
        bases.choose()
    assert "registry, bootstrap, vendor" in caught.value.todo


@pytest.mark.parametrize(
    ("script", "base_source"),
    [
        ("exit 0", "registry"),
        ("echo 'ERROR: no such host' >&2; exit 1", "bootstrap"),
        ("exec sleep 60", "bootstrap"),
    ],
    ids=["reachable", "unreachable", "no answer"],
)
def test_bases_are_bootstrapped_without_a_registry(
    script: str, base_source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If BuildKit cannot load the base image for any reason, the base is bootstrapped."""
    monkeypatch.delenv("VMAF_BASES", raising=False)
    monkeypatch.setattr(bases, "REGISTRY_SECONDS", 0.3)
    put_on_path(monkeypatch, tmp_path / "bin" / "docker", script)
    assert bases.choose() == base_source


def test_registry_is_reached_by_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BuildKit loads the base image to find a registry, so that the engine's mirrors apply."""
    monkeypatch.delenv("VMAF_BASES", raising=False)
    log = tmp_path / "log"
    put_on_path(monkeypatch, tmp_path / "bin" / "docker", f'echo "$@" >{log}; cat >>{log}')
    bases.choose()
    arguments, dockerfile = log.read_text().splitlines()
    assert arguments.startswith("buildx build ")
    assert dockerfile == f"FROM {bases.BASE}"


def test_bootstrap_replaces_the_base_image() -> None:
    """The bootstrap overlay replaces the image that the main Dockerfile names."""
    assert f'"{bases.BASE}"' in (ROOT / bases.OVERLAYS["bootstrap"][-1]).read_text()


def test_root_file_system_is_made_once_a_day(tmp_path: Path, mmdebstrap: Path) -> None:
    """A root file system made today is reused, bytes and date, so that BuildKit sends nothing."""
    bases.bootstrap()
    rootfs = tmp_path / "build" / "bootstrap" / "rootfs-amd64.tar"
    assert rootfs.read_text() == "made\n"
    mmdebstrap.write_text("#!/bin/sh\nexit 1\n")
    before = rootfs.stat().st_mtime_ns
    bases.bootstrap()
    assert rootfs.stat().st_mtime_ns == before


def test_foreign_images_have_a_root_file_system_of_each_architecture(
    tmp_path: Path, mmdebstrap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stages that compile are on this machine's, and the last ones on the image's."""
    mmdebstrap.write_text('#!/bin/sh\nfor last; do :; done\necho "$@" >"$last"\n')
    monkeypatch.setenv("PLATFORMS", "linux/arm64")
    bases.bootstrap()
    for name in ("amd64", "arm64"):
        made = (tmp_path / "build" / "bootstrap" / f"rootfs-{name}.tar").read_text()
        assert f"--architectures={name}" in made


def test_failed_bootstrap_uses_the_older_root_file_system(tmp_path: Path, mmdebstrap: Path) -> None:
    """A failed bootstrap uses the older root file system, or is an error without one."""
    mmdebstrap.write_text('#!/bin/sh\nfor last; do :; done\necho half >"$last"\nexit 1\n')
    with pytest.raises(UserError, match="cannot bootstrap"):
        bases.bootstrap()
    cached = tmp_path / "cache" / "vmaf-images" / "bases" / f"{bases.SUITE}-amd64.tar"
    assert list(cached.parent.iterdir()) == []
    cached.write_text("yesterday's")
    old = time.time() - 2 * bases.FRESH_SECONDS
    os.utime(cached, (old, old))
    bases.bootstrap()
    assert (tmp_path / "build" / "bootstrap" / "rootfs-amd64.tar").read_text() == "yesterday's"


def test_missing_mmdebstrap_is_named(
    tmp_path: Path, mmdebstrap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error without mmdebstrap names the package to install."""
    mmdebstrap.unlink()
    monkeypatch.setattr(process, "environment", lambda: {"PATH": str(tmp_path)})
    with pytest.raises(UserError, match="mmdebstrap: command not found") as caught:
        bases.bootstrap()
    assert "apt-get install mmdebstrap" in caught.value.todo
