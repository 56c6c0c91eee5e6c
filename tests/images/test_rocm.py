"""HIP, and VA-API and OpenCL for AMD GPUs."""

import re
import stat
from pathlib import Path

import pytest

from scripts.contents import elf, gpu_code
from tests.support import smoke
from tests.support.subject import Subject

LIBRARIES = "/usr/lib/x86_64-linux-gnu/"
NO_GPU = 3

FEATURES = {
    "-hwaccels": {"vaapi", "opencl"},
    "-encoders": {"h264_vaapi", "hevc_vaapi", "av1_vaapi"},
    "-filters": {"scale_vaapi", "deinterlace_vaapi", "avgblur_opencl", "overlay_opencl"},
}


def assert_loads(image: Subject, library: str) -> None:
    """Check that the loader can load a library that programs open at run time.

    ldd does not cover such libraries.
    """
    result = image.run(f"LD_PRELOAD={library}", "true", program="env")
    assert not result.stderr, f"{library} does not load: {result.stderr}"


def release(image: Subject) -> str:
    """Return the release of HIP, which the name of vmaf:rocm7 has; vmaf:dev has 6."""
    return "7" if image.image.name == "rocm7" else "6"


@pytest.mark.needs("vaapi", "opencl", "ffmpeg")
@pytest.mark.parametrize("question", FEATURES)
def test_ffmpeg_lists_vaapi_and_opencl(image: Subject, question: str) -> None:
    """FFmpeg lists VA-API and OpenCL features."""
    missing = sorted(FEATURES[question] - set(image.ffmpeg(question).stdout.split()))
    assert not missing, f"missing: {missing}"


@pytest.mark.needs("vaapi", "ffmpeg")
def test_ffmpeg_reports_a_missing_vaapi_device(image: Subject) -> None:
    """Without a GPU, ffmpeg refuses a VA-API device with an error message."""
    pattern = ("-f", "lavfi", "-i", "testsrc2=d=0.1", "-f", "null", "-")
    device = ("-init_hw_device", "vaapi=gpu:/dev/dri/renderD128")
    image.ffmpeg(*device, *pattern, succeeds=False).assert_refused("No VA display found")


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
    library = image.saved.resolve(LIBRARIES + f"libamdhip64.so.{major}")
    assert library.startswith(LIBRARIES + f"libamdhip64.so.{major}."), library
    for name in ("hip", "hip-smoke"):
        version = image.manifest[name]["version"]
        assert version.startswith(f"{major}."), f"{name} is of version {version}"


@pytest.mark.needs("hip")
@pytest.mark.parametrize(
    "library", ["libamdhip64.so.{}", "libhsa-runtime64.so.1", "libamd_comgr.so.3"]
)
def test_hip_libraries_load(image: Subject, library: str) -> None:
    """HIP, HSA and comgr load with everything that they need."""
    assert_loads(image, library.format(release(image)))


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
        assert_loads(image, driver)


@pytest.mark.needs("hip", "vaapi")
def test_vaapi_driver_matches_libva(image: Subject) -> None:
    """AMD's VA-API driver loads and has an entry point for the installed libva.

    libva accepts the entry points of its own and of older versions.
    """
    driver = LIBRARIES + "dri/radeonsi_drv_video.so"
    entry_points = re.compile(r"__vaDriverInit_1_(\d+)")
    offered = [
        int(match[1])
        for name in elf.exports(image.read(driver))
        if (match := entry_points.fullmatch(name))
    ]
    libva = image.saved.resolve(LIBRARIES + "libva.so.2")
    accepted = int(libva.split(".")[-2]) // 100
    assert any(version <= accepted for version in offered), f"{offered} for libva 1.{accepted}"
    assert_loads(image, driver)


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
