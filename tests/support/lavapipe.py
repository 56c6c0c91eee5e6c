"""A Vulkan device that every machine has: Mesa's lavapipe, which computes on the CPU.

It is in no image, as it would cost 245 MB, more than half of that for LLVM. So
the tests add it to the image under test, the way its users add the driver of
their GPU (docs/images.md): one layer of Debian packages.
"""

from _pytest.capture import CaptureManager

from tests.support.derived import Derived

DEVICE = "llvmpipe"
"""What Vulkan calls it."""


class Lavapipe(Derived):
    """Derives images that have the device, and tells what came of a run on it."""

    def __init__(self, capture: CaptureManager) -> None:
        """Begin with none."""
        super().__init__("mesa-vulkan-drivers")
        self._capture = capture

    def tell(self, result: str) -> None:
        """Print what came of a run, which nobody would see of a test that passes."""
        with self._capture.global_and_fixture_disabled():
            print(f" {result}", end=" ", flush=True)
