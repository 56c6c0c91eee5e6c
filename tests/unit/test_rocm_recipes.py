"""The recipes of HIP stop on what they cannot build from, and name it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.paths import ROOT

RECIPES = ROOT / "docker" / "recipes"


def run(recipe: str, folder: Path, programs: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a recipe outside of a build, with a script in the place of each program it calls."""
    for name, script in {"compile.sh": "", **programs}.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    here = folder / recipe
    here.write_text((RECIPES / recipe).read_text().replace("/run/recipes", str(folder)))
    return subprocess.run(
        ["sh", here],
        env={"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("libamdhip64-dev | 7.1.0-1 | http://mirror.test/debian testing/main amd64", "7.1.0-1"),
        ("libamdhip64-dev | 6.4.3-5 | http://mirror.test/debian trixie/main amd64", "not at all"),
    ],
    ids=["newer", "stable alone"],
)
def test_another_hip_is_refused(tmp_path: Path, listed: str, found: str) -> None:
    """Before anything is installed, with the package, the version found and the one expected."""
    asked = tmp_path / "asked"
    programs = {"apt.sh": f'echo "$@" >>{asked}', "apt-cache": f"echo '{listed}'"}
    ran = run("rocm-devel.sh", tmp_path, programs)
    assert ran.returncode == 1
    assert f"libamdhip64-dev {found}, expected version 6" in ran.stderr
    assert asked.read_text() == "install\n"


def test_an_unknown_gpu_is_named(tmp_path: Path) -> None:
    """The compiler's own message names its options, not the recipe."""
    programs = {"hipcc": 'case "$*" in *gfx942*) exit 1 ;; esac'}
    ran = run("hip-smoke.sh", tmp_path, programs)
    assert ran.returncode == 1
    assert "hip-smoke.sh: hipcc knows no GPU 'gfx942'" in ran.stderr
