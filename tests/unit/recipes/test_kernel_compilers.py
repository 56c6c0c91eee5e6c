"""The compilers of CUDA kernels that variables of docker-bake.hcl choose."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.core import process
from scripts.core.paths import ROOT
from scripts.dockerfile import bake
from tests.support.buildx import needs_buildx

BIN2C = ROOT / "docker" / "recipes" / "sdk" / "clang" / "bin2c"
LIBVMAF = ROOT / "docker" / "recipes" / "compile" / "libvmaf" / "libvmaf.sh"
IMAGES = ("cuda12", "cuda13", "cli-cuda12", "all-backends", "dev")
VARIABLES = ("LIBVMAF_CUDA", "CUDA")


def contexts(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the named contexts of the targets of all images that have CUDA."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    targets = bake.bake_print(*IMAGES)["target"]
    return {name: target.get("contexts", {}) for name, target in targets.items()}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contexts that differ, of targets that are in both."""
    return {
        name: {key: value for key, value in after[name].items() if value != old.get(key)}
        for name, old in before.items()
        if name in after and after[name] != old
    }


@needs_buildx
@pytest.mark.parametrize(
    ("variable", "value", "changed"),
    [
        ("LIBVMAF_CUDA", "nvcc", {}),
        (
            "LIBVMAF_CUDA",
            "clang",
            dict.fromkeys(("cuda12", "cli-cuda12", "libvmaf-cuda12"), "target:cuda-from-clang"),
        ),
        ("CUDA", "12", {}),
        (
            "CUDA",
            "13",
            dict.fromkeys(
                ("all-backends", "dev", "bundle-all-backends", "bundle-dev"),
                "target:cuda13-from-wheels",
            ),
        ),
    ],
)
def test_variable_replaces_cuda_in_its_images_only(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, changed: Mapping[str, str]
) -> None:
    """LIBVMAF_CUDA is for the images with CUDA 12, and CUDA for those that contain nvcc."""
    default = contexts(monkeypatch, {})
    found = changes(default, contexts(monkeypatch, {variable: value}))
    assert found == {name: {"cuda-devel": target} for name, target in changed.items()}


@pytest.mark.parametrize("name", ["adm_cm_ptx", "filter1d_ptx"])
def test_bin2c_writes_an_array_with_a_zero_byte(tmp_path: Path, name: str) -> None:
    """The project's bin2c prints a file as a C array that ends with a zero byte."""
    xxd = tmp_path / "xxd"
    xxd.write_text('#!/bin/sh\n[ "$*" = -i ] && echo "0x$(cat)"\n')
    xxd.chmod(0o755)
    (tmp_path / "code").write_text("41")
    arguments = ("--const", "--padd", "0x00", "--name", name, str(tmp_path / "code"))
    printed = process.run(str(BIN2C), *arguments, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert printed.stdout.split("\n", 1)[1] == (
        f"const unsigned char {name}[] = {{\n0x41\n, 0x00 }};\n"
    )


def test_bin2c_rejects_other_arguments() -> None:
    """A call that NVIDIA's bin2c would answer differently is refused."""
    refused = process.run(str(BIN2C), "--const", "--name", "x", "file")
    assert refused.returncode == 2
    assert "unknown arguments: --const --name x file" in refused.stderr


@pytest.mark.parametrize(
    ("ninja", "expected"),
    [
        (
            "-gencode=arch=compute_75,code=sm_75 -gencode=arch=compute_90,code=compute_90",
            "sm_75\ncompute_90\n",
        ),
        ("clang --cuda-gpu-arch=sm_75 --cuda-device-only -S", "compute_75\n"),
        ("gcc -c", "\n"),
    ],
    ids=["nvcc", "clang", "no CUDA"],
)
def test_gpus_are_read_from_the_build(tmp_path: Path, ninja: str, expected: str) -> None:
    """The recipe reads the GPUs from the command lines: machine code, or PTX for newer GPUs."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "build.ninja").write_text(f"COMMAND = {ninja}\n")
    text = LIBVMAF.read_text()
    start = text.index("gencode=$(")
    command = text[start : text.index(")\n", start) + 1]
    ran = process.run("sh", "-euc", f'{command}; echo "$gencode"', cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, expected)
