"""The v1 models."""

from pathlib import Path
from statistics import mean

import pytest

from tests.support import models
from tests.support.models import LIMITS, MODELS, Limit
from tests.support.subject import LIBVMAF_PATCH, Subject, has_project_patch


@pytest.fixture(autouse=True)
def _project_patch(image: Subject) -> None:
    """Skip the tests of an image with the libvmaf of a `--libvmaf` tree."""
    if not has_project_patch(image.manifest):
        pytest.skip(f"{image.tag} has another libvmaf, without {LIBVMAF_PATCH}")


@pytest.mark.needs("vmaf")
def test_v1_models_are_those_with_held_scores(image: Subject) -> None:
    """The image has the v1 models whose scores the tests hold, and no other."""
    start = models.DIRECTORY + "vmaf_v1"
    files = {
        path.removeprefix(models.DIRECTORY)
        for path, (_, entry) in image.saved.merged.items()
        if path.startswith(start) and entry.is_file
    }
    differences = sorted(files ^ {model.file for model in MODELS})
    assert not differences, f"v1 models only in the image or only in the tests: {differences}"


@pytest.mark.needs("vmaf", "ffmpeg")
@pytest.mark.parametrize("depth", models.FORMATS)
def test_v1_models_score_a_real_clip(
    image: Subject, clip: Path, directory: Path, depth: int
) -> None:
    """Each v1 model scores an encoded real clip as before, and the filter like the program."""
    if image.architecture != "amd64":
        pytest.skip("the scores are of the encoding by x264 on amd64, and others have another one")
    models.encode(image, clip, directory, depth)
    scores = models.program_scores(image, directory)
    held = {model.name: model.scores[depth] for model in MODELS}
    found = {name: mean(frames) for name, frames in scores.items()}
    assert found == pytest.approx(held, abs=models.TOLERANCE), f"scores have changed: {found}"
    filtered = models.filter_scores(image, directory)
    differences = [name for name in scores if filtered[name] != scores[name]]
    assert not differences, f"the filter scores unlike the program: {differences}"


@pytest.mark.needs("vmaf", "ffmpeg")
@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.model)
def test_small_frames_are_refused_with_the_size_needed(
    image: Subject, directory: Path, limit: Limit
) -> None:
    """The program and the filter refuse smaller frames than a model can score.

    The program, which uses threads here, prints the size once.
    """
    for name, size in (("refused", limit.refused), ("accepted", limit.accepted)):
        (directory / f"{name}.y4m").write_bytes(models.gray(size))
    model = f"--model=version={limit.model}"

    def score(video: str, *, succeeds: bool) -> None:
        pair = (f"--reference={video}.y4m", f"--distorted={video}.y4m")
        arguments = (*pair, model, "--threads=2", "--quiet", "--gpumask=-1")
        result = image.run(*arguments, program="vmaf", directory=directory, succeeds=succeeds)
        if not succeeds:
            result.assert_refused(limit.message)
            assert result.stderr.count(limit.message) == 1, f"printed repeatedly: {result}"

    score("accepted", succeeds=True)
    score("refused", succeeds=False)
    videos = ("-i", "refused.y4m", "-i", "refused.y4m")
    graph = ("-lavfi", f"libvmaf=model=version={limit.model}", "-f", "null", "-")
    result = image.ffmpeg(*videos, *graph, directory=directory, succeeds=False)
    result.assert_refused(limit.message)


@pytest.mark.needs("vmaf", "ffmpeg")
def test_frames_without_texture_cause_no_warning(image: Subject, directory: Path) -> None:
    """The program and the filter print no warning about frames without texture."""
    (directory / "gray.y4m").write_bytes(models.gray((640, 360)))
    name = "vmaf_v1.0.16_3d0h"
    pair = ("--reference=gray.y4m", "--distorted=gray.y4m", "--gpumask=-1")
    program = image.run(*pair, f"--model=version={name}", program="vmaf", directory=directory)
    videos = ("-hide_banner", "-nostdin", "-i", "gray.y4m", "-i", "gray.y4m")
    graph = ("-lavfi", f"libvmaf=model=version={name}", "-f", "null", "-")
    filtered = image.run(*videos, *graph, program="ffmpeg", directory=directory)
    for result in (program, filtered):
        warnings = [line for line in result.stderr.splitlines() if "libvmaf WARNING" in line]
        assert not warnings, f"{len(warnings)} warnings for frames without texture: {warnings[0]}"
