"""FFmpeg's codecs and filters are there and work."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.subject import Subject

VIDEO = ("-f", "lavfi", "-i", "testsrc2=d=0.4:s=320x192:r=25")
AUDIO = ("-f", "lavfi", "-i", "sine=d=0.5")


@dataclass(frozen=True)
class Codec:
    """One codec's way there and back."""

    encoder: str
    decoder: str
    """The one that must be able to read it, named: FFmpeg may have several."""
    file: str
    speed: str = ""
    """Options that make the encoder quick, or it would decide how long the tests take."""


CODECS = (
    # x264 and x265 make FFmpeg GPL: dropped first when somebody changes the licence.
    Codec("libx264", "h264", "x264.mkv", "-preset ultrafast"),
    Codec("libx265", "hevc", "x265.mkv", "-preset ultrafast -x265-params log-level=error"),
    # AV1 has three encoders and two decoders; FFmpeg's own av1 decoder needs a GPU.
    Codec("libaom-av1", "libdav1d", "aom.mkv", "-cpu-used 8 -usage realtime"),
    Codec("libsvtav1", "libaom-av1", "svt.mkv", "-preset 12"),
    # VP8 and VP9 are two switches of libvpx, off alone or together.
    Codec("libvpx", "libvpx", "vp8.webm", "-deadline realtime -cpu-used 8"),
    Codec("libvpx-vp9", "libvpx-vp9", "vp9.webm", "-deadline realtime -cpu-used 8"),
    # WebP stills: its library is split in two packages, and only one may get installed.
    Codec("libwebp", "webp", "still.webp", "-frames:v 1"),
    # Audio: files with sound must stay playable after a re-encode.
    Codec("libopus", "libopus", "opus.mka"),
    Codec("libvorbis", "libvorbis", "vorbis.mka"),
    Codec("libmp3lame", "mp3", "lame.mp3"),
)

FILTERS = {
    # zimg: HDR and range conversion ahead of a score.
    "zscale": (*VIDEO, "-vf", "zscale=640:384,format=yuv420p"),
    # libass, with FriBidi and HarfBuzz below it: burnt-in subtitles.
    "subtitles": (*VIDEO, "-vf", "subtitles=words.srt"),
    # soxr: resampling.
    "aresample": (*AUDIO, "-af", "aresample=resampler=soxr:osr=16000"),
}
"""A command for each filter that needs a library of its own."""

LISTED = ("libvmaf", "drawtext", "ass", "scale", "psnr", "ssim")
"""Filters that must exist; drawtext and ass would need a font file to run."""


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.encoder)
def test_codec_goes_there_and_back(image: Subject, codec: Codec, folder: Path) -> None:
    """A moment of picture or sound is encoded, and the named decoder reads it."""
    audio = codec.file.endswith((".mka", ".mp3"))
    source, kind = (AUDIO, "a") if audio else (VIDEO, "v")
    coder = (f"-c:{kind}", codec.encoder, *codec.speed.split())
    image.ffmpeg(*source, *coder, codec.file, folder=folder)
    decoder = (f"-c:{kind}", codec.decoder)
    image.ffmpeg(*decoder, "-i", codec.file, "-f", "framemd5", "frames.md5", folder=folder)
    frames = (folder / "frames.md5").read_text().splitlines()
    wanted = 1 if "still" in codec.file else 10
    assert len([line for line in frames if not line.startswith("#")]) >= wanted


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("name", FILTERS)
def test_filter_runs(image: Subject, name: str, folder: Path) -> None:
    """A filter that rests on a library filters something."""
    (folder / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nwords\n")
    image.ffmpeg(*FILTERS[name], "-f", "null", "-", folder=folder)


@pytest.mark.needs("ffmpeg")
def test_filters_are_listed(image: Subject) -> None:
    """The filters that our users name are built in."""
    listed = {line.split()[1] for line in image.ffmpeg("-filters").stdout.splitlines()[8:]}
    assert set(LISTED) <= listed


@pytest.mark.needs("ffmpeg")
def test_ffprobe_reads_a_clip(image: Subject, clip: Path, folder: Path) -> None:
    """The ffprobe program tells the size of a real clip."""
    (folder / "clip.mp4").write_bytes(clip.read_bytes())
    entries = ("-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0")
    told = image.run(*entries, "clip.mp4", program="ffprobe", folder=folder)
    assert "1280,720" in told.stdout.split()
