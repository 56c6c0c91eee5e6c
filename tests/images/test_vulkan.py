"""Vulkan."""

import json
import re
from pathlib import Path

import pytest

from scripts.core import clips
from tests.support.lavapipe import DEVICE, Lavapipe
from tests.support.subject import Subject

FEATURES = {
    "-filters": {"scale_vulkan", "avgblur_vulkan", "overlay_vulkan", "bwdif_vulkan", "libplacebo"},
    "-hwaccels": {"vulkan"},
}

SCALERS = ("scale_vulkan", "libplacebo")

OPTIONS = {"--backend": "--backend=vulkan", "--vulkan_device": "--vulkan_device=0"}
"""The arguments that select Vulkan, by the option in the help of a libvmaf tree's program."""

TOLERANCE = 0.1

LOADED = re.compile(r'Using "(.*?)" with driver')
"""What Vulkan's loader prints when a program opens a device."""


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


@pytest.mark.needs("vulkan", "vmaf")
def test_vulkan_backend_scores_like_the_cpu(
    image: Subject, lavapipe: Lavapipe, directory: Path
) -> None:
    """If the label names Vulkan, vmaf scores on Mesa's CPU device as without it.

    libvmaf has this backend only with a `--libvmaf` tree that offers it. The message of Vulkan's
    loader shows that the device was opened: a program may score without it if it cannot be.
    """
    if "vulkan" not in image.labels["vmaf.backends"].split():
        pytest.skip(f"libvmaf in {image.tag} has no Vulkan backend")
    result = image.run("--help", program="vmaf", succeeds=False)
    printed = result.stdout + result.stderr
    assert "--reference" in printed, f"vmaf prints no help: {result}"
    offered = [OPTIONS[name] for name in OPTIONS if name in printed]
    assert offered, f"vmaf has none of the options {', '.join(OPTIONS)}"
    clips.generate(directory / "reference.y4m")
    clips.generate(directory / "worse.y4m", 16)
    expected = image.score(directory, "reference.y4m", "worse.y4m")
    result = lavapipe(image).run(
        *("--reference=reference.y4m", "--distorted=worse.y4m", "--json", "--output=score.json"),
        offered[0],
        program="vmaf",
        options=("--env=VK_LOADER_DEBUG=driver",),
        directory=directory,
    )
    device = LOADED.search(result.stderr)
    assert device, f"vmaf {offered[0]} opened no Vulkan device: {result}"
    assert device[1].startswith(DEVICE), result
    frames = json.loads((directory / "score.json").read_text())["frames"]
    scores = [frame["metrics"]["vmaf"] for frame in frames]
    difference = max(abs(a - b) for a, b in zip(scores, expected, strict=True))
    lavapipe.show(f"{offered[0]} on {device[1]}: within {difference:.2g}")
    assert difference < TOLERANCE, f"the scores differ by {difference:.1f}"
