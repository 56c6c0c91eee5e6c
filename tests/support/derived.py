"""Images under test with Debian packages added: what a test needs and no image should carry.

One layer on top, the way a user of the image would add it.
"""

import os
import re
import subprocess
import uuid

import pytest

from scripts.core.paths import ROOT
from scripts.images.overlay import proxies
from tests.support.subject import Subject, docker

DOCKERFILE = """\
FROM {tag}
ARG TARGETARCH
USER root
RUN --mount=type=cache,id=vmaf-apt-cache-trixie-$TARGETARCH,target=/var/cache/apt,sharing=locked \\
    --mount=type=cache,id=vmaf-apt-lib-trixie-$TARGETARCH,target=/var/lib/apt,sharing=locked \\
    --mount=type=bind,source=docker/recipes/lib/apt.sh,target=/run/recipes/apt.sh \\
    /run/recipes/apt.sh install {package}
USER vmaf
"""

UNREACHABLE = re.compile(
    r"(?:Could not (?:connect|resolve)|Temporary failure resolving|E: Failed to fetch).*"
)
"""What apt says where no Debian mirror answers, and its cache mount has not all of it."""


class Derived:
    """Derives images that have a package, and removes them in the end."""

    def __init__(self, package: str) -> None:
        """Begin with none."""
        self.package = package
        self._derived: dict[str, Subject] = {}

    def __call__(self, image: Subject) -> Subject:
        """Return the image with the package added; skips the test where no mirror answers."""
        if image.tag not in self._derived:
            tag = f"vmaf-derived:{uuid.uuid4().hex}"
            command = ["docker", "buildx", "build", "--load", "--progress=plain", f"--tag={tag}"]
            command += [f"--build-arg={name}" for name in proxies(os.environ)]
            done = subprocess.run(
                [*command, "--file=-", str(ROOT)],
                input=DOCKERFILE.format(tag=image.tag, package=self.package),
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode and (said := UNREACHABLE.search(done.stderr)):
                pytest.skip(f"no Debian mirror has {self.package} for us: {said[0]}")
            assert not done.returncode, f"{self.package} cannot be added:\n{done.stderr}"
            self._derived[image.tag] = image.derived(tag)
        return self._derived[image.tag]

    def close(self) -> None:
        """Remove what was derived."""
        if tags := [subject.tag for subject in self._derived.values()]:
            docker("image", "rm", "--force", *tags)
