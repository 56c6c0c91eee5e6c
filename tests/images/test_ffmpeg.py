"""FFmpeg."""

import re
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
    options: str = ""
    """Options that the encoder needs, or that make it fast; slow encoders would dominate the time
    of the tests."""
    libraries: str = ""
    """configure's names of their libraries, if these are not the encoder's name."""


CODECS = (
    # x264 and x265 make FFmpeg GPL. They are the first to go when the licence is changed.
    Codec("libx264", "h264", "x264.mkv", "-preset ultrafast"),
    Codec("libx265", "hevc", "x265.mkv", "-preset ultrafast -x265-params log-level=error"),
    # AV1 has three encoders and two decoders; FFmpeg's own av1 decoder needs a GPU.
    Codec("libaom-av1", "libdav1d", "aom.mkv", "-cpu-used 8 -usage realtime", "libaom libdav1d"),
    Codec("libsvtav1", "libaom-av1", "svt.mkv", "-preset 12", "libsvtav1 libaom"),
    Codec("librav1e", "libdav1d", "rav1e.mkv", "-speed 10", "librav1e libdav1d"),
    # VP8 and VP9 are two switches of libvpx and can be disabled separately.
    Codec("libvpx", "libvpx", "vp8.webm", "-deadline realtime -cpu-used 8"),
    Codec("libvpx-vp9", "libvpx-vp9", "vp9.webm", "-deadline realtime -cpu-used 8", "libvpx"),
    # The WebP library is split into two packages, of which one may be missing.
    Codec("libwebp", "webp", "still.webp", "-frames:v 1"),
    Codec("libjxl", "libjxl", "still.jxl", "-frames:v 1 -effort 1"),
    Codec("libopenjpeg", "jpeg2000", "still.jp2", "-frames:v 1"),
    # Files with sound must stay playable after they are encoded again.
    Codec("libopus", "libopus", "opus.mka"),
    Codec("libvorbis", "libvorbis", "vorbis.mka"),
    Codec("libmp3lame", "mp3", "lame.mp3"),
)

ADDED_CODECS = (
    # Old files and web pages.
    Codec("libtheora", "theora", "theora.ogv"),
    Codec("libxvid", "mpeg4", "xvid.avi"),
    # A second encoder of HEVC, to compare with x265.
    Codec("libkvazaar", "hevc", "kvazaar.mkv", "-kvazaar-params preset=ultrafast"),
    # Hap is for playback by a GPU; its frames are compressed by Snappy.
    Codec("hap", "hap", "hap.mov", libraries="libsnappy"),
    # Broadcasts, speech and telephones. AMR has two sample rates, one each.
    Codec("libtwolame", "mp2", "twolame.mp2"),
    Codec("libspeex", "libspeex", "speech.spx"),
    Codec(
        *("libopencore_amrnb", "libopencore_amrnb", "narrow.amr"),
        *("-ar 8000 -b:a 12.2k", "libopencore-amrnb"),
    ),
    Codec(
        *("libvo_amrwbenc", "libopencore_amrwb", "wide.amr"),
        *("-ar 16000 -b:a 23.85k", "libvo-amrwbenc libopencore-amrwb"),
    ),
)
"""The codecs that only images with the capability `codecs` have."""
SOUND = (".mka", ".mp2", ".mp3", ".spx", ".amr")
"""The endings of the names of files without video."""

FILTERS = {
    # zimg: HDR and range conversion before scoring.
    "zscale": (*VIDEO, "-vf", "zscale=640:384,format=yuv420p"),
    # libass, which needs FriBidi and HarfBuzz: subtitles in the picture.
    "subtitles": (*VIDEO, "-vf", "subtitles=words.srt"),
    # soxr: resampling.
    "aresample": (*AUDIO, "-af", "aresample=resampler=soxr:osr=16000"),
    # vid.stab: clips that are stabilized before they are compared.
    "vidstabdetect": (*VIDEO, "-vf", "vidstabdetect=result=moves.trf"),
    # Little CMS: colours of pictures with an ICC profile.
    "iccgen": (*VIDEO, "-vf", "format=rgb24,iccgen"),
}
"""A command for each filter that needs a library of its own."""
ADDED_FILTERS = {
    # Rubber Band: pitch and tempo.
    "rubberband": (*AUDIO, "-af", "rubberband=pitch=1.5"),
    # ZeroMQ: filters that another program changes while they run.
    "zmq": (*VIDEO, "-vf", "zmq"),
}
"""The same for filters that only images with the capability `codecs` have."""
FEATURES = {
    "zscale": "libzimg",
    "subtitles": "libass",
    "aresample": "libsoxr",
    "vidstabdetect": "libvidstab",
    "iccgen": "lcms2",
    "rubberband": "librubberband",
    "zmq": "libzmq",
}
"""configure's names of their libraries."""

PROTOCOLS = {"bluray": "libbluray", "rist": "librist", "sftp": "libssh", "zmq": "libzmq"}
"""The protocols that only images with the capability `codecs` have, with their features."""

FILES = re.compile(
    r"/(ffmpeg|ffprobe|ffplay)$"
    r"|/lib(av(codec|device|filter|format|util)|sw(resample|scale)|postproc)\.so"
)
"""The programs and libraries of FFmpeg."""

LISTED = ("libvmaf", "xpsnr", "drawtext", "ass", "scale", "psnr", "ssim")
"""Filters that must exist; drawtext and ass would need a font file to run."""


def require(image: Subject, features: str) -> None:
    """Skip the test if the image was built without one of the features."""
    for feature in features.split():
        if feature in image.labels.get("vmaf.without", "").split():
            pytest.skip(f"FFMPEG_WITHOUT: built without {feature}")


def assert_encodes_and_decodes(image: Subject, codec: Codec, directory: Path) -> None:
    """Check that an encoder writes video or sound, and that its decoder reads it."""
    require(image, codec.libraries or codec.encoder)
    source, kind = (AUDIO, "a") if codec.file.endswith(SOUND) else (VIDEO, "v")
    encoder = (f"-c:{kind}", codec.encoder, *codec.options.split())
    image.ffmpeg(*source, *encoder, codec.file, directory=directory)
    decoder = (f"-c:{kind}", codec.decoder)
    image.ffmpeg(*decoder, "-i", codec.file, "-f", "framemd5", "frames.md5", directory=directory)
    frames = (directory / "frames.md5").read_text().splitlines()
    least = 1 if "still" in codec.file else 10
    assert len([line for line in frames if not line.startswith("#")]) >= least


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.encoder)
def test_codec_encodes_and_decodes(image: Subject, codec: Codec, directory: Path) -> None:
    """Each encoder writes video or sound, and its decoder reads it."""
    assert_encodes_and_decodes(image, codec, directory)


@pytest.mark.needs("ffmpeg", "codecs")
@pytest.mark.parametrize("codec", ADDED_CODECS, ids=lambda codec: codec.encoder)
def test_added_codec_encodes_and_decodes(image: Subject, codec: Codec, directory: Path) -> None:
    """Each encoder that only this image has writes video or sound, and its decoder reads it."""
    assert_encodes_and_decodes(image, codec, directory)


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("name", FILTERS)
def test_filter_runs_with_its_library(image: Subject, name: str, directory: Path) -> None:
    """Each filter that needs a library processes video or sound."""
    require(image, FEATURES[name])
    (directory / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nwords\n")
    image.ffmpeg(*FILTERS[name], "-f", "null", "-", directory=directory)


@pytest.mark.needs("ffmpeg", "codecs")
@pytest.mark.parametrize("name", ADDED_FILTERS)
def test_added_filter_runs_with_its_library(image: Subject, name: str) -> None:
    """Each filter whose library only this image has processes video or sound."""
    require(image, FEATURES[name])
    image.ffmpeg(*ADDED_FILTERS[name], "-f", "null", "-")


@pytest.mark.needs("ffmpeg", "codecs")
@pytest.mark.parametrize("name", PROTOCOLS)
def test_added_protocol_is_listed(image: Subject, name: str) -> None:
    """FFmpeg lists each protocol whose library only this image has."""
    require(image, PROTOCOLS[name])
    listed = image.ffmpeg("-protocols").stdout.split()
    assert name in listed, f"the protocols are {' '.join(listed)}"


def test_only_images_with_ffmpeg_have_its_files(image: Subject) -> None:
    """No layer of an image without FFmpeg contains a program or a library of it."""
    present = [
        f"{layer} carries {entry.path}"
        for layer in image.layers
        for entry in layer.entries
        if not entry.is_dir and FILES.search(entry.path)
    ]
    assert "ffmpeg" in image.image.provides or not present, "\n".join(present)


@pytest.mark.needs("ffmpeg")
def test_ffmpeg_lists_common_filters(image: Subject) -> None:
    """FFmpeg lists the filters that are common for scoring and preparing video."""
    require(image, "libass libfreetype libharfbuzz")
    listed = {line.split()[1] for line in image.ffmpeg("-filters").stdout.splitlines()[8:]}
    missing = sorted(set(LISTED) - listed)
    assert not missing, f"missing filters: {missing}"


@pytest.mark.needs("ffmpeg")
def test_xpsnr_scores_a_pair(image: Subject) -> None:
    """XPSNR gives a pair of equal pictures an infinite value, and another pair a finite one."""
    for changed, expected in (("null", "inf"), ("noise=alls=20", r"\d+\.\d+")):
        graph = f"split[r][d];[d]{changed}[e];[r][e]xpsnr"
        arguments = ("-hide_banner", *VIDEO, "-lavfi", graph, "-f", "null", "-")
        result = image.run(*arguments, program="ffmpeg")
        assert re.search(rf"XPSNR +y: +{expected} ", result.stderr), result.stderr


@pytest.mark.needs("ffmpeg")
def test_srt_sends_and_receives(image: Subject, directory: Path) -> None:
    """A video that one ffmpeg sends by SRT reaches another."""
    require(image, "libsrt libx264")
    script = """
        timeout 60 ffmpeg -loglevel error -i 'srt://127.0.0.1:9000?mode=listener' -c copy \
            received.ts &
        ffmpeg -loglevel error -re -f lavfi -i testsrc2=d=2:size=320x192 -c:v libx264 \
            -preset ultrafast -f mpegts 'srt://127.0.0.1:9000?connect_timeout=20000&linger=5'
        wait $! # the listener reports the end of the connection as an error
        ffprobe -v error -show_entries stream=width,height -of csv=p=0 received.ts
    """
    result = image.run("-c", script, program="sh", directory=directory)
    assert "320,192" in result.stdout, result


HTTPS = """
    ffmpeg -loglevel error -f lavfi -i testsrc2=d=0.2:size=320x192 -c:v libx264 clip.ts
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out site.pem -days 2 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>log
    openssl s_server -accept 8443 -cert site.pem -key key.pem -WWW >log 2>&1 &
    for attempt in $(seq 100); do
        ! openssl s_client -connect localhost:8443 </dev/null >client.log 2>&1 || break
        sleep 0.1
    done
    ffprobe -v error -show_entries stream=width,height -of csv=p=0 https://localhost:8443/clip.ts
"""
"""A site with a certificate of its own, and a video that is read from it."""


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "unknown"])
def test_https_input_is_read_from_trusted_sites(
    image: Subject, directory: Path, *, trusted: bool
) -> None:
    """FFmpeg reads a video by HTTPS from a site whose certificate is trusted, and from no other.

    FFmpeg 7.1 does not ask who the site is.
    """
    require(image, "openssl libx264")
    verified = not image.manifest["ffmpeg"]["version"].startswith("7.")
    options = ("--env=SSL_CERT_FILE=site.pem",) if trusted else ()
    result = image.run(
        *("-c", HTTPS), program="sh", directory=directory, options=options, succeeds=False
    )
    assert ("320,192" in result.stdout) == (trusted or not verified), result
    assert ("certificate verify failed" in result.stderr) == (verified and not trusted), result


@pytest.mark.needs("ffmpeg")
def test_ffprobe_reports_the_size_of_a_clip(image: Subject, clip: Path, directory: Path) -> None:
    """The ffprobe program reports the width and height of a clip."""
    (directory / "clip.mp4").write_bytes(clip.read_bytes())
    entries = ("-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0")
    result = image.run(*entries, "clip.mp4", program="ffprobe", directory=directory)
    assert "1280,720" in result.stdout.split()
