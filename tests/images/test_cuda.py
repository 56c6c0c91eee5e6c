"""NVIDIA's features are built in; without a driver they say so, with a GPU they agree."""

from pathlib import Path
from statistics import mean

import pytest

from scripts.contents import elf
from scripts.core import clips
from tests.support.subject import OURS, Subject

CODERS = {
    "-encoders": {"h264_nvenc", "hevc_nvenc", "av1_nvenc"},
    "-decoders": {"h264_cuvid", "hevc_cuvid", "av1_cuvid", "vp9_cuvid"},
    "-filters": {"libvmaf_cuda", "scale_cuda", "hwupload_cuda"},
}

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
"""A kernel and the program that runs it; 3 where CUDA has no GPU."""

WITH_GPU = ("--gpus=all",)


@pytest.mark.needs("cuda", "ffmpeg")
@pytest.mark.parametrize("question", CODERS)
def test_nvidia_features_are_listed(image: Subject, question: str) -> None:
    """FFmpeg knows NVENC, NVDEC and the CUDA filters; none of them needs a GPU to be listed."""
    told = image.ffmpeg(question).stdout
    listed = {words[1] for line in told.splitlines() if len(words := line.split()) > 1}
    assert not CODERS[question] - listed


@pytest.mark.needs("cuda", "vmaf")
def test_kernels_are_for_the_declared_gpus(image: Subject) -> None:
    """libvmaf.so holds code for each GPU of versions.json: a gap shows on that GPU alone."""
    declared = image.manifest["libvmaf"]["gencode"]
    assert declared
    assert elf.gpu_code(image.read(OURS + "lib/libvmaf.so")) == set(declared)


@pytest.mark.needs("cuda")
def test_asks_for_the_driver(image: Subject) -> None:
    """NVIDIA's container toolkit mounts what these ask for; NVENC and NVDEC need `video`."""
    asked = image.environment.get("NVIDIA_DRIVER_CAPABILITIES", "").split(",")
    assert image.environment.get("NVIDIA_VISIBLE_DEVICES") == "all"
    assert {"compute", "video", "utility"} <= set(asked)


@pytest.mark.needs("cuda")
def test_carries_no_driver(image: Subject) -> None:
    """The driver must match the host's kernel module, so a copy in the image only breaks it."""
    names = ("libcuda.so", "libnvcuvid.so", "libnvidia-")
    found = [
        f"{layer} carries {entry.path}"
        for layer in image.layers
        for entry in layer.entries
        if entry.path.rpartition("/")[2].startswith(names)
    ]
    assert not found, "\n".join(found)


@pytest.mark.needs("cuda", "ffmpeg")
def test_ffmpeg_without_a_driver_says_so(image: Subject) -> None:
    """Asked for CUDA where there is none, ffmpeg ends with a message, not with a signal."""
    pattern = ("-f", "lavfi", "-i", "testsrc2=d=0.1", "-f", "null", "-")
    asked = image.ffmpeg("-init_hw_device", "cuda", *pattern, succeeds=False)
    assert asked.code, asked
    assert not asked.killed, asked
    assert "libcuda.so.1" in asked.stderr, asked


@pytest.mark.needs("cuda", "vmaf")
def test_vmaf_without_a_driver_says_so(image: Subject, folder: Path) -> None:
    """Asked for CUDA where there is none, vmaf says that it scores on the CPU, and does."""
    clips.generate(folder / "same.y4m")
    pair = ("--reference=same.y4m", "--distorted=same.y4m", "--gpumask=0")
    told = image.run(*pair, program="vmaf", folder=folder)
    assert "using CPU" in told.stderr, told
    on_cpu = image.score(folder, "same.y4m", "same.y4m")
    assert image.score(folder, "same.y4m", "same.y4m", "--gpumask=0") == on_cpu


@pytest.mark.needs("nvcc")
def test_nvcc_makes_a_program(image: Subject, folder: Path) -> None:
    """With its host compiler, nvcc makes a program of one source, for the GPU asked for."""
    (folder / "count.cu").write_text(PROGRAM)
    image.run("-arch=sm_75", "-o", "count", "count.cu", program="nvcc", folder=folder)
    assert elf.gpu_code((folder / "count").read_bytes()) == {"sm_75", "compute_75"}
    told = image.run(program="./count", folder=folder, succeeds=False)
    no_gpu = {"cudaErrorInsufficientDriver\n", "cudaErrorNoDevice\n"}
    assert (told.code == 3 and told.stdout in no_gpu) or told.code == 0, told


@pytest.mark.gpu
@pytest.mark.needs("cuda", "vmaf")
def test_gpu_and_cpu_agree(image: Subject, folder: Path) -> None:
    """The same frames score the same on the GPU and on the CPU, to a hundredth."""
    clips.generate(folder / "reference.y4m")
    clips.generate(folder / "worse.y4m", 16)
    cpu = image.score(folder, "reference.y4m", "worse.y4m")
    pair = ("--reference=reference.y4m", "--distorted=worse.y4m", "--gpumask=0")
    told = image.run(*pair, program="vmaf", options=WITH_GPU, folder=folder)
    assert "using CPU" not in told.stderr, told
    gpu = image.score(folder, "reference.y4m", "worse.y4m", "--gpumask=0", options=WITH_GPU)
    assert mean(gpu) == pytest.approx(mean(cpu), abs=1e-2)
