"""A Vulkan device that every machine has: Mesa's lavapipe, which computes on the CPU.

It is in no image, as it would cost 245 MB, more than half of that for LLVM. So
the tests add it to the image under test, the way its users add the driver of
their GPU (docs/images.md): one layer of Debian packages.
"""

import os
import re
import subprocess
import uuid

import pytest
from _pytest.capture import CaptureManager

from scripts.build import proxies
from scripts.paths import ROOT
from tests.images.subject import Subject, docker

DEVICE = "llvmpipe"
"""What Vulkan calls it."""

DOCKERFILE = """\
FROM {tag}
ARG TARGETARCH
USER root
RUN --mount=type=cache,id=vmaf-apt-cache-trixie-$TARGETARCH,target=/var/cache/apt,sharing=locked \\
    --mount=type=cache,id=vmaf-apt-lib-trixie-$TARGETARCH,target=/var/lib/apt,sharing=locked \\
    --mount=type=bind,source=docker/recipes/apt.sh,target=/run/recipes/apt.sh \\
    /run/recipes/apt.sh install mesa-vulkan-drivers
USER vmaf
"""

UNREACHABLE = re.compile(
    r"(?:Could not (?:connect|resolve)|Temporary failure resolving|E: Failed to fetch).*"
)
"""What apt says where no Debian mirror answers, and its cache mount has not all of it."""


class Lavapipe:
    """Derives images that have the device, and removes them in the end."""

    def __init__(self, capture: CaptureManager) -> None:
        """Begin with none."""
        self._derived: dict[str, Subject] = {}
        self._capture = capture

    def tell(self, result: str) -> None:
        """Print what came of a run, which nobody would see of a test that passes."""
        with self._capture.global_and_fixture_disabled():
            print(f" {result}", end=" ", flush=True)

    def __call__(self, image: Subject) -> Subject:
        """Return the image with the device added; skips the test where no mirror answers."""
        if image.tag not in self._derived:
            tag = f"vmaf-lavapipe:{uuid.uuid4().hex}"
            command = ["docker", "buildx", "build", "--load", "--progress=plain", f"--tag={tag}"]
            command += [f"--build-arg={name}" for name in proxies(os.environ)]
            done = subprocess.run(
                [*command, "--file=-", str(ROOT)],
                input=DOCKERFILE.format(tag=image.tag),
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode and (said := UNREACHABLE.search(done.stderr)):
                pytest.skip(f"no Debian mirror has Mesa's Vulkan device for us: {said[0]}")
            assert not done.returncode, f"lavapipe cannot be added:\n{done.stderr}"
            self._derived[image.tag] = image.derived(tag)
        return self._derived[image.tag]

    def close(self) -> None:
        """Remove what was derived."""
        if tags := [subject.tag for subject in self._derived.values()]:
            docker("image", "rm", "--force", *tags)
