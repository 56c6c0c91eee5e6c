"""CUDA."""

import json
import re
import shlex
from pathlib import Path

import pytest

from scripts.contents import gpu_code
from scripts.core import clips
from scripts.core.paths import ROOT
from tests.support.subject import PREFIX, VIDEO, Subject, has_project_patch

FEATURES = {
    "-encoders": {"h264_nvenc", "hevc_nvenc", "av1_nvenc"},
    "-decoders": {"h264_cuvid", "hevc_cuvid", "av1_cuvid", "vp9_cuvid"},
    "-filters": {"libvmaf_cuda", "scale_cuda", "hwupload_cuda"},
}

GUIDE = ROOT / "docs" / "gpu.md"
NO_GPU = 3

PROGRAM = """
#include <cstdio>

__global__ void count(int *total) { atomicAdd(total, 1); }

int main() {
    int *total;
    cudaError_t error = cudaMallocManaged(&total, sizeof *total);
    if (!error) {
        *total = 0;
        count<<<1, 32>>>(total);
        error = cudaDeviceSynchronize();
    }
    if (error) {
        puts(cudaGetErrorName(error));
        return 3;
    }
    return *total == 32 ? 0 : 1;
}
"""
"""A kernel and a program that runs it. It ends with NO_GPU where CUDA has no GPU."""

WITH_GPU = ("--gpus=all",)


def libvmaf(image: Subject) -> bytes:
    """Return the content of libvmaf's library, or libraries."""
    return b"".join(image.read(file.path) for file in image.libvmaf)


@pytest.mark.needs("cuda", "ffmpeg")
@pytest.mark.parametrize("question", FEATURES)
def test_ffmpeg_lists_nvidia_features(image: Subject, question: str) -> None:
    """FFmpeg lists NVENC, NVDEC and the CUDA filters."""
    output = image.ffmpeg(question).stdout
    listed = {fields[1] for line in output.splitlines() if len(fields := line.split()) > 1}
    missing = sorted(FEATURES[question] - listed)
    assert not missing, f"missing: {missing}"


@pytest.mark.needs("cuda", "vmaf")
def test_libvmaf_has_code_for_the_declared_gpus(image: Subject) -> None:
    """libvmaf.so has CUDA code for exactly the GPU architectures of versions.json."""
    declared = image.manifest["libvmaf"]["gencode"]
    assert declared
    assert gpu_code.gpu_code(libvmaf(image)) == set(declared)


@pytest.mark.needs("blackwell", "vmaf")
def test_libvmaf_has_machine_code_for_blackwell(image: Subject) -> None:
    """CUDA 13 compiled libvmaf's kernels for Blackwell's GPUs, not only as PTX."""
    missing = {"sm_100", "sm_120"} - gpu_code.gpu_code(libvmaf(image))
    assert not missing, f"no machine code for {sorted(missing)}"


@pytest.mark.needs("cuda", "vmaf")
def test_libvmaf_has_no_function_of_libdevice(image: Subject) -> None:
    """The CUDA kernels of libvmaf contain no function of NVIDIA's library libdevice."""
    if not has_project_patch(image.manifest):
        pytest.skip(f"{image.tag} has another libvmaf, whose kernels are its own")
    library = libvmaf(image)
    assert any(gpu.startswith("compute_") for gpu in gpu_code.gpu_code(library)), "no PTX to read"
    traces = gpu_code.libdevice(library)
    assert not traces, f"from libdevice: {sorted(traces)}"


@pytest.mark.needs("cuda", "ffmpeg")
def test_ffmpegs_cuda_filters_have_nothing_of_nvidias(image: Subject) -> None:
    """FFmpeg's CUDA filters are PTX by clang, for all GPUs, and call no library."""
    kernels = list(gpu_code.gzipped_ptx(image.read(PREFIX + "lib/libavfilter.so")))
    assert kernels, "no PTX in libavfilter"
    versions = {
        tuple(re.findall(r"^\.(?:version|target) (\S+)", ptx, re.MULTILINE)) for ptx in kernels
    }
    assert versions == {("4.2", "sm_30")}
    called = sorted({name for ptx in kernels for name in gpu_code.library_functions(ptx)})
    assert not called, f"the filters call {called}"


@pytest.mark.needs("cuda", "ffmpeg")
def test_gpu_check_reports_a_missing_driver(image: Subject) -> None:
    """Without a driver, gpu-check reports it in JSON, and how to run the image with a GPU."""
    result = image.run(program="gpu-check", succeeds=False)
    result.assert_refused("docker run --gpus all")
    assert result.code == NO_GPU, result
    assert "libcuda.so.1" in json.loads(result.stdout)["error"], result


@pytest.mark.needs("cuda")
def test_environment_requests_the_driver(image: Subject) -> None:
    """The environment requests the driver from NVIDIA's container toolkit.

    Only FFmpeg needs its video libraries, which have NVENC and NVDEC.
    """
    requested = image.environment.get("NVIDIA_DRIVER_CAPABILITIES", "").split(",")
    assert image.environment.get("NVIDIA_VISIBLE_DEVICES") == "all"
    needed = {"compute", "utility", *(["video"] if "ffmpeg" in image.image.provides else [])}
    missing = sorted(needed - set(requested))
    assert not missing, f"missing driver capabilities: {missing}"


@pytest.mark.needs("cuda")
def test_layers_contain_no_driver(image: Subject) -> None:
    """No layer contains NVIDIA's driver, which the host provides."""
    names = ("libcuda.so", "libnvcuvid.so", "libnvidia-")
    present = [
        f"{layer} carries {entry.path}"
        for layer in image.layers
        for entry in layer.entries
        if entry.path.rpartition("/")[2].startswith(names)
    ]
    assert not present, "\n".join(present)


@pytest.mark.needs("cuda", "ffmpeg")
def test_ffmpeg_reports_a_missing_driver(image: Subject) -> None:
    """Without a driver, ffmpeg refuses a CUDA device with an error message."""
    pattern = ("-f", "lavfi", "-i", "testsrc2=d=0.1", "-f", "null", "-")
    result = image.ffmpeg("-init_hw_device", "cuda", *pattern, succeeds=False)
    result.assert_refused("libcuda.so.1")


@pytest.mark.needs("cuda", "ffmpeg")
@pytest.mark.parametrize("number", [0, 1], ids=["decode and score", "encode and score"])
def test_documented_command_reports_a_missing_driver(
    image: Subject, directory: Path, number: int
) -> None:
    """Without a driver, the commands of docs/gpu.md that decode or encode print an error."""
    for name in ("dist.mp4", "ref.mp4"):
        image.ffmpeg(*VIDEO, name, directory=directory)
    blocks = GUIDE.read_text().split("```")[1::2]
    commands = [block.removeprefix("sh\n") for block in blocks if "libvmaf_cuda" in block]
    command = shlex.split(commands[number].replace("\\\n", ""))
    arguments = command[command.index("vmaf:cuda12") + 1 :]
    result = image.ffmpeg(*arguments, directory=directory, succeeds=False)
    result.assert_refused("libcuda.so.1")


@pytest.mark.needs("cuda", "vmaf")
def test_vmaf_scores_on_the_cpu_without_a_driver(image: Subject, directory: Path) -> None:
    """Without a driver, `vmaf --gpumask` prints that it uses the CPU and scores the same."""
    clips.generate(directory / "same.y4m")
    pair = ("--reference=same.y4m", "--distorted=same.y4m", "--gpumask=0")
    result = image.run(*pair, program="vmaf", directory=directory)
    assert "using CPU" in result.stderr, f"no message about the CPU in {result.stderr!r}"
    on_cpu = image.score(directory, "same.y4m", "same.y4m")
    assert image.score(directory, "same.y4m", "same.y4m", "--gpumask=0") == on_cpu


@pytest.mark.needs("nvcc")
def test_nvcc_compiles_a_program(image: Subject, directory: Path) -> None:
    """With its host compiler, nvcc compiles a program for the requested GPU architecture."""
    (directory / "count.cu").write_text(PROGRAM)
    image.run("-arch=sm_75", "-o", "count", "count.cu", program="nvcc", directory=directory)
    assert gpu_code.gpu_code((directory / "count").read_bytes()) == {"sm_75", "compute_75"}
    result = image.run(program="./count", directory=directory, succeeds=False)
    no_gpu = {"cudaErrorInsufficientDriver\n", "cudaErrorNoDevice\n"}
    assert (result.code == NO_GPU and result.stdout in no_gpu) or result.code == 0, result


@pytest.mark.gpu
@pytest.mark.needs("cuda", "vmaf", "ffmpeg")
def test_gpu_check_finds_no_difference(image: Subject) -> None:
    """On an NVIDIA GPU, libvmaf and FFmpeg decode, filter and score as on the CPU."""
    options = (*WITH_GPU, "--tmpfs=/tmp:exec,mode=1777")
    result = image.run("--frames=8", program="gpu-check", options=options)
    assert json.loads(result.stdout)["failures"] == [], result
