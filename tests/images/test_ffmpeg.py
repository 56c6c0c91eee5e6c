"""FFmpeg."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.subject import VIDEO, Subject

AUDIO = ("-f", "lavfi", "-i", "sine=d=0.5")


@dataclass(frozen=True)
class Codec:
    """An encoder, and the decoder that must be able to read its output."""

    encoder: str
    decoder: str
    """Named, because FFmpeg may have several decoders of a format."""
    file: str
    speed: str = ""
    """Options that make the encoder fast; otherwise it would dominate the time of the tests."""


CODECS = (
    # x264 and x265 make FFmpeg GPL. They are the first to go when the licence is changed.
    Codec("libx264", "h264", "x264.mkv", "-preset ultrafast"),
    Codec("libx265", "hevc", "x265.mkv", "-preset ultrafast -x265-params log-level=error"),
    # AV1 has three encoders and two decoders; FFmpeg's own av1 decoder needs a GPU.
    Codec("libaom-av1", "libdav1d", "aom.mkv", "-cpu-used 8 -usage realtime"),
    Codec("libsvtav1", "libaom-av1", "svt.mkv", "-preset 12"),
    # VP8 and VP9 are two switches of libvpx and can be disabled separately.
    Codec("libvpx", "libvpx", "vp8.webm", "-deadline realtime -cpu-used 8"),
    Codec("libvpx-vp9", "libvpx-vp9", "vp9.webm", "-deadline realtime -cpu-used 8"),
    # The WebP library is split into two packages, of which one may be missing.
    Codec("libwebp", "webp", "still.webp", "-frames:v 1"),
    # Files with sound must stay playable after they are encoded again.
    Codec("libopus", "libopus", "opus.mka"),
    Codec("libvorbis", "libvorbis", "vorbis.mka"),
    Codec("libmp3lame", "mp3", "lame.mp3"),
)

FILTERS = {
    # zimg: HDR and range conversion before scoring.
    "zscale": (*VIDEO, "-vf", "zscale=640:384,format=yuv420p"),
    # libass, which needs FriBidi and HarfBuzz: subtitles in the picture.
    "subtitles": (*VIDEO, "-vf", "subtitles=words.srt"),
    # soxr: resampling.
    "aresample": (*AUDIO, "-af", "aresample=resampler=soxr:osr=16000"),
}
"""A command for each filter that needs a library of its own."""

LISTED = ("libvmaf", "drawtext", "ass", "scale", "psnr", "ssim")
"""Filters that must exist; drawtext and ass would need a font file to run."""


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.encoder)
def test_codec_encodes_and_decodes(image: Subject, codec: Codec, directory: Path) -> None:
    """Each encoder writes video or sound, and its decoder reads it."""
    audio = codec.file.endswith((".mka", ".mp3"))
    source, kind = (AUDIO, "a") if audio else (VIDEO, "v")
    encoder = (f"-c:{kind}", codec.encoder, *codec.speed.split())
    image.ffmpeg(*source, *encoder, codec.file, directory=directory)
    decoder = (f"-c:{kind}", codec.decoder)
    image.ffmpeg(*decoder, "-i", codec.file, "-f", "framemd5", "frames.md5", directory=directory)
    frames = (directory / "frames.md5").read_text().splitlines()
    least = 1 if "still" in codec.file else 10
    assert len([line for line in frames if not line.startswith("#")]) >= least


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("name", FILTERS)
def test_filter_runs_with_its_library(image: Subject, name: str, directory: Path) -> None:
    """Each filter that needs a library processes video or sound."""
    (directory / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nwords\n")
    image.ffmpeg(*FILTERS[name], "-f", "null", "-", directory=directory)


@pytest.mark.needs("ffmpeg")
def test_ffmpeg_lists_common_filters(image: Subject) -> None:
    """FFmpeg lists the filters that are common for scoring and preparing video."""
    listed = {line.split()[1] for line in image.ffmpeg("-filters").stdout.splitlines()[8:]}
    missing = sorted(set(LISTED) - listed)
    assert not missing, f"missing filters: {missing}"


@pytest.mark.needs("ffmpeg")
def test_ffprobe_reports_the_size_of_a_clip(image: Subject, clip: Path, directory: Path) -> None:
    """The ffprobe program reports the width and height of a clip."""
    (directory / "clip.mp4").write_bytes(clip.read_bytes())
    entries = ("-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0")
    result = image.run(*entries, "clip.mp4", program="ffprobe", directory=directory)
    assert "1280,720" in result.stdout.split()
