"""HIP and OpenCL."""

import re
import stat
from pathlib import Path

import pytest

from scripts.contents import gpu_code
from tests.support import smoke
from tests.support.subject import Subject

NO_GPU = 3

OPENCL = {
    "-hwaccels": {"opencl"},
    "-filters": {"avgblur_opencl", "overlay_opencl"},
}


def release(image: Subject) -> str:
    """Return the release of HIP, which the name of vmaf:rocm7 has; vmaf:dev has 6."""
    return "7" if image.image.name == "rocm7" else "6"


@pytest.mark.needs("opencl", "ffmpeg")
@pytest.mark.parametrize("question", OPENCL)
def test_ffmpeg_lists_opencl(image: Subject, question: str) -> None:
    """FFmpeg lists OpenCL features."""
    missing = sorted(OPENCL[question] - set(image.ffmpeg(question).stdout.split()))
    assert not missing, f"missing: {missing}"


@pytest.mark.needs("hip")
def test_hip_smoke_has_code_for_the_declared_gpus(image: Subject) -> None:
    """hip-smoke has code for exactly the GPU architectures of versions.json."""
    declared = image.manifest["hip-smoke"]["gfx"]
    assert declared
    assert gpu_code.hip_code(image.read(smoke.HIP)) == set(declared)


@pytest.mark.needs("hip")
def test_hip_release_is_the_requested_one(image: Subject) -> None:
    """versions.json and the HIP library's file name are of the release in the image's name."""
    major = release(image)
    library = image.saved.resolve(image.libraries + f"libamdhip64.so.{major}")
    assert library.startswith(image.libraries + f"libamdhip64.so.{major}."), library
    for name in ("hip", "hip-smoke"):
        version = image.manifest[name]["version"]
        assert version.startswith(f"{major}."), f"{name} is of version {version}"


@pytest.mark.needs("hip")
@pytest.mark.parametrize(
    "library", ["libamdhip64.so.{}", "libhsa-runtime64.so.1", "libamd_comgr.so.3"]
)
def test_hip_libraries_load(image: Subject, library: str) -> None:
    """HIP, HSA and comgr load with everything that they need."""
    image.assert_loads(library.format(release(image)))


@pytest.mark.needs("hip")
def test_hip_smoke_reports_a_missing_gpu(image: Subject) -> None:
    """Without a GPU, hip-smoke prints a message and exits with 3."""
    result = image.run(program=smoke.HIP, succeeds=False)
    result.assert_refused("no AMD GPU")
    assert result.code == NO_GPU, result


@pytest.mark.needs("hip", "opencl")
def test_opencl_driver_is_registered_and_loads(image: Subject) -> None:
    """AMD's OpenCL driver has an .icd file, and every registered driver loads."""
    drivers = [
        image.read(path).decode().strip()
        for path, (_, entry) in image.saved.merged.items()
        if re.fullmatch(r"/etc/OpenCL/vendors/\w+\.icd", path) and entry.is_file
    ]
    amd = any(driver.startswith("libamdocl64.so") for driver in drivers)
    assert amd, f"registered OpenCL drivers: {drivers}"
    for driver in drivers:
        image.assert_loads(driver)


@pytest.mark.gpu("amd")
@pytest.mark.needs("hip")
def test_hip_smoke_agrees_with_the_cpu(image: Subject) -> None:
    """On an AMD GPU, hip-smoke computes the same sum as on the CPU.

    This test needs a GPU and has not yet run on one.
    """
    nodes = [Path("/dev/kfd"), *Path("/dev/dri").glob("renderD*")]
    groups = {node.stat().st_gid for node in nodes if stat.S_ISCHR(node.stat().st_mode)}
    options = ["--device=/dev/kfd", "--device=/dev/dri", *(f"--group-add={g}" for g in groups)]
    result = image.run(program=smoke.HIP, options=options)
    sums = re.search(r"differences (\d+), expected (\d+)", result.stdout)
    assert sums, result
    assert sums[1] == sums[2], f"the GPU's sum is {sums[1]}, the CPU's {sums[2]}"
