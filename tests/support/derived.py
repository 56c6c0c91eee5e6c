"""Build images with a Debian package on top of the images under test.

The package is installed in an additional layer, in the same way as users install it.
"""

import os
import re
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

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
    --mount=type=bind,source={apt},target=/run/recipes/apt.sh \\
    /run/recipes/apt.sh install {package}
USER vmaf
"""

UNREACHABLE = re.compile(
    r"(?:Could not (?:connect|resolve)|Temporary failure resolving|E: Failed to fetch).*"
)
"""The errors of apt if no Debian mirror is reachable and its cache mount lacks a package."""


def _apt() -> Path:
    """Return the recipe that installs packages, relative to the repository."""
    (recipe,) = (ROOT / "docker" / "recipes").rglob("apt.sh")
    return recipe.relative_to(ROOT)


class Derived:
    """Builds images with an additional package, and removes them when it is closed."""

    def __init__(self, package: str) -> None:
        """Set the name of the package."""
        self.package = package
        self._derived: dict[str, Subject] = {}

    def __call__(self, image: Subject) -> Subject:
        """Return the image with the package added; skip the test if no mirror is reachable."""
        if image.tag not in self._derived:
            self._derived[image.tag] = image.derived(self._build(image.tag))
        return self._derived[image.tag]

    def _build(self, base: str) -> str:
        tag = f"vmaf-derived:{uuid.uuid4().hex}"
        arguments = [f"--build-arg={name}" for name in proxies(os.environ)]
        with TemporaryDirectory() as directory:
            # buildx leaves a Dockerfile that it reads from stdin in the temporary directory.
            file = Path(directory) / "Dockerfile"
            file.write_text(DOCKERFILE.format(tag=base, apt=_apt(), package=self.package))
            command = ("buildx", "build", "--load", "--progress=plain", f"--tag={tag}")
            built = docker(*command, *arguments, f"--file={file}", str(ROOT), timeout=280)
        if built.returncode and (reason := UNREACHABLE.search(built.stderr)):
            pytest.skip(f"no Debian mirror is reachable for {self.package}: {reason[0]}")
        assert not built.returncode, f"{self.package} cannot be added:\n{built.stderr}"
        return tag

    def close(self) -> None:
        """Remove the images that were built."""
        if tags := [subject.tag for subject in self._derived.values()]:
            docker("image", "rm", "--force", *tags)
