"""The release of ROCm that a libvmaf tree states."""

from pathlib import Path

import pytest

from scripts.images import rocm

OPTION = "option('enable_tests')\noption('enable_hip', description : '{}')\noption('fuzz')\n"


def requirement(directory: Path, name: str, text: str) -> rocm.Requirement | None:
    """Return the requirement of a tree with one file."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return rocm.requirement(directory)


@pytest.mark.parametrize(
    ("name", "text", "release"),
    [
        ("src/hip/meson.build", "dependency('hip', version : '>=7.0')", 7),
        ("src/hip/meson.build", "dependency('hip-lang',\n  version : ['>= 6.2', '<8'])", 6),
        ("src/meson.build", "x = dependency('amdhip64', version : '>7')", 7),
        ("src/meson.build", "dependency('hip', version : '>=7', required : get_option('x'))", 7),
        ("src/hip/common.h", "#if HIP_VERSION_MAJOR < 7\n#  error too old\n#endif", 7),
        ("src/feature/hip/vif.hip", "#if HIP_VERSION_MAJOR < 7\n#error too old\n#endif", 7),
        ("meson_options.txt", OPTION.format("Requires ROCm 7+ with hipcc"), 7),
        ("meson.options", OPTION.format("HIP; needs hipcc and a ROCm >= 7.1"), 7),
        ("meson_options.txt", OPTION.format("Requires enable_tests and a ROCm 6+ toolchain"), 6),
    ],
)
def test_release_is_read_from_the_tree(tmp_path: Path, name: str, text: str, release: int) -> None:
    """The release is that of a dependency, of an #error or of an option's description."""
    assert requirement(tmp_path, name, text) == (release, name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("src/hip/meson.build", "# dependency('hip', version : '>=7.0')"),
        ("src/hip/meson.build", "# The ROCm 7.x package needs no hip-lang.pc"),
        ("src/hip/meson.build", "dependency('hip', required : false, version : '>=7.0')"),
        ("src/hip/meson.build", "dependency('hip', version : '<7')"),
        ("meson_options.txt", OPTION.format("Does not require ROCm 7")),
        ("src/cuda/meson.build", "dependency('cuda', version : '>=12')"),
        ("src/hip/common.h", "#if HIP_VERSION_MAJOR < 7\n#define OLD 1\n#endif"),
        ("meson_options.txt", OPTION.format("HIP, tried with ROCm 7")),
        ("meson_options.txt", "option('fuzz', description : 'Requires ROCm 7')"),
    ],
)
def test_other_text_is_no_requirement(tmp_path: Path, name: str, text: str) -> None:
    """Comments, optional dependencies and other options do not require a release."""
    assert requirement(tmp_path, name, text) is None


def test_newest_release_counts(tmp_path: Path) -> None:
    """If files state several releases, the newest is required."""
    requirement(tmp_path, "meson_options.txt", OPTION.format("Requires ROCm 6"))
    found = requirement(tmp_path, "src/hip/meson.build", "dependency('hip', version : '>=7')")
    assert found == (7, "src/hip/meson.build")
