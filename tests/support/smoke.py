"""The smoke programs in the oneAPI and ROCm images (docker/smoke)."""

from scripts.core.paths import ROOT
from tests.support.subject import PREFIX

SOURCES = ROOT / "docker" / "smoke"
SYCL = PREFIX + "libexec/vmaf/sycl-smoke"
HIP = PREFIX + "libexec/vmaf/hip-smoke"


def squared_differences() -> int:
    """Compute the sum that the SYCL program computes, on the same generated frames."""

    def frame(state: int) -> list[int]:
        pixels = []
        for _ in range(320 * 192):
            state = (state * 1664525 + 1013904223) % 2**32
            pixels.append(state >> 24)
        return pixels

    return sum((a - b) ** 2 for a, b in zip(frame(1), frame(2), strict=True))
