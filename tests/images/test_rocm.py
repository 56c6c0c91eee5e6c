"""AMD's features are built in and load; without a GPU they say so, with one they agree."""

import re
import stat
from pathlib import Path

import pytest

from scripts.contents import elf
from tests.support.subject import OURS, Subject

SMOKE = OURS + "libexec/vmaf/hip-smoke"
LIBRARIES = "/usr/lib/x86_64-linux-gnu/"

FEATURES = {
    "-hwaccels": {"vaapi", "opencl"},
    "-encoders": {"h264_vaapi", "hevc_vaapi", "av1_vaapi"},
    "-filters": {"scale_vaapi", "deinterlace_vaapi", "avgblur_opencl", "overlay_opencl"},
}


def assert_loads(image: Subject, library: str) -> None:
    """Have the loader open a library that programs open by name, where ldd does not look."""
    told = image.run(f"LD_PRELOAD={library}", "true", program="env")
    assert not told.stderr, told


@pytest.mark.needs("vaapi", "opencl", "ffmpeg")
@pytest.mark.parametrize("question", FEATURES)
def test_vaapi_and_opencl_are_listed(image: Subject, question: str) -> None:
    """FFmpeg knows VA-API and OpenCL; neither needs a GPU to be listed."""
    listed = image.ffmpeg(question).stdout.split()
    assert not FEATURES[question] - set(listed)


@pytest.mark.needs("vaapi", "ffmpeg")
def test_ffmpeg_without_vaapi_says_so(image: Subject) -> None:
    """Asked for VA-API where there is no GPU, ffmpeg ends with a message, not with a signal."""
    pattern = ("-f", "lavfi", "-i", "testsrc2=d=0.1", "-f", "null", "-")
    device = ("-init_hw_device", "vaapi=gpu:/dev/dri/renderD128")
    asked = image.ffmpeg(*device, *pattern, succeeds=False)
    assert asked.code, asked
    assert not asked.killed, asked
    assert "No VA display found" in asked.stderr, asked


@pytest.mark.needs("hip")
def test_hip_code_is_for_the_declared_gpus(image: Subject) -> None:
    """hip-smoke holds code for each GPU of versions.json: a gap shows on that GPU alone."""
    declared = image.manifest["hip-smoke"]["gfx"]
    assert declared
    assert elf.hip_code(image.read(SMOKE)) == set(declared)


@pytest.mark.needs("hip")
def test_hip_is_of_the_declared_release(image: Subject) -> None:
    """versions.json and the library's file are of HIP 6, as the image's name says."""
    library = image.saved.resolve(LIBRARIES + "libamdhip64.so.6")
    assert library.startswith(LIBRARIES + "libamdhip64.so.6."), library
    for name in ("hip", "hip-smoke"):
        assert image.manifest[name]["version"].startswith("6."), image.manifest[name]


@pytest.mark.needs("hip")
@pytest.mark.parametrize(
    "library", ["libamdhip64.so.6", "libhsa-runtime64.so.1", "libamd_comgr.so.3"]
)
def test_hip_loads(image: Subject, library: str) -> None:
    """HIP, HSA below it, and comgr, which HIP opens by name, are there with all they need."""
    assert_loads(image, library)


@pytest.mark.needs("hip")
def test_hip_smoke_without_a_gpu_says_so(image: Subject) -> None:
    """Where there is no device, a script can tell that (3) from a HIP that fails (1)."""
    told = image.run(program=SMOKE, succeeds=False)
    assert told.code == 3, told
    assert "no AMD GPU" in told.stderr, told


@pytest.mark.needs("hip", "opencl")
def test_opencl_driver_is_amds(image: Subject) -> None:
    """The OpenCL loader finds drivers by files that name them; AMD's is named and loads."""
    drivers = [
        image.read(path).decode().strip()
        for path, (_, entry) in image.saved.merged.items()
        if re.fullmatch(r"/etc/OpenCL/vendors/\w+\.icd", path) and entry.is_file
    ]
    assert any(driver.startswith("libamdocl64.so") for driver in drivers), drivers
    for driver in drivers:
        assert_loads(image, driver)


@pytest.mark.needs("hip", "vaapi")
def test_vaapi_driver_is_amds(image: Subject) -> None:
    """A driver offers the version it was built for, and libva asks for none newer than its own."""
    driver = LIBRARIES + "dri/radeonsi_drv_video.so"
    entry_points = re.compile(r"__vaDriverInit_1_(\d+)")
    offered = [
        int(match[1])
        for name in elf.exports(image.read(driver))
        if (match := entry_points.fullmatch(name))
    ]
    libva = image.saved.resolve(LIBRARIES + "libva.so.2")
    asked = int(libva.split(".")[-2]) // 100
    assert any(version <= asked for version in offered), f"{offered} for libva 1.{asked}"
    assert_loads(image, driver)


@pytest.mark.gpu("amd")
@pytest.mark.needs("hip")
def test_hip_smoke_agrees_with_the_cpu(image: Subject) -> None:
    """On a GPU the sum of squared differences is the one that the CPU computes."""
    nodes = [Path("/dev/kfd"), *Path("/dev/dri").glob("renderD*")]
    groups = {node.stat().st_gid for node in nodes if stat.S_ISCHR(node.stat().st_mode)}
    options = ["--device=/dev/kfd", "--device=/dev/dri", *(f"--group-add={g}" for g in groups)]
    told = image.run(program=SMOKE, options=options)
    sums = re.search(r"differences (\d+), expected (\d+)", told.stdout)
    assert sums, told
    assert sums[1] == sums[2], told
