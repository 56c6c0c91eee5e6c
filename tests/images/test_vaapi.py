"""VA-API."""

import re

import pytest

from scripts.contents import elf
from tests.support.subject import Subject

FEATURES = {
    "-hwaccels": {"vaapi"},
    "-encoders": {"h264_vaapi", "hevc_vaapi", "av1_vaapi"},
    "-filters": {"scale_vaapi", "deinterlace_vaapi"},
}
DRIVERS = {"hip": "radeonsi", "qsv": "iHD", "codecs": "iHD"}
"""The VA-API driver that images with a capability have: AMD's or Intel's."""


@pytest.mark.needs("vaapi", "ffmpeg")
@pytest.mark.parametrize("question", FEATURES)
def test_ffmpeg_lists_vaapi(image: Subject, question: str) -> None:
    """FFmpeg lists VA-API features."""
    missing = sorted(FEATURES[question] - set(image.ffmpeg(question).stdout.split()))
    assert not missing, f"missing: {missing}"


@pytest.mark.needs("vaapi", "ffmpeg")
def test_ffmpeg_reports_a_missing_vaapi_device(image: Subject) -> None:
    """Without a GPU, ffmpeg refuses a VA-API device with an error message."""
    pattern = ("-f", "lavfi", "-i", "testsrc2=d=0.1", "-f", "null", "-")
    device = ("-init_hw_device", "vaapi=gpu:/dev/dri/renderD128")
    image.ffmpeg(*device, *pattern, succeeds=False).assert_refused("No VA display found")


@pytest.mark.needs("vaapi")
def test_vaapi_driver_matches_libva(image: Subject) -> None:
    """AMD's or Intel's VA-API driver loads and has an entry point for the installed libva.

    libva accepts the entry points of its own and of older versions.
    """
    names = {name for capability, name in DRIVERS.items() if capability in image.image.provides}
    assert names, "no driver is known for an image with these capabilities"
    if image.architecture != "amd64":
        pytest.skip("Debian has Intel's driver for amd64 only")
    libva = image.saved.resolve(image.libraries + "libva.so.2")
    accepted = int(libva.split(".")[-2]) // 100
    entry_points = re.compile(r"__vaDriverInit_1_(\d+)")
    for name in sorted(names):
        driver = f"{image.libraries}dri/{name}_drv_video.so"
        assert image.exists(driver), f"there is no {driver}"
        offered = [
            int(match[1])
            for symbol in elf.exports(image.read(driver))
            if (match := entry_points.fullmatch(symbol))
        ]
        assert any(version <= accepted for version in offered), f"{offered} for libva 1.{accepted}"
        image.assert_loads(driver)
