"""Vulkan filters are built in; without a device they say so, on one they filter."""

import re
from pathlib import Path

import pytest

from tests.support.lavapipe import DEVICE, Lavapipe
from tests.support.subject import Subject

LISTED = {
    "-filters": {"scale_vulkan", "avgblur_vulkan", "overlay_vulkan", "bwdif_vulkan", "libplacebo"},
    "-hwaccels": {"vulkan"},
}

SCALERS = ("scale_vulkan", "libplacebo")


@pytest.mark.needs("vulkan", "ffmpeg")
@pytest.mark.parametrize("question", LISTED)
def test_vulkan_features_are_listed(image: Subject, question: str) -> None:
    """FFmpeg knows Vulkan as a device, its filters and libplacebo's; no GPU is needed to list."""
    told = [line.split() for line in image.ffmpeg(question).stdout.splitlines()]
    listed = {words[1] if len(words) > 1 else words[0] for words in told if words}
    assert not LISTED[question] - listed


@pytest.mark.needs("vulkan", "ffmpeg")
def test_without_a_vulkan_device_says_so(image: Subject) -> None:
    """Asked for Vulkan where no driver is, the loader answers, and ffmpeg ends with a message."""
    pattern = ("-f", "lavfi", "-i", "testsrc2=d=0.1", "-f", "null", "-")
    hidden = ("--env=VK_DRIVER_FILES=/none",)
    device = ("-init_hw_device", "vulkan")
    asked = image.ffmpeg(*device, *pattern, options=hidden, succeeds=False)
    assert asked.code, asked
    assert not asked.killed, asked
    assert "VK_ERROR_INCOMPATIBLE_DRIVER" in asked.stderr, asked


@pytest.mark.needs("vulkan", "ffmpeg", "vmaf")
@pytest.mark.parametrize("scaler", SCALERS)
def test_vulkan_filters_run_and_score(
    image: Subject, scaler: str, lavapipe: Lavapipe, clip: Path, folder: Path
) -> None:
    """A clip is halved and doubled on Mesa's CPU device, and scored in the same command.

    A picture that was not scaled scores 99, a damaged one near 0. libplacebo
    refuses a CPU device that it finds by itself, so the device is given to it;
    on this one it writes all planes of a frame to the same place unless each
    is an image of its own.
    """
    (folder / "clip.mp4").write_bytes(clip.read_bytes())
    there = f"hwupload,{scaler}=w=640:h=360,{scaler}=w=1280:h=720,hwdownload,format=yuv420p"
    told = lavapipe(image).run(
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "verbose"),
        *("-init_hw_device", "vulkan=device:,disable_multiplane=1", "-filter_hw_device", "device"),
        *("-i", "clip.mp4", "-an", "-lavfi"),
        f"trim=end_frame=12,format=yuv420p,split[a][b];[a]{there}[scaled];[scaled][b]libvmaf",
        *("-f", "null", "-"),
        program="ffmpeg",
        folder=folder,
    )
    device = re.search(r"Using device: (.*)", told.stderr)
    assert device, told
    assert device[1].startswith(DEVICE), told
    score = float(told.stderr.rpartition("VMAF score: ")[2].split()[0])
    lavapipe.tell(f"{scaler} on {device[1]}: VMAF {score:.2f}")
    assert 50 < score < 95, f"{scaler} scores {score}"
