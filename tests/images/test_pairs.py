"""Pairs of ordinary videos, which `score` aligns before it scores them."""

import csv
import json
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.support.subject import Subject

FRAMES = 50
"""Frames of the reference. They are enough to find an offset of ten frames."""
SIZE = "320x180"
X264 = "-c:v libx264 -preset veryfast -crf 35"


@dataclass(frozen=True)
class Aligned:
    """A distorted video that is aligned with the reference, and how to decode the same frames."""

    name: str
    encode: str
    """Options of FFmpeg that make the distorted video of the reference."""
    note: str
    """A part of what `score` says that it did."""
    file: str = "distorted.mkv"
    reference: str = "null"
    """The filter that makes the frames of the reference that are scored."""
    distorted: str = "null"
    frames: int = FRAMES
    format: str = "yuv420p"


CUT = "trim=start_frame=10,setpts=PTS-STARTPTS"
ALIGNED = (
    Aligned("same", X264, ""),
    Aligned(
        "smaller",
        f"-vf scale=160:90 {X264}",
        "scaled from 160x90 to 320x180",
        distorted="scale=320:180:flags=bicubic",
    ),
    Aligned(
        "twice-the-rate",
        f"-r 50 {X264}",
        "has 50 fps and the reference 25 fps: every second frame of the distorted video",
        distorted=r"select=not(mod(n\,2))",
    ),
    Aligned("later", f"{X264} -output_ts_offset 0.5", "starts at 0.5 s, the reference at 0 s"),
    Aligned("other-timebase", f"{X264} -video_track_timescale 90000", "", file="distorted.mp4"),
    Aligned("other-speed", f"-vf setpts=PTS*25/24 -r 24 {X264}", "with the same frames"),
    Aligned(
        "beginning-cut",
        f"-vf {CUT} {X264}",
        "not scored: the first 10 frames of the reference (0.4 s)",
        reference=CUT,
        frames=FRAMES - 10,
    ),
    Aligned(
        "10-bits",
        f"-pix_fmt yuv420p10le {X264}",
        "the reference is converted from yuv420p to yuv420p10le",
        format="yuv420p10le",
    ),
    Aligned(
        "full-range",
        f"-vf scale=out_range=full -color_range pc {X264}",
        "converted from full to limited range",
        distorted="scale=320:180:flags=bicubic:in_range=full:out_range=limited",
    ),
    Aligned(
        "all-at-once",
        f"-vf {CUT},scale=160:90 -r 50 {X264} -output_ts_offset 1",
        "starts at 1 s",
        reference=CUT,
        distorted=r"select=not(mod(n\,2)),scale=320:180:flags=bicubic",
        frames=FRAMES - 10,
    ),
)


@dataclass(frozen=True)
class Unequal:
    """A distorted video that is not scored unless a check is allowed to fail."""

    check: str
    encode: str
    reason: str
    frames: int
    """The number of frames that are scored if it is allowed."""


UNEQUAL = (
    Unequal("aspect", f"-vf crop=320:170 {X264}", "is 1.882:1", FRAMES),
    Unequal("content", f"-vf negate,hflip {X264}", "the pictures do not look alike", FRAMES),
    Unequal("interlaced", f"{X264} -flags +ildct+ilme -x264opts tff=1", "is interlaced", FRAMES),
    Unequal("length", f"-frames:v 40 {X264}", "ends 0.4 s (10 frames) before", 40),
    Unequal(
        "missing",
        f"-vf select='not(between(n,20,22))' -fps_mode vfr {X264}",
        "lacks 3 frames in its middle",
        FRAMES - 3,
    ),
    Unequal("rate", f"-r 30 {X264}", "has 30 fps and the reference 25 fps", FRAMES),
    Unequal(
        "transfer",
        f"-vf setparams=color_trc=smpte2084 {X264}",
        "the HDR transfer function PQ",
        FRAMES,
    ),
)

BAD = {
    "text.mp4": ("", "is not a video that FFmpeg can read"),
    "empty.mp4": ("", "is empty"),
    "sound.m4a": ("-f lavfi -i sine=d=0.2", "has no video stream"),
    "none.y4m": ("", "has no frame"),
    "list.m3u8": ("", "is not a video file, but names other files"),
    "list.ffconcat": ("", "is not a video file, but names other files"),
    "cut-off.mp4": ("-i reference.mkv -c copy", "is incomplete"),
}
CONTENTS = {
    "text.mp4": "This is no video.\n" * 100,
    "empty.mp4": "",
    "none.y4m": "YUV4MPEG2 W320 H180 F25:1\n",
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nreference.mkv\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile reference.mkv\n",
}


def cut_reference(image: Subject, clip: Path, directory: Path) -> None:
    """Write reference.mkv, a part of the real clip without loss."""
    (directory / "clip.mp4").write_bytes(clip.read_bytes())
    options = f"-an -frames:v {FRAMES} -s {SIZE} -c:v libx264 -preset ultrafast -qp 0"
    image.ffmpeg("-i", "clip.mp4", *options.split(), "reference.mkv", directory=directory)
    (directory / "clip.mp4").unlink()


def encode(image: Subject, directory: Path, options: str, file: str) -> None:
    """Make a distorted video of the reference."""
    image.ffmpeg("-i", "reference.mkv", *options.split(), file, directory=directory)


def score(image: Subject, directory: Path, *arguments: str) -> Any:  # noqa: ANN401 (JSON)
    """Score files, and return the results as `score` writes them."""
    image.run(
        *("reference.mkv", *arguments, "--json=scores.json"), program="score", directory=directory
    )
    return json.loads((directory / "scores.json").read_text())["pairs"]


def decode(image: Subject, directory: Path, source: str, chain: str, form: str) -> str:
    """Decode the frames of a video that a filter chain leaves, and return the name of the file."""
    target = f"{source}.y4m"
    options = f"-vf {chain} -fps_mode passthrough -strict -1 -pix_fmt {form}"
    image.ffmpeg("-i", source, *options.split(), target, directory=directory)
    return target


@pytest.mark.needs("score")
@pytest.mark.parametrize("case", ALIGNED, ids=lambda case: case.name)
def test_aligned_pairs_score_like_their_frames(
    image: Subject, clip: Path, directory: Path, case: Aligned
) -> None:
    """`score` gives each frame the score that the vmaf program gives the same decoded frames."""
    cut_reference(image, clip, directory)
    encode(image, directory, case.encode, case.file)
    (pair,) = score(image, directory, case.file)
    notes = "\n".join(pair.get("notes", []))
    assert case.note in notes, notes
    got = [frame["scores"]["vmaf"] for frame in pair["frames"]]
    assert len(got) == case.frames, f"{len(got)} frames are scored"
    reference = decode(image, directory, "reference.mkv", case.reference, case.format)
    distorted = decode(image, directory, case.file, case.distorted, case.format)
    expected = image.score(directory, reference, distorted)
    differences = [abs(a - b) for a, b in zip(got, expected, strict=True)]
    assert max(differences) < 1e-3, f"a frame differs by {max(differences)}"


@pytest.mark.needs("score")
@pytest.mark.parametrize("case", UNEQUAL, ids=lambda case: case.check)
def test_unequal_pairs_are_refused(
    image: Subject, clip: Path, directory: Path, case: Unequal
) -> None:
    """`score` refuses a pair that cannot be aligned, names the check, and scores it if allowed."""
    cut_reference(image, clip, directory)
    encode(image, directory, case.encode, "distorted.mkv")
    pair = ("reference.mkv", "distorted.mkv")
    refused = image.run(*pair, program="score", directory=directory, succeeds=False)
    assert refused.code == 2, f"a pair with unequal {case.check} is scored: {refused.stdout}"
    assert case.reason in refused.stdout, f"{case.check}: {refused.stdout}"
    assert f"--allow {case.check}" in refused.stdout, f"{case.check}: {refused.stdout}"
    (allowed,) = score(image, directory, "distorted.mkv", f"--allow={case.check}")
    assert len(allowed["frames"]) == case.frames
    assert any(case.reason in note for note in allowed["notes"]), allowed["notes"]


@pytest.mark.needs("score")
def test_bad_files_are_refused(image: Subject, clip: Path, directory: Path) -> None:
    """`score` refuses files that are no video, or name other files, and leaves nothing behind."""
    cut_reference(image, clip, directory)
    for name, (options, _) in BAD.items():
        if name in CONTENTS:
            (directory / name).write_text(CONTENTS[name])
        else:
            image.ffmpeg(*options.split(), name, directory=directory)
    cut_off = directory / "cut-off.mp4"
    (directory / "cut-off.part").write_bytes(cut_off.read_bytes()[:20_000])
    (directory / "cut-off.part").replace(cut_off)
    before = sorted(path.name for path in directory.iterdir())
    done = image.run(
        *("reference.mkv", *BAD, "nothing.mkv"),
        program="score",
        options=("--read-only", "--network=none"),
        directory=directory,
        succeeds=False,
    )
    assert done.code == 2, f"exit status {done.code}: {done}"
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines() if not line[0].isspace())
    for name, (_, reason) in {**BAD, "nothing.mkv": ("", "does not exist")}.items():
        assert reason in said[name], f"{name}: {said[name]}"
    assert sorted(path.name for path in directory.iterdir()) == before, "a file was left behind"


@pytest.mark.needs("score")
def test_results_of_several_pairs_agree(image: Subject, clip: Path, directory: Path) -> None:
    """JSON, CSV and the page have all pairs, and `--min` sets the exit status."""
    cut_reference(image, clip, directory)
    for name, crf in (("good.mkv", 18), ("bad.mkv", 45)):
        encode(image, directory, f"-c:v libx264 -preset veryfast -crf {crf}", name)
    files = (
        "good.mkv",
        "bad.mkv",
        "--json=s.json",
        "--csv=s.csv",
        "--html=s.html",
        "--features=psnr",
    )
    done = image.run(
        *("reference.mkv", *files, "--min=80"), program="score", directory=directory, succeeds=False
    )
    assert done.code == 1, f"a score below --min gives the exit status {done.code}: {done.stdout}"
    pairs = json.loads((directory / "s.json").read_text())["pairs"]
    means = {pair["file"]: pair["pooled"]["vmaf"]["mean"] for pair in pairs}
    assert means["bad.mkv"] < 80 < means["good.mkv"], means
    with (directory / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * FRAMES, f"{len(rows)} lines"
    for pair in pairs:
        listed = [float(row["vmaf"]) for row in rows if row["distorted"] == pair["file"]]
        assert listed == pytest.approx([frame["scores"]["vmaf"] for frame in pair["frames"]])
        assert all("psnr_y" in frame["scores"] for frame in pair["frames"])
    page = (directory / "s.html").read_text()
    plots: list[str] = []

    class Plots(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            plots.extend(dict(attrs)["points"] or "" for _ in range(tag == "polyline"))

    Plots().feed(page)
    assert [len(points.split()) for points in plots] == [FRAMES, FRAMES], "points of the plots"
    assert all(f"{mean:.3f}" in page for mean in means.values()), "the page lacks a mean"
    passed = image.run(
        "reference.mkv", "good.mkv", "--min=80", program="score", directory=directory
    )
    assert f"good.mkv: {means['good.mkv']:.3f} (vmaf_v0.6.1, " in passed.stdout


@pytest.mark.needs("score")
def test_models_are_chosen_and_named(image: Subject, clip: Path, directory: Path) -> None:
    """`score` names the model: by default the one for the size, else the one that was chosen."""
    cut_reference(image, clip, directory)
    encode(image, directory, X264, "distorted.mkv")
    for choice, model in (
        ("auto", "vmaf_v0.6.1"),
        ("neg", "vmaf_v0.6.1neg"),
        ("4k", "vmaf_4k_v0.6.1"),
        ("v1", "vmaf_v1.0.16_3d0h"),
    ):
        size = ("--size=model",) if choice == "v1" else ()  # its frames must have 320 lines
        (pair,) = score(image, directory, "distorted.mkv", f"--model={choice}", "--every=25", *size)
        assert pair["model"] == model
        assert pair["pooled"]["vmaf"]["mean"] > 0
    unknown = ("reference.mkv", "distorted.mkv", "--model=vmaf_v0.6.9")
    done = image.run(*unknown, program="score", directory=directory, succeeds=False)
    assert "libvmaf has no model vmaf_v0.6.9" in done.stdout, str(done)
