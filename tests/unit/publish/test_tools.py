"""The programs that publish images."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.caches import toolchain
from scripts.publish import tools

MODULE = """\
module example

go 1.26.8

tool (
\texample.org/registry/cmd/regctl
\texample.org/signing/v3/cmd/cosign
)

require (
\texample.org/registry v0.11.7 // indirect
\texample.org/signing v1.0.0 // indirect
\texample.org/signing/v3 v3.1.3 // indirect
)
"""


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of builds, which make programs of any release; PATH has none."""
    (tmp_path / "go.mod").write_text(MODULE)
    (tmp_path / "go.sum").write_text("sums")
    (tmp_path / "bin").mkdir()
    done: list[str] = []

    @contextmanager
    def export(action: str, target: str) -> Iterator[Path]:
        done.append(f"{action}, {target}")
        out = tmp_path / f"out{len(done)}"
        out.mkdir()
        for name in ("regctl", "cosign"):
            (out / name).write_text("built")
        yield out

    monkeypatch.setattr(tools, "MODULE", tmp_path)
    monkeypatch.setattr(toolchain, "export", export)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return done


def install(directory: Path, release: str) -> Path:
    """Install a cosign that prints its release."""
    program = directory / "bin" / "cosign"
    program.write_text(f"#!/bin/sh\necho 'GitVersion:    {release}'\n")
    program.chmod(0o755)
    return program


def test_releases_are_those_of_go_mod() -> None:
    """The release of a tool is that of its module, the one with the longest name."""
    assert tools.pinned(MODULE) == {"regctl": "v0.11.7", "cosign": "v3.1.3"}
    one = "tool a.org/b/cmd/c\n\nrequire a.org/b v1.2.3\n"
    assert tools.pinned(one) == {"c": "v1.2.3"}
    assert tools.pinned((tools.MODULE / "go.mod").read_text()).keys() == {"regctl", "cosign"}


def test_installed_program_of_the_release_is_used(tmp_path: Path, builds: list[str]) -> None:
    """A program on PATH is used if it is of the pinned release."""
    assert tools.find("cosign") != install(tmp_path, "v3.1.30")
    assert tools.find("cosign").read_text() == "built"
    program = install(tmp_path, "v3.1.3")
    assert tools.find("cosign") == program
    assert builds == ["build publish-tools, publish-tools"]


def test_programs_are_built_once_for_their_modules(tmp_path: Path, builds: list[str]) -> None:
    """All programs are built at once, and again if a digest in go.sum changes."""
    first = tools.find("cosign")
    assert tools.find("regctl").parent == first.parent
    assert len(builds) == 1
    (tmp_path / "go.sum").write_text("others")
    assert tools.find("cosign") != first
    assert len(builds) == 2
