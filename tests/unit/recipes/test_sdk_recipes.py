"""The recipes of the SDKs stop on what they cannot build from, and name it."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.core.paths import ROOT

RECIPES = ROOT / "docker" / "recipes"


def run(recipe: str, folder: Path, programs: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a recipe outside of a build, with a script in the place of each program it calls."""
    for name, script in {"compile.sh": "", **programs}.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    here = folder / recipe
    text = (RECIPES / recipe).read_text()
    text = re.sub(r"(?<![\w}])/(rocm-sdk|oneapi-sdk|out|tmp)\b", rf"{folder}/\1", text)
    text = re.sub(r"(?<!\w)/run/recipes\b", str(folder), text)
    here.write_text(text)
    return subprocess.run(
        ["sh", here],
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "HIP_TARGETS": "gfx906 gfx942",
            "ROCM_DEVEL": "amd/image:1.2.3",
            "ONEAPI_DEVEL": "intel/image:1.2.3",
        },
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


@pytest.mark.parametrize(("major", "found"), [("7", "7"), ("", "none")], ids=["newer", "no HIP"])
def test_another_hip_in_amds_image_is_refused(tmp_path: Path, major: str, found: str) -> None:
    """Before anything is installed, with the image, the version found and the one expected."""
    told = tmp_path / "rocm-sdk" / "share" / "hip" / "version"
    told.parent.mkdir(parents=True)
    told.write_text(f"HIP_VERSION_MAJOR={major}\nHIP_VERSION_MINOR=4\n" if major else "")
    ran = run("rocm-vendor.sh", tmp_path, {"apt.sh": f"touch {tmp_path}/asked"})
    assert ran.returncode == 1
    assert f"rocm-vendor.sh: amd/image:1.2.3 has HIP version {found}, expected 6" in ran.stderr
    assert not (tmp_path / "asked").exists()


def toolkit(folder: Path, release: str = "2026.1") -> Path:
    """Make the least that Intel's toolkit image has; return the compiler's libraries."""
    for component in ("compiler", "tbb", "tcm", "umf"):
        here = folder / "oneapi-sdk" / component
        (here / release / "lib").mkdir(parents=True)
        (here / "latest").symlink_to(release)
    (folder / "oneapi-sdk" / "compiler" / release / "include").mkdir()
    (folder / "oneapi-sdk" / "licensing").mkdir()
    (folder / "tmp").mkdir()
    (folder / "oneapi").mkdir()
    return folder / "oneapi-sdk" / "compiler" / release / "lib"


def test_another_oneapi_in_intels_image_is_refused(tmp_path: Path) -> None:
    """As basekit's last, whose libsycl has another SONAME."""
    toolkit(tmp_path, "2025.3")
    ran = run("oneapi-vendor.sh", tmp_path, {})
    assert ran.returncode == 1
    assert "intel/image:1.2.3 has compiler version '2025.3', expected 2026.*" in ran.stderr


def test_a_library_is_taken_once_under_all_of_its_names(tmp_path: Path) -> None:
    """Who asks for it asks by one of them; and the first that the image lacks is named."""
    libraries = toolkit(tmp_path)
    (libraries / "libsycl.so.9.0.0").write_text("code")
    (libraries / "libsycl.so.9").symlink_to("libsycl.so.9.0.0")
    (libraries / "libsycl.so.8").symlink_to("libsycl.so.9")
    parts = "keep wheel 'libsycl.so.?'\nkeep wheel libur_loader.so.0\n"
    (tmp_path / "oneapi" / "parts.sh").write_text(parts)
    ran = run("oneapi-vendor.sh", tmp_path, {})
    assert "oneapi-vendor.sh: intel/image:1.2.3 has no libur_loader.so.0" in ran.stderr
    kept = tmp_path / "out" / "runtime" / "opt" / "intel" / "oneapi" / "lib"
    assert {path.name: path.is_symlink() for path in kept.iterdir()} == {
        "libsycl.so.8": False,
        "libsycl.so.9": True,
    }
    assert (kept / "libsycl.so.9").read_text() == "code"
