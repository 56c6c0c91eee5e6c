"""Mesa's lavapipe, a Vulkan device that computes on the CPU, added to the image under test.

No image has it, as it takes 245 MB, most of that for LLVM. The tests add it the way that
users add the driver of their GPU (docs/images.md): as one layer of Debian packages.
"""

from _pytest.capture import CaptureManager

from tests.support.derived import Derived

DEVICE = "llvmpipe"
"""The start of the device's name in Vulkan."""


class Lavapipe(Derived):
    """Builds images that have the device, and shows the results of runs on it."""

    def __init__(self, capture: CaptureManager) -> None:
        """Take pytest's capture, which hides the output of tests that pass."""
        super().__init__("mesa-vulkan-drivers")
        self._capture = capture

    def show(self, result: str) -> None:
        """Print the result of a run beside the test's name, although the test passes."""
        with self._capture.global_and_fixture_disabled():
            print(f" {result}", end=" ", flush=True)
