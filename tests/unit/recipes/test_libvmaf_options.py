"""How libvmaf.sh sets the options of a libvmaf tree."""

from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.paths import ROOT
from scripts.images import features

LIBVMAF = ROOT / "docker" / "recipes" / "compile" / "libvmaf" / "libvmaf.sh"
FORK = ROOT / "tests" / "fixtures" / "fork" / "core"


def run(directory: Path, *backends: str) -> process.CompletedProcess[str]:
    """Run the part of libvmaf.sh that sets the options."""
    text = LIBVMAF.read_text()
    begin, end = text.index("options=meson_options.txt"), text.index("case $backends in *hip*")
    script = f'set -eu\n{text[begin:end]}\nprintf \'%s\\n\' "$backends" "$@"'
    return process.run("sh", "-c", script, "sh", *backends, cwd=directory)


def options(directory: Path, *backends: str) -> list[str]:
    """Return the backends, and the options of Meson, for a tree and the requested backends."""
    ran = run(directory, *backends)
    assert not ran.returncode, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.parametrize(
    ("requested", "on"),
    [("", ""), ("cuda", "-Denable_cuda=true"), ("vulkan", "-Denable_vulkan=enabled")],
)
def test_each_feature_of_the_tree_is_switched_on_or_off(requested: str, on: str) -> None:
    """Booleans are true or false, and features enabled or disabled; none is left to `auto`."""
    backends, *set_ = options(FORK, *requested.split())
    assert backends == f"cpu {requested}".rstrip()
    assert "-Dauto_features=disabled" in set_
    names = [option.partition("=")[0].removeprefix("-Denable_") for option in set_[1:]]
    assert names == list(features.FEATURES)
    switched_on = [option for option in set_ if option.endswith(("=true", "=enabled"))]
    assert switched_on == on.split()
    off = {"-Denable_mcp=false", "-Denable_dnn=disabled", "-Denable_sycl=false"}
    assert off <= set(set_)


def test_features_that_the_tree_lacks_are_not_set(tmp_path: Path) -> None:
    """An option that the tree does not offer is not given to Meson, which would refuse it."""
    text = "option('enable_float',\n  type: 'feature')\noption('enable_cuda',\n  type: 'boolean')\n"
    (tmp_path / "meson.options").write_text(text)
    expected = ["cpu", "-Dauto_features=disabled", "-Denable_cuda=false"]
    assert options(tmp_path, "hip") == expected


def test_type_is_found_behind_other_words(tmp_path: Path) -> None:
    """The word `type` in a description is not taken for the type of an option."""
    text = "option('enable_hip',\n  description: 'content type: x',\n  type: 'boolean')\n"
    (tmp_path / "meson.options").write_text(text)
    assert "-Denable_hip=true" in options(tmp_path, "hip")


def test_feature_of_an_unknown_type_is_refused(tmp_path: Path) -> None:
    """An option that is no boolean and no feature ends the step; its state would be unknown."""
    (tmp_path / "meson.options").write_text("option('enable_hip', type: 'combo')\n")
    ran = run(tmp_path, "hip")
    assert ran.returncode == 1
    assert "enable_hip in meson.options is no boolean and no feature" in ran.stderr
