"""Vulkan."""

import re
from pathlib import Path

import pytest

from tests.support.lavapipe import DEVICE, Lavapipe
from tests.support.subject import Subject

FEATURES = {
    "-filters": {"scale_vulkan", "avgblur_vulkan", "overlay_vulkan", "bwdif_vulkan", "libplacebo"},
    "-hwaccels": {"vulkan"},
}

SCALERS = ("scale_vulkan", "libplacebo")


@pytest.mark.needs("vulkan", "ffmpeg")
@pytest.mark.parametrize("question", FEATURES)
def test_ffmpeg_lists_vulkan_features(image: Subject, question: str) -> None:
    """FFmpeg lists the Vulkan device, its filters and libplacebo."""
    lines = [line.split() for line in image.ffmpeg(question).stdout.splitlines()]
    listed = {fields[1] if len(fields) > 1 else fields[0] for fields in lines if fields}
    missing = sorted(FEATURES[question] - listed)
    assert not missing, f"missing: {missing}"


@pytest.mark.needs("vulkan", "ffmpeg")
def test_ffmpeg_reports_a_missing_vulkan_device(image: Subject) -> None:
    """Without a driver, ffmpeg loads the Vulkan loader and prints its error message."""
    pattern = ("-f", "lavfi", "-i", "testsrc2=d=0.1", "-f", "null", "-")
    hidden = ("--env=VK_DRIVER_FILES=/none",)
    device = ("-init_hw_device", "vulkan")
    result = image.ffmpeg(*device, *pattern, options=hidden, succeeds=False)
    result.assert_refused("VK_ERROR_INCOMPATIBLE_DRIVER")


@pytest.mark.needs("vulkan", "ffmpeg", "vmaf")
@pytest.mark.parametrize("scaler", SCALERS)
def test_vulkan_filters_scale_and_score(
    image: Subject, scaler: str, lavapipe: Lavapipe, clip: Path, directory: Path
) -> None:
    """A clip that is scaled down and up on Mesa's CPU device scores 50 to 95.

    A picture that was not scaled scores 99, a damaged one near 0. libplacebo refuses a CPU
    device that it selects itself, so the command creates the device for it. On this device
    libplacebo writes all planes of a frame to the same memory unless each plane is a
    separate image, hence disable_multiplane.
    """
    (directory / "clip.mp4").write_bytes(clip.read_bytes())
    scaling = f"hwupload,{scaler}=w=640:h=360,{scaler}=w=1280:h=720,hwdownload,format=yuv420p"
    result = lavapipe(image).run(
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "verbose"),
        *("-init_hw_device", "vulkan=device:,disable_multiplane=1", "-filter_hw_device", "device"),
        *("-i", "clip.mp4", "-an", "-lavfi"),
        f"trim=end_frame=12,format=yuv420p,split[a][b];[a]{scaling}[scaled];[scaled][b]libvmaf",
        *("-f", "null", "-"),
        program="ffmpeg",
        directory=directory,
    )
    device = re.search(r"Using device: (.*)", result.stderr)
    assert device, result
    assert device[1].startswith(DEVICE), result
    score = float(result.stderr.rpartition("VMAF score: ")[2].split()[0])
    lavapipe.show(f"{scaler} on {device[1]}: VMAF {score:.2f}")
    assert 50 < score < 95, f"{scaler} scores {score}"
