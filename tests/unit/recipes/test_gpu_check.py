"""The report of gpu-check, with substitutes of the programs that it runs."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.core import process
from scripts.core.paths import ROOT

SCRIPT = ROOT / "docker" / "smoke" / "gpu-check.sh"
PROGRAMS = {
    "nvidia-smi": '[ "$DRIVER" ] && echo "NVIDIA X, ${VERSION:-580.1}, ${CAPABILITY:-9.0}, 81559"',
    "nproc": "echo 2",
    # The scores of the CPU and of the GPU, for the option that selects one of them.
    "vmaf": """
while [ $# -gt 0 ]; do
    case $1 in --output) output=$2 ;; --gpumask) mask=$2 ;; --version) echo 3.2.0 && exit ;; esac
    shift
done
score=$([ "$mask" = 0 ] && echo "$GPU_SCORE" || echo 90)
printf 'Frame,vmaf,\\n0,%s,\\n1,80,\\n' "$score" >"$output"
""",
    "ffmpeg": """
case $* in
*nullsrc*) [ "$DRIVER" ] || { echo 'Cannot load libcuda.so.1' >&2 && exit 1; } ;;
*nvenc*) echo 'unsupported device' >&2 && exit 1 ;;
*psnr*) echo "PSNR average:$PSNR min:1" >&2 ;;
*log_path=*)
    log=$(echo "$*" | sed 's/.*log_path=\\([^ ]*\\) .*/\\1/')
    printf 'Frame,vmaf,\\n0,85,\\n' >"$log"
    ;;
esac
""",
}
GPU = {"GPU_SCORE": "90.001", "DRIVER": "yes", "PSNR": "inf"}
"""A GPU that gives the scores of the CPU, within the tolerance."""


def check(
    directory: Path, settings: Mapping[str, str], *arguments: str
) -> process.CompletedProcess[str]:
    """Run gpu-check with the substitutes, for which `settings` are environment variables."""
    for name, text in PROGRAMS.items():
        (directory / name).write_text(f"#!/bin/sh\n{text}")
        (directory / name).chmod(0o755)
    path = f"{directory}:{os.environ['PATH']}"
    versions = directory / "versions.json"
    compiler = settings.get("COMPILER", "cuda")
    gencode = ["sm_75", "sm_120", "compute_120"]
    versions.write_text(json.dumps({"libvmaf": {"gencode": gencode}, compiler: {}}))
    paths = {"TMPDIR": str(directory), "VMAF_VERSIONS": str(versions), "PATH": path}
    environment = {**os.environ, "DRIVER": "", **settings, **paths}
    return process.run("sh", str(SCRIPT), *arguments, env=environment)


def test_report_compares_all_parts(tmp_path: Path) -> None:
    """The report is JSON that names the GPU and has each score, rate, codec and filter."""
    ran = check(tmp_path, GPU, "--frames=8", "--libvmaf", "other=/lib")
    assert ran.returncode == 0, ran
    report: dict[str, Any] = json.loads(ran.stdout)
    assert report["gpu"]["name"] == "NVIDIA X"
    assert [clip["clip"] for clip in report["scores"]] == [
        *("1080p-8bit", "1080p-10bit", "2160p-8bit", "2160p-10bit"),
    ]
    for clip in report["scores"]:
        assert [run["libvmaf"] for run in clip["gpu"]] == ["image", "other"]
        (feature,) = clip["gpu"][0]["features"]
        scores = {"cpu": 85.0, "gpu": 85.0005, "largest_difference": 0.001}
        assert feature == {"name": "vmaf", **scores}
    assert {row["name"]: row["error"] for row in report["encoders"]} == dict.fromkeys(
        ("h264_nvenc", "hevc_nvenc", "av1_nvenc"), "unsupported device"
    )
    assert report["filters"][0] == {"name": "hwupload_cuda", "psnr_db": "inf"}
    assert report["failures"] == []
    assert not list(tmp_path.glob("gpu-check.*")), "the clips are not removed"


@pytest.mark.parametrize(
    ("settings", "failure"),
    [
        ({"GPU_SCORE": "90.02"}, "scores of 1080p-8bit with libvmaf image"),
        ({"GPU_SCORE": ""}, "scores of 1080p-8bit with libvmaf image"),
        ({"PSNR": "12.0"}, "filter scale_cuda: 12.0 dB"),
    ],
    ids=["another score", "no score", "another picture"],
)
def test_difference_between_gpu_and_cpu_is_a_failure(
    tmp_path: Path, settings: Mapping[str, str], failure: str
) -> None:
    """A score or picture that differs by more than its tolerance is a failure, and exits with 1."""
    ran = check(tmp_path, {**GPU, **settings}, "--frames=8")
    assert ran.returncode == 1, ran
    assert failure in json.loads(ran.stdout)["failures"]
    assert f"FAILED: {failure}" in ran.stderr


@pytest.mark.parametrize(("capability", "status"), [("7.0", 3), ("7.5", 0), ("12.1", 0)])
def test_gpu_without_code_is_refused(tmp_path: Path, capability: str, status: int) -> None:
    """A GPU that is older than libvmaf's code is refused, with the image that has code for it."""
    ran = check(tmp_path, {**GPU, "CAPABILITY": capability}, "--frames=8")
    assert ran.returncode == status, ran
    assert ("vmaf:cuda12 has code for older GPUs" in ran.stderr) == bool(status)
    assert ("older than the code" in json.loads(ran.stdout).get("error", "")) == bool(status)


@pytest.mark.parametrize(
    ("compiler", "version", "message"),
    [
        ("cuda", "524.9", "the driver is 524, and this image needs 525 or newer"),
        ("cuda", "525.60.13", ""),
        ("nvidia-cuda-nvcc", "579.9", "the driver is 579, and this image needs 580 or newer"),
        ("nvidia-cuda-nvcc", "580.0", ""),
    ],
)
def test_driver_that_is_too_old_is_refused(
    tmp_path: Path, compiler: str, version: str, message: str
) -> None:
    """A driver that is older than CUDA in the image needs is refused, with both versions."""
    settings = {**GPU, "COMPILER": compiler, "VERSION": version}
    ran = check(tmp_path, settings, "--frames=8")
    assert ran.returncode == (3 if message else 0), ran
    assert message in ran.stderr
    assert ("the driver is older" in json.loads(ran.stdout).get("error", "")) == bool(message)


def test_machine_without_a_driver_gets_advice(tmp_path: Path) -> None:
    """Without a driver, the report has the reason, and the exit status is 3."""
    ran = check(tmp_path, {})
    assert ran.returncode == 3, ran
    assert json.loads(ran.stdout)["error"] == "Cannot load libcuda.so.1"
    assert "docker run --gpus all" in ran.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("--frames", "7"), ("--frames",), ("x",)])
def test_wrong_option_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """An unknown option or a wrong number of frames prints what is accepted, and exits with 2."""
    ran = check(tmp_path, GPU, *arguments)
    assert ran.returncode == 2, ran
    assert "--frames" in ran.stderr
