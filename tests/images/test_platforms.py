"""The platform of an image, and its scores, which are the same on all platforms."""

import os
from pathlib import Path

import pytest

from scripts.core import clips
from scripts.images import platforms
from tests.support.subject import LIBVMAF_PATCH, Subject, has_project_patch

MACHINES = {"amd64": "EM_X86_64", "arm64": "EM_AARCH64"}
"""The processors' names in ELF files."""
SCORES = (78.0708, 82.1961, 82.4283, 82.7185, 83.5243, 82.1766, 82.1245, 82.8639)
"""The scores of the generated pair on amd64, of libvmaf 3.2.0 and its default model."""
TOLERANCE = 0.01
"""The largest difference of a frame's score. libvmaf's code for NEON computes ADM slightly
otherwise than its C code: integer_adm_scale3 of one frame of this pair by 0.0002, and its score by
0.009. The C code gives the same on both platforms."""


def test_image_is_for_the_requested_platform(image: Subject) -> None:
    """The image's configuration has the architecture that it was built for."""
    (name,) = platforms.requested(os.environ)
    assert image.architecture == platforms.architecture(name), (
        f"{image.tag} is for {image.architecture}"
    )


def test_files_are_of_the_images_architecture(image: Subject) -> None:
    """No program and no library is for the processor of another platform."""
    others = {name for key, name in MACHINES.items() if key != image.architecture}
    foreign = [
        f"{file.path} is for {file.machine}" for file in image.elves if file.machine in others
    ]
    assert not foreign, "\n".join(foreign)


def pair(directory: Path) -> tuple[str, str]:
    """Generate a reference and a worse copy of it; return their names."""
    clips.generate(directory / "reference.y4m")
    clips.generate(directory / "worse.y4m", 16)
    return "reference.y4m", "worse.y4m"


@pytest.mark.needs("vmaf")
def test_scores_are_those_of_amd64(image: Subject, directory: Path) -> None:
    """Each frame of a generated pair has the score that it has on amd64."""
    if not has_project_patch(image.manifest):
        pytest.skip(f"{image.tag} has another libvmaf, without {LIBVMAF_PATCH}")
    scores = image.score(directory, *pair(directory))
    assert scores == pytest.approx(SCORES, abs=TOLERANCE), f"on {image.architecture}: {scores}"


@pytest.mark.needs("vmaf")
def test_vector_code_scores_like_c(image: Subject, directory: Path) -> None:
    """The code for AVX or NEON gives the scores of the C code, which --cpumask selects."""
    files = pair(directory)
    vector = image.score(directory, *files)
    in_c = image.score(directory, *files, "--cpumask=255")
    assert in_c == pytest.approx(vector, abs=TOLERANCE), f"C code: {in_c}"
