"""It scores video, and the scores make sense."""

import re
from pathlib import Path
from statistics import mean

import pytest

from scripts.core import clips
from tests.support.subject import Subject

FRAMES = 24
PICTURES = ("-frames:v", str(FRAMES), "-an", "-pix_fmt", "yuv420p")


def decode(image: Subject, folder: Path, source: str, y4m: str) -> None:
    """Decode the first frames of a video to Y4M, by the image's own ffmpeg."""
    image.ffmpeg("-i", source, *PICTURES, y4m, folder=folder)


@pytest.mark.needs("vmaf")
def test_identical_frames_score_near_100(image: Subject, folder: Path) -> None:
    """A clip against itself, without naming a model: the default one is built in.

    Above 97, not 100: the model scores small motion a little below the top.
    """
    clips.generate(folder / "same.y4m")
    scores = image.score(folder, "same.y4m", "same.y4m")
    assert len(scores) == clips.FRAMES
    assert min(scores) > 97


@pytest.mark.needs("vmaf")
def test_worse_pictures_score_lower(image: Subject, folder: Path) -> None:
    """Three degradations of a generated clip score in the order of their size."""
    clips.generate(folder / "reference.y4m")
    scores = []
    for step in (4, 16, 48):
        clips.generate(folder / "worse.y4m", step)
        scores.append(mean(image.score(folder, "reference.y4m", "worse.y4m")))
    assert scores == sorted(scores, reverse=True), scores
    assert scores[0] > 90, scores
    assert scores[-1] < scores[0] - 20, scores


@pytest.mark.needs("vmaf")
def test_score_is_printed_without_a_terminal(image: Subject, folder: Path) -> None:
    """`vmaf -r ... -d ...` in a script answers, where upstream's own is silent."""
    clips.generate(folder / "same.y4m")
    told = image.run("-r", "same.y4m", "-d", "same.y4m", program="vmaf", folder=folder)
    assert re.search(r"^vmaf_v[\w.]+: [\d.]+$", told.stdout + told.stderr, re.MULTILINE), told


@pytest.mark.needs("vmaf", "ffmpeg")
def test_a_real_clip_scores_by_its_quality(image: Subject, clip: Path, folder: Path) -> None:
    """x264 at three qualities, made and decoded by the image, scores as viewers would."""
    (folder / "clip.mp4").write_bytes(clip.read_bytes())
    decode(image, folder, "clip.mp4", "reference.y4m")
    scores = {}
    for crf in (20, 35, 50):
        x264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf))
        image.ffmpeg("-i", "reference.y4m", *x264, "coded.mkv", folder=folder)
        decode(image, folder, "coded.mkv", "coded.y4m")
        scores[crf] = mean(image.score(folder, "reference.y4m", "coded.y4m", "--threads=2"))
    assert 90 < scores[20] <= 100, scores
    assert 50 < scores[35] < 90, scores
    assert 0 < scores[50] < 50, scores


@pytest.mark.needs("vmaf", "ffmpeg")
def test_filter_and_program_agree(image: Subject, folder: Path) -> None:
    """FFmpeg's libvmaf filter and the vmaf program are the same library on the same frames."""
    clips.generate(folder / "reference.y4m")
    clips.generate(folder / "worse.y4m", 16)
    scores = image.score(folder, "reference.y4m", "worse.y4m")
    told = image.run(
        *("-i", "worse.y4m", "-i", "reference.y4m", "-lavfi", "libvmaf", "-f", "null", "-"),
        program="ffmpeg",
        folder=folder,
    )
    filtered = float(told.stderr.rpartition("VMAF score: ")[2].split()[0])
    assert filtered == pytest.approx(mean(scores), abs=1e-3)


@pytest.mark.needs("vmaf")
def test_models_load_from_their_files(image: Subject, folder: Path) -> None:
    """The models shipped as files are whole: the file of the default one scores like it."""
    clips.generate(folder / "reference.y4m")
    clips.generate(folder / "worse.y4m", 16)
    built_in = image.score(folder, "reference.y4m", "worse.y4m")
    file = "--model=path=/usr/local/share/vmaf/model/vmaf_v0.6.1.json"
    assert image.score(folder, "reference.y4m", "worse.y4m", file) == built_in
