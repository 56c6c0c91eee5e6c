"""The recipes of the SDKs end with a message on an SDK that they do not support."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from scripts.core import process
from scripts.core.paths import ROOT

RECIPES = ROOT / "docker" / "recipes"
AMD = "amd/image:1.2.3"
INTEL = "intel/image:1.2.3"


def run(recipe: str, directory: Path, programs: Mapping[str, str]) -> CompletedProcess[str]:
    """Run a recipe outside of a build, with scripts that replace the programs it calls."""
    for name, script in {"compile.sh": "", **programs}.items():
        program = directory / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    here = directory / Path(recipe).name
    text = (RECIPES / recipe).read_text()
    text = re.sub(r"(?<![\w}])/(rocm-given|oneapi-given|out|tmp)\b", rf"{directory}/\1", text)
    text = re.sub(r"(?<!\w)/run/recipes\b", str(directory), text)
    here.write_text(text)
    environment = {
        "PATH": f"{directory}:{os.environ['PATH']}",
        "HIP_TARGETS": "gfx906 gfx942",
        "ROCM_DEVEL": AMD,
        "ONEAPI_DEVEL": INTEL,
    }
    return process.run("sh", str(here), env=environment)


def test_unknown_gpu_is_named(tmp_path: Path) -> None:
    """hip-smoke.sh names a GPU that hipcc does not support."""
    programs = {"hipcc": 'case "$*" in *gfx942*) exit 1 ;; esac'}
    ran = run("compile/hip-smoke.sh", tmp_path, programs)
    assert ran.returncode == 1
    assert "hip-smoke.sh: hipcc does not support the GPU 'gfx942'" in ran.stderr


@pytest.mark.parametrize(("major", "found"), [("7", "7"), ("", "none")], ids=["newer", "no HIP"])
def test_another_hip_in_amds_image_is_refused(tmp_path: Path, major: str, found: str) -> None:
    """rocm-vendor.sh refuses another major version of HIP before it installs anything."""
    version = tmp_path / "rocm-given" / "share" / "hip" / "version"
    version.parent.mkdir(parents=True)
    version.write_text(f"HIP_VERSION_MAJOR={major}\nHIP_VERSION_MINOR=4\n" if major else "")
    ran = run("sdk/vendor/rocm-vendor.sh", tmp_path, {"apt.sh": f"touch {tmp_path}/calls"})
    assert ran.returncode == 1
    assert f"rocm-vendor.sh: amd/image:1.2.3 has HIP version {found}, expected 6" in ran.stderr
    assert not (tmp_path / "calls").exists()


def toolkit(directory: Path, release: str = "2026.1") -> Path:
    """Create the directories of Intel's image; return the one of the compiler's libraries."""
    for component in ("compiler", "tbb", "tcm", "umf"):
        here = directory / "oneapi-given" / component
        (here / release / "lib").mkdir(parents=True)
        (here / "latest").symlink_to(release)
    (directory / "oneapi-given" / "compiler" / release / "include").mkdir()
    (directory / "oneapi-given" / "licensing").mkdir()
    (directory / "tmp").mkdir()
    return directory / "oneapi-given" / "compiler" / release / "lib"


def test_another_oneapi_in_intels_image_is_refused(tmp_path: Path) -> None:
    """oneapi-vendor.sh refuses another major version, whose libsycl has another SONAME."""
    toolkit(tmp_path, "2025.3")
    ran = run("sdk/vendor/oneapi-vendor.sh", tmp_path, {})
    assert ran.returncode == 1
    assert "intel/image:1.2.3 has compiler version '2025.3', expected 2026.*" in ran.stderr


def test_library_is_copied_once_with_its_links(tmp_path: Path) -> None:
    """oneapi-vendor.sh copies a library once with its links; a missing one is an error."""
    libraries = toolkit(tmp_path)
    (libraries / "libsycl.so.9.0.0").write_text("code")
    (libraries / "libsycl.so.9").symlink_to("libsycl.so.9.0.0")
    (libraries / "libsycl.so.8").symlink_to("libsycl.so.9")
    parts = "keep wheel 'libsycl.so.?'\nkeep wheel libur_loader.so.0\n"
    (tmp_path / "libraries.sh").write_text(parts)
    ran = run("sdk/vendor/oneapi-vendor.sh", tmp_path, {})
    assert "oneapi-vendor.sh: intel/image:1.2.3 has no libur_loader.so.0" in ran.stderr
    kept = tmp_path / "out" / "oneapi" / "runtime" / "opt" / "intel" / "oneapi" / "lib"
    assert {path.name: path.is_symlink() for path in kept.iterdir()} == {
        "libsycl.so.8": False,
        "libsycl.so.9": True,
    }
    assert (kept / "libsycl.so.9").read_text() == "code"
