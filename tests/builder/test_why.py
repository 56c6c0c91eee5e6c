"""The causes of rebuilds, on a small project that is built by the commands of this one."""

import json
import shutil
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scripts.core import process
from scripts.core.paths import ROOT, cache_dir
from scripts.engine.client import image_id
from tests.support import bakefile
from tests.support.buildx import needs_buildx
from tests.support.subject import docker

pytestmark = needs_buildx

REPOSITORY = "vmaf-why-test"
BAKE_FILE = f"""\
variable "LEVEL" {{
  default = "1"
}}
group "default" {{
  targets = ["parent", "cpu"]
}}
target "_common" {{
  context = "."
}}
target "_image" {{
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.production-gpu"
  labels = {{
    "org.opencontainers.image.description" = "a small image"
    "org.opencontainers.image.licenses"    = "MIT"
    "vmaf.backends"                        = "cpu"
    "vmaf.provides"                        = "nothing"
  }}
}}
target "parent" {{
  inherits = ["_image"]
  target   = "parent"
  tags     = ["{REPOSITORY}:parent"]
}}
target "cpu" {{
  inherits   = ["_image"]
  dockerfile = "Dockerfile"
  target     = "final-cpu"
  args       = {{ LEVEL = LEVEL }}
  tags       = ["{REPOSITORY}:cpu"]
}}
"""
PARENT = """\
FROM debian:trixie-slim AS base
FROM base AS parent
COPY docker/marker /etc/marker
"""
DOCKERFILE = f"""\
FROM {REPOSITORY}:parent AS base

FROM scratch AS libvmaf-source
COPY docker/default/ /

FROM base AS toolchain
# the packages
RUN sleep 0.2 && : install \\
        gcc nasm

FROM toolchain AS libvmaf-cpu
RUN --mount=type=bind,from=libvmaf-source,target=/src \\
    --mount=type=bind,source=docker/recipes/libvmaf.sh,target=/run/recipes/libvmaf.sh \\
    sleep 0.2 && sh /run/recipes/libvmaf.sh

FROM toolchain AS ffmpeg-cpu
ARG LEVEL
RUN sleep 0.2 && mkdir /out && echo "level $LEVEL" >/out/ffmpeg

FROM base AS final-cpu
COPY --from=libvmaf-cpu /out/libvmaf /libvmaf
COPY --from=ffmpeg-cpu /out/ffmpeg /ffmpeg
"""
FILES = {
    ".dockerignore": "*\n!docker\n!build/bootstrap/rootfs-*.tar\n",
    "docker-bake.hcl": bakefile.definitions() + BAKE_FILE,
    "docker/Dockerfile.production-gpu": PARENT,
    "Dockerfile": DOCKERFILE,
    "docker/default/libvmaf/src/picture.c": "int a;\n",
    "docker/recipes/libvmaf.sh": "mkdir /out && cat /src/libvmaf/src/*.c >/out/libvmaf\n",
    "tree/libvmaf/meson.build": "project('libvmaf', version : '9.9.9')\n",
    "tree/libvmaf/src/picture.c": "int a;\n",
    "tree/libvmaf/src/score.c": "int b;\n",
    "tree/model/vmaf.json": "{}\n",
}


@dataclass(frozen=True)
class Checkout:
    """A copy of this checkout's scripts with a small project."""

    directory: Path
    images: list[str] = field(default_factory=list)
    """The identifiers of the images that were built."""

    def write(self, files: dict[str, str]) -> None:
        """Write the files with these texts."""
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace a text that occurs in a file once."""
        path = self.directory / name
        assert path.read_text().count(old) == 1
        path.write_text(path.read_text().replace(old, new))

    def cli(self, *arguments: str, **variables: str) -> process.CompletedProcess[str]:
        """Run a verb; fail the test if it fails."""
        own = {"PYTHONPATH": str(self.directory), "XDG_CACHE_HOME": str(self.directory / "cache")}
        environment = {**process.environment(), **own, **variables}
        command = (sys.executable, "-m", "scripts.cli", *arguments)
        done = process.run(*command, cwd=self.directory, env=environment)
        assert done.returncode == 0, done.stderr
        return done

    def build(self, image: str = "cpu", **variables: str) -> str:
        """Build an image, with the source tree as libvmaf; return the messages."""
        tree = str(self.directory / "tree")
        messages = self.cli("build", image, f"--libvmaf={tree}", **variables).stderr
        self.images.append(image_id(f"{REPOSITORY}:{image}"))
        return messages

    def why(self) -> dict[str, Any]:
        """Return why the steps of the last build of cpu ran."""
        explanation: dict[str, Any] = json.loads(self.cli("why", "cpu", "--format=json").stdout)
        return explanation

    def causes(self) -> dict[str, str]:
        """Return the cause of each step that ran, or the step that it follows."""
        return {
            f"{step['stage']} {step['number']}": f"{first['kind']} {first.get('name', '')}"
            if (first := next(iter(step["causes"]), None))
            else f"after {step['after']}"
            for step in self.why()["steps"]
            if step["ran"]
        }


@pytest.fixture(scope="module", name="checkout")
def _checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Return a small project whose images are built, and remove the images later."""
    directory = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "scripts", directory / "scripts")
    for name in ("docker/bootstrap", "docker/recipes/lib"):
        shutil.copytree(ROOT / name, directory / name)
    shutil.copy(ROOT / "docker-bake.bootstrap.hcl", directory)
    (directory / "cache/vmaf-images").mkdir(parents=True)
    (directory / "cache/vmaf-images/bases").symlink_to(cache_dir("bases"))
    checkout = Checkout(directory)
    # No earlier run of the tests has left results in the engine's cache for this marker.
    # The build estimates the disk space that it needs from the sizes of these small images.
    checkout.write({"docs/sizes.json": '{"parent": 1000000, "cpu": 1000000}\n'})
    checkout.write({**FILES, "docker/marker": f"{uuid.uuid4()}\n"})
    yield checkout
    docker("image", "rm", "--force", *dict.fromkeys(checkout.images))


def test_each_edit_is_named(checkout: Checkout) -> None:
    """An edit of each kind is the cause of the steps that ran, and the table names it."""
    checkout.build("parent")
    checkout.build()
    checkout.build()
    assert not checkout.causes()
    after_libvmaf = {f"final-cpu {number}/2": "after libvmaf-cpu 1/1" for number in (1, 2)}

    checkout.write({"tree/libvmaf/src/score.c": "int c;\n"})
    assert "libvmaf/src/score.c" in checkout.build()
    assert checkout.causes() == {"libvmaf-cpu 1/1": "file libvmaf/src/score.c", **after_libvmaf}

    checkout.replace("docker/recipes/libvmaf.sh", "mkdir", "mkdir -p")
    assert "docker/recipes/libvmaf.sh" in checkout.build()
    assert checkout.causes() == {"libvmaf-cpu 1/1": "file docker/recipes/libvmaf.sh"}

    checkout.replace("Dockerfile", "gcc nasm", "gcc meson nasm")
    assert "+meson" in checkout.build()
    after = dict.fromkeys(("libvmaf-cpu 1/1", "ffmpeg-cpu 1/1"), "after toolchain 1/1")
    assert checkout.causes() == {"toolchain 1/1": "packages Dockerfile:8", **after}

    assert "LEVEL" in checkout.build(LEVEL="2")
    after = {"final-cpu 2/2": "after ffmpeg-cpu 1/1"}
    assert checkout.causes() == {"ffmpeg-cpu 1/1": "argument LEVEL", **after}

    checkout.write({"docker/marker": f"{uuid.uuid4()}\n"})
    checkout.build("parent")
    assert "after base" in checkout.build(LEVEL="2")
    causes = checkout.why()["steps"]
    assert causes[0]["causes"][0]["kind"] == "base"
    assert set(checkout.causes().values()) == {"after base 1/1"}
    assert len(checkout.causes()) == 5
