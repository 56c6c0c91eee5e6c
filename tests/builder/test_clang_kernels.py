"""libvmaf's CUDA kernels by clang, which LIBVMAF_CUDA=clang chooses for vmaf:cuda12."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.contents import gpu_code
from scripts.contents.archive import SavedImage, saved_image
from scripts.core import process
from scripts.core.paths import ROOT
from scripts.engine.client import has_image
from tests.support.buildx import bake_options, needs_buildx
from tests.support.subject import PREFIX, VERSIONS, docker

pytestmark = needs_buildx

TAG = "vmaf-test:kernels-by-clang"
WITH_PTXAS = "vmaf:all-backends"
GPUS = ("sm_75", "sm_80", "sm_90")
"""GPUs that CUDA 12.4's assembler knows and that PTX for sm_75 runs on."""


@pytest.fixture(scope="module", name="image")
def _image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SavedImage]:
    """Build the image under another tag; remove it later."""
    options = bake_options(tmp_path_factory.mktemp("overlay"))
    settings = (f"--set=cuda12.tags={TAG}", "--set=cuda12.output=type=docker")
    environment = {
        **process.environment(),
        "BUILDX_NO_DEFAULT_LOAD": "1",
        "LIBVMAF_CUDA": "clang",
    }
    bake = ("buildx", "bake", *options, *settings, "cuda12")
    built = docker(*bake, cwd=ROOT, env=environment, timeout=600)
    assert not built.returncode, built.stderr
    with ExitStack() as stack:
        stack.callback(docker, "image", "rm", TAG)
        _, image = stack.enter_context(saved_image(TAG))
        yield image


def test_kernels_have_nothing_of_nvidias(image: SavedImage) -> None:
    """The kernels are PTX by clang, without libdevice, and CUDA is no component of the image."""
    library = image.read(PREFIX + "lib/libvmaf.so")
    manifest = json.loads(image.read(VERSIONS))
    assert gpu_code.gpu_code(library) == {"compute_75"}
    assert not gpu_code.libdevice(library)
    assert manifest["libvmaf"]["gencode"] == ["compute_75"]
    assert "clang" in manifest
    assert "cuda" not in manifest


@pytest.mark.skipif(
    not has_image(WITH_PTXAS), reason=f"{WITH_PTXAS}, which has ptxas, is not built"
)
def test_ptx_can_be_assembled(image: SavedImage, tmp_path: Path) -> None:
    """NVIDIA's assembler accepts the PTX of all kernels, as the driver does at run time."""
    library = image.read(PREFIX + "lib/libvmaf.so")
    kernels = list(gpu_code.plain_ptx(library))
    for number, ptx in enumerate(kernels):
        (tmp_path / f"{number}.ptx").write_text(ptx)
    assert len(kernels) == len(list((tmp_path).glob("*.ptx"))) > 1
    loop = (
        "for ptx in /ptx/*; do for gpu; do ptxas -arch=$gpu -o /dev/null $ptx || exit; done; done"
    )
    mount = f"--mount=type=bind,source={tmp_path},target=/ptx,readonly"
    tmp_path.chmod(0o755)
    done = docker("run", "--rm", mount, "--entrypoint=sh", WITH_PTXAS, "-c", loop, "sh", *GPUS)
    assert not done.returncode, done.stderr
