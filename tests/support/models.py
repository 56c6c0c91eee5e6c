"""The v1 models: their files, their scores of a real clip, and the smallest frames they score."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.subject import PREFIX, Subject

DIRECTORY = PREFIX + "share/vmaf/model/"
TOLERANCE = 1e-3
"""The tolerance for held scores; those of two programs with the same libvmaf are equal."""
FRAMES = 6
FORMATS = {8: "yuv420p", 10: "yuv420p10le"}
"""FFmpeg's name of the pixel format of each bit depth."""


@dataclass(frozen=True)
class Model:
    """A v1 model."""

    file: str
    """The path of the file below DIRECTORY."""
    scores: Mapping[int, float]
    """The mean score of the clip that `encode` writes, by bit depth."""

    @property
    def name(self) -> str:
        """The name of the built-in model."""
        return Path(self.file).stem


MODELS = (
    Model("vmaf_v1.0.16/vmaf_v1.0.16_1d5h_2160.json", {8: 53.9021, 10: 50.1522}),
    Model("vmaf_v1.0.16/vmaf_v1.0.16_3d0h.json", {8: 56.7458, 10: 53.2591}),
    Model("vmaf_v1.0.16/vmaf_v1.0.16_3d0h_2160.json", {8: 61.8787, 10: 61.2296}),
    Model("vmaf_v1.0.16/vmaf_v1.0.16_5d0h.json", {8: 56.5581, 10: 55.9627}),
    Model("vmaf_v1.0.16_hfr/vmaf_v1.0.16_hfr_1d5h_2160.json", {8: 54.3788, 10: 50.6331}),
    Model("vmaf_v1.0.16_hfr/vmaf_v1.0.16_hfr_3d0h.json", {8: 57.1880, 10: 53.7070}),
    Model("vmaf_v1.0.16_hfr/vmaf_v1.0.16_hfr_3d0h_2160.json", {8: 62.3614, 10: 61.7129}),
    Model("vmaf_v1.0.16_hfr/vmaf_v1.0.16_hfr_5d0h.json", {8: 57.0069, 10: 56.4122}),
)


@dataclass(frozen=True)
class Limit:
    """The smallest frames with 4:2:0 chroma that a model scores."""

    model: str
    refused: tuple[int, int]
    """A width and a height that libvmaf refuses with `message`."""
    accepted: tuple[int, int]
    message: str


LIMITS = (
    Limit("vmaf_v0.6.1", (16, 16), (18, 18), "adm needs frames of at least 17x17, got 16x16"),
    Limit(
        "vmaf_v1.0.16_1d5h_2160",
        (214, 214),
        (216, 160),
        "cambi needs a width or height of at least 216, got 214x214",
    ),
    Limit(
        "vmaf_v1.0.16_hfr_3d0h",
        (158, 216),
        (160, 216),
        "speed_chroma needs frames of at least 160x160, got 158x216",
    ),
    Limit(
        "vmaf_v1.0.16_5d0h",
        (264, 266),
        (266, 266),
        "speed_chroma needs frames of at least 266x266, got 264x266",
    ),
    Limit(
        "vmaf_v1.0.16_hfr_3d0h_2160",
        (318, 316),
        (318, 318),
        "speed_chroma needs frames of at least 318x318, got 318x316",
    ),
)
"""The limits of the models whose name only adds or lacks `hfr` are the same."""


def gray(size: tuple[int, int], frames: int = 3) -> bytes:
    """Return a Y4M video without texture, with 4:2:0 chroma of 8 bits.

    Args:
        size: the even width and height.
        frames: the number of frames.
    """
    width, height = size
    frame = b"FRAME\n" + bytes([128]) * (width * height * 3 // 2)
    return f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode() + frame * frames


def encode(image: Subject, clip: Path, directory: Path, depth: int) -> None:
    """Write the first frames of a real clip, and x264's encoding of them.

    The clip is reduced to a quarter of its size, which gives 10 bit samples their full precision.

    Args:
        image: an image with FFmpeg.
        clip: the real clip.
        directory: where reference.y4m and coded.y4m are written.
        depth: the bit depth, 8 or 10.
    """
    (directory / "clip.mp4").write_bytes(clip.read_bytes())
    small = f"scale=640:360:flags=area+accurate_rnd+bitexact,format={FORMATS[depth]}"
    raw = ("-strict", "-1", "-pix_fmt", FORMATS[depth])
    first = ("-frames:v", str(FRAMES), "-an", "-vf", small)
    image.ffmpeg("-i", "clip.mp4", *first, *raw, "reference.y4m", directory=directory)
    # Another number of threads gives another encoding.
    x264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "38", "-threads", "1")
    image.ffmpeg("-i", "reference.y4m", *x264, "coded.mkv", directory=directory)
    image.ffmpeg("-i", "coded.mkv", *raw, "coded.y4m", directory=directory)


def program_scores(image: Subject, directory: Path) -> Mapping[str, Sequence[float]]:
    """Return the vmaf program's scores of each frame of coded.y4m, by the name of the model."""
    models = (f"--model=path={DIRECTORY}{model.file}:name={model.name}" for model in MODELS)
    image.run(
        *("--reference=reference.y4m", "--distorted=coded.y4m", "--json", "--output=score.json"),
        *models,
        program="vmaf",
        directory=directory,
    )
    return _scores(directory)


def filter_scores(image: Subject, directory: Path) -> Mapping[str, Sequence[float]]:
    """Return the same scores from FFmpeg's filter."""
    models = "|".join(rf"path={DIRECTORY}{model.file}\:name={model.name}" for model in MODELS)
    graph = f"libvmaf=model='{models}':log_fmt=json:log_path=score.json"
    videos = ("-i", "coded.y4m", "-i", "reference.y4m")
    image.ffmpeg(*videos, "-lavfi", graph, "-f", "null", "-", directory=directory)
    return _scores(directory)


def _scores(directory: Path) -> Mapping[str, Sequence[float]]:
    """Return the scores in libvmaf's log, which is deleted."""
    log = directory / "score.json"
    metrics = [frame["metrics"] for frame in json.loads(log.read_text())["frames"]]
    log.unlink()
    return {model.name: [frame[model.name] for frame in metrics] for model in MODELS}
