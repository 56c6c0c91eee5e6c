"""Programs on top of FFmpeg and libvmaf."""

import json
import posixpath
import re
from pathlib import Path
from statistics import mean

import pytest

from scripts.core import clips
from tests.support.subject import PREFIX, Subject

WHEEL = re.compile(
    rf"{PREFIX}lib/vmaf-tools/lib/python3[.\d]*/site-packages/(\w+)-([\w.]+)\.dist-info/METADATA"
)
CRATE = re.compile(rb"/registry/src/[^/]+/([\w-]+?)-(\d+\.\d[\w.+-]*)/")
"""The path of a source in the messages of a Rust program."""
HD = "scale=1920:1080:flags=neighbor"
EASYVMAF_NEEDS = (8, 1)
"""The oldest release of FFmpeg with which easyVmaf runs."""


def scored(image: Subject, directory: Path) -> float:
    """Generate reference.y4m and worse.y4m, and return their score by the vmaf program."""
    clips.generate(directory / "reference.y4m")
    clips.generate(directory / "worse.y4m", 16)
    return mean(image.score(directory, "reference.y4m", "worse.y4m"))


@pytest.mark.needs("tools")
def test_ab_av1_is_the_locked_release(image: Subject) -> None:
    """`ab-av1 --version` prints the version of the crate in versions.json."""
    printed = image.run("--version", program="ab-av1").stdout.strip()
    assert printed == f"ab-av1 {image.manifest['ab-av1']['version']}"


@pytest.mark.needs("tools")
def test_ab_av1_scores_like_vmaf(image: Subject, directory: Path) -> None:
    """`ab-av1 vmaf` prints the score of the vmaf program for a pair of one size and rate."""
    expected = scored(image, directory)
    videos = ("--reference", "reference.y4m", "--distorted", "worse.y4m")
    result = image.run(
        *("vmaf", *videos, "--vmaf-scale", "none"), program="ab-av1", directory=directory
    )
    assert float(result.stdout.split()[-1]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.needs("tools")
def test_ab_av1_lists_its_crates(image: Subject) -> None:
    """versions.json has each crate of which the program contains the path of a source."""
    listed = {(crate["name"], crate["version"]) for crate in image.manifest["ab-av1"]["crates"]}
    paths = CRATE.findall(image.read(PREFIX + "bin/ab-av1"))
    used = {(name.decode(), version.decode()) for name, version in paths}
    assert used, "the program contains no path of a crate"
    lacking = sorted(" ".join(crate) for crate in used - listed)
    assert not lacking, f"versions.json lacks {lacking}"


@pytest.mark.needs("tools")
def test_ffmpeg_quality_metrics_scores_like_vmaf(image: Subject, directory: Path) -> None:
    """ffmpeg-quality-metrics prints the score of the vmaf program for a pair of one size."""
    expected = scored(image, directory)
    result = image.run(
        *("worse.y4m", "reference.y4m", "--metrics", "vmaf"),
        program="ffmpeg-quality-metrics",
        directory=directory,
    )
    average = json.loads(result.stdout)["global"]["vmaf"]["vmaf"]["average"]
    assert average == pytest.approx(expected, abs=1e-3)


@pytest.mark.needs("tools")
def test_easyvmaf_scores_like_vmaf(image: Subject, directory: Path) -> None:
    """EasyVmaf writes the score of the vmaf program for a pair of 1920x1080, its own size."""
    release = tuple(map(int, re.findall(r"\d+", image.labels["vmaf.ffmpeg"])[:2]))
    if release < EASYVMAF_NEEDS:
        pytest.skip(f"{image.tag} has FFmpeg {image.labels['vmaf.ffmpeg']}; easyVmaf needs 8.1")
    scored(image, directory)
    for name in ("reference", "worse"):
        image.ffmpeg("-i", f"{name}.y4m", "-vf", HD, f"{name}-hd.y4m", directory=directory)
    expected = mean(image.score(directory, "reference-hd.y4m", "worse-hd.y4m"))
    image.run(
        *("-r", "reference-hd.y4m", "-d", "worse-hd.y4m", "--vmaf-version", "0.6"),
        program="easyvmaf",
        directory=directory,
    )
    summary = json.loads((directory / "worse-hd_vmaf_summary.json").read_text())
    assert summary["vmaf"]["scores"]["vmaf_hd"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.needs("tools")
def test_python_programs_are_the_locked_wheels(image: Subject) -> None:
    """The environment of the Python programs has exactly the wheels in versions.json."""
    installed = {
        (wheel[1].replace("_", "-"), wheel[2])
        for wheel in map(WHEEL.fullmatch, image.saved.merged)
        if wheel
    }
    listed = {
        (name, part["version"])
        for name, part in image.manifest.items()
        if part["source"].startswith("PyPI wheel ")
    }
    assert installed
    assert not installed ^ listed, f"only installed or only listed: {sorted(installed ^ listed)}"


@pytest.mark.needs("tools")
def test_entry_point_lists_programs_and_runs_them(image: Subject) -> None:
    """Without arguments the image lists its programs, and `docker run` runs each of them."""
    names = re.findall(r"^  (\w[\w-]*(?:, \w[\w-]*)*)", image.run().stdout, re.MULTILINE)
    listed = {name for several in names for name in several.split(", ")}
    assert {"score", "ab-av1", "ffmpeg"} <= listed
    found = image.run("which", *sorted(listed), succeeds=False).stdout.split()
    missing = sorted(listed - set(map(posixpath.basename, found)))
    assert not missing, f"listed and not there: {missing}"
