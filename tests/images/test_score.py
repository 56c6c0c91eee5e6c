"""Scores."""

import re
from pathlib import Path
from statistics import mean

import pytest

from scripts.core import clips
from tests.support.subject import LIBVMAF_PATCH, Subject, has_project_patch

FRAMES = 24
PICTURES = ("-frames:v", str(FRAMES), "-an", "-pix_fmt", "yuv420p")


def decode(image: Subject, directory: Path, source: str, y4m: str) -> None:
    """Decode the first frames of a video to Y4M with the image's ffmpeg."""
    image.ffmpeg("-i", source, *PICTURES, y4m, directory=directory)


@pytest.mark.needs("vmaf")
def test_identical_frames_score_near_100(image: Subject, directory: Path) -> None:
    """A clip scores above 97 against itself with the built-in default model.

    It is not exactly 100: the model scores small motion a little below the top.
    """
    clips.generate(directory / "same.y4m")
    scores = image.score(directory, "same.y4m", "same.y4m")
    assert len(scores) == clips.FRAMES
    assert min(scores) > 97


@pytest.mark.needs("vmaf")
def test_degraded_pictures_score_lower(image: Subject, directory: Path) -> None:
    """Three degradations of a generated clip score in the order of their size."""
    clips.generate(directory / "reference.y4m")
    scores = []
    for step in (4, 16, 48):
        clips.generate(directory / "worse.y4m", step)
        scores.append(mean(image.score(directory, "reference.y4m", "worse.y4m")))
    assert scores == sorted(scores, reverse=True), f"scores rise with the degradation: {scores}"
    assert scores[0] > 90, scores
    assert scores[-1] < scores[0] - 20, scores


@pytest.mark.needs("vmaf")
def test_score_is_printed_without_a_terminal(image: Subject, directory: Path) -> None:
    """With the project's patch, vmaf prints its score without a terminal.

    Upstream's vmaf prints nothing there. A tree given with `--libvmaf` is not patched.
    """
    if not has_project_patch(image.manifest):
        source = image.manifest["libvmaf"]["source"]
        pytest.skip(f"{image.tag} has libvmaf of {source!r}, without {LIBVMAF_PATCH}")
    clips.generate(directory / "same.y4m")
    pair = ("-r", "same.y4m", "-d", "same.y4m")
    result = image.run(*pair, program="vmaf", directory=directory)
    output = result.stdout + result.stderr
    printed = re.search(r"^vmaf_v[\w.]+: [\d.]+$", output, re.MULTILINE)
    assert printed, f"a success without a score: {output!r}"


@pytest.mark.needs("vmaf")
def test_quiet_program_prints_no_warning(image: Subject, directory: Path) -> None:
    """With the project's patch, `vmaf --quiet` prints no warning, such as for an unknown model."""
    if not has_project_patch(image.manifest):
        pytest.skip(f"{image.tag} has another libvmaf, without {LIBVMAF_PATCH}")
    clips.generate(directory / "same.y4m")
    arguments = ("--reference=same.y4m", "--distorted=same.y4m", "--model=version=none")
    loud = image.run(*arguments, program="vmaf", directory=directory, succeeds=False)
    assert "WARNING" in loud.stderr, f"nothing to leave out: {loud.stderr!r}"
    quiet = image.run(*arguments, "--quiet", program="vmaf", directory=directory, succeeds=False)
    assert "WARNING" not in quiet.stderr, f"with --quiet: {quiet.stderr!r}"


@pytest.mark.needs("vmaf", "ffmpeg")
@pytest.mark.native("an emulator takes minutes for a real clip")
def test_real_clip_scores_by_its_quality(image: Subject, clip: Path, directory: Path) -> None:
    """A real clip, encoded by x264 at three qualities, scores near viewers' opinions."""
    (directory / "clip.mp4").write_bytes(clip.read_bytes())
    decode(image, directory, "clip.mp4", "reference.y4m")
    scores = {}
    for crf in (20, 35, 50):
        x264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf))
        image.ffmpeg("-i", "reference.y4m", *x264, "coded.mkv", directory=directory)
        decode(image, directory, "coded.mkv", "coded.y4m")
        scores[crf] = mean(image.score(directory, "reference.y4m", "coded.y4m", "--threads=2"))
    assert 90 < scores[20] <= 100, scores
    assert 50 < scores[35] < 90, scores
    assert 0 < scores[50] < 50, scores


@pytest.mark.needs("vmaf", "ffmpeg")
def test_filter_and_program_scores_agree(image: Subject, directory: Path) -> None:
    """FFmpeg's libvmaf filter and the vmaf program give the same scores."""
    clips.generate(directory / "reference.y4m")
    clips.generate(directory / "worse.y4m", 16)
    scores = image.score(directory, "reference.y4m", "worse.y4m")
    result = image.run(
        *("-i", "worse.y4m", "-i", "reference.y4m", "-lavfi", "libvmaf", "-f", "null", "-"),
        program="ffmpeg",
        directory=directory,
    )
    filtered = float(result.stderr.rpartition("VMAF score: ")[2].split()[0])
    assert filtered == pytest.approx(mean(scores), abs=1e-3)


@pytest.mark.needs("vmaf")
def test_model_file_scores_like_the_built_in_model(image: Subject, directory: Path) -> None:
    """The default model's file gives the same scores as the built-in model."""
    clips.generate(directory / "reference.y4m")
    clips.generate(directory / "worse.y4m", 16)
    built_in = image.score(directory, "reference.y4m", "worse.y4m")
    file = "--model=path=/usr/local/share/vmaf/model/vmaf_v0.6.1.json"
    assert image.score(directory, "reference.y4m", "worse.y4m", file) == built_in
