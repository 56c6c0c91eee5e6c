"""Whether the docker client has buildx."""

import shutil
import subprocess

import pytest


def has_buildx() -> bool:
    """Whether bake files can be read here; no engine is needed."""
    asked = ["docker", "buildx", "version"]
    return (
        bool(shutil.which("docker"))
        and not subprocess.run(asked, capture_output=True, check=False).returncode
    )


needs_buildx = pytest.mark.skipif(
    not has_buildx(),
    reason="reads `docker buildx bake --print`, and there is no buildx: nox -s engine",
)
