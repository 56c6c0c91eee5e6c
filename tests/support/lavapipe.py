"""Mesa's lavapipe, a Vulkan device that computes on the CPU, added to the image under test.

The images do not contain it because of its size, most of which is LLVM. The tests install it in
an additional layer, in the same way as users install the driver of their GPU (docs/images.md).
"""

from _pytest.capture import CaptureManager

from tests.support.derived import Derived

DEVICE = "llvmpipe"
"""The prefix of the device name in Vulkan."""


class Lavapipe(Derived):
    """Builds images with the device, and prints the results of runs on it."""

    def __init__(self, capture: CaptureManager) -> None:
        """Set pytest's capture manager, which hides the output of tests that pass."""
        super().__init__("mesa-vulkan-drivers")
        self._capture = capture

    def show(self, result: str) -> None:
        """Print the result of a run beside the name of the test, even if the test passes."""
        with self._capture.global_and_fixture_disabled():
            print(f" {result}", end=" ", flush=True)
