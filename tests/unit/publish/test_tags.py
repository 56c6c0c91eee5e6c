"""The tags of published images, and what forbids to publish one."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from scripts.core.console import UserError
from scripts.images.catalogue import NOT_REDISTRIBUTABLE
from scripts.publish.tags import Built, Tags, refusals, tags

LICENCES = "org.opencontainers.image.licenses"
REVISION = "org.opencontainers.image.revision"
CPU = Built(
    "cpu",
    {"vmaf.ffmpeg": "9.0", "vmaf.without": "", LICENCES: "GPL-3.0-or-later", REVISION: "1a2b"},
    {
        "libvmaf": {"name": "libvmaf", "version": "3.2.0+gf85a85369"},
        "ffmpeg": {"name": "FFmpeg", "version": "9.0.2"},
    },
    platform="linux/amd64",
)
NOW = datetime(2026, 11, 27, 22, 10, 5, tzinfo=UTC)
RELEASE = "cpu-ffmpeg9.0.2-vmaf3.2.0-gf85a85369"
DATED = f"{RELEASE}-20261127T2210Z"


def labelled(image: Built, **labels: str) -> Built:
    """Return the image with other labels; `_` in their names stands for a dot."""
    return replace(
        image, labels={**image.labels, **{k.replace("_", "."): v for k, v in labels.items()}}
    )


def test_tags_name_what_the_image_has() -> None:
    """The tags have the versions in the image; the dated tag is moved first."""
    named = tags(CPU, NOW, default_ffmpeg="9.0")
    assert named == Tags(("cpu", "cpu-ffmpeg9.0", "latest"), RELEASE, DATED)
    assert named.all == (DATED, RELEASE, "cpu", "cpu-ffmpeg9.0", "latest")


@pytest.mark.parametrize(
    ("built", "moving"),
    [
        (replace(CPU, name="cuda12"), ("cuda12", "cuda12-ffmpeg9.0")),
        (replace(CPU, name="ffmpeg"), ("ffmpeg", "ffmpeg-ffmpeg9.0")),
        (labelled(CPU, vmaf_ffmpeg="7.1"), ("cpu-ffmpeg7.1",)),
        (
            labelled(CPU, vmaf_without="libjxl libsrt"),
            ("cpu-without-libjxl-libsrt", "cpu-without-libjxl-libsrt-ffmpeg9.0"),
        ),
    ],
    ids=["another image", "the image of FFmpeg", "another FFmpeg", "features left out"],
)
def test_latest_is_the_complete_image_for_any_machine(
    built: Built, moving: tuple[str, ...]
) -> None:
    """Neither `latest` nor `cpu` names an image with less, or with another FFmpeg."""
    assert tags(built, NOW, default_ffmpeg="9.0").moving == moving


@pytest.mark.parametrize("name", ["go-server", "cli", "cli-cuda12"])
def test_image_without_ffmpeg_has_no_ffmpeg_in_its_tags(name: str) -> None:
    """Some images have libvmaf only."""
    built = Built(name, {}, {"libvmaf": CPU.versions["libvmaf"]})
    named = tags(built, NOW, default_ffmpeg="9.0")
    assert (named.moving, named.release) == ((name,), f"{name}-vmaf3.2.0-gf85a85369")


@pytest.mark.parametrize(
    "built",
    [
        replace(CPU, versions={"ffmpeg": CPU.versions["ffmpeg"]}),
        replace(CPU, versions={"libvmaf": CPU.versions["libvmaf"]}),
        labelled(CPU, vmaf_ffmpeg=""),
        labelled(CPU, vmaf_without=" ".join(f"feature{number}" for number in range(12))),
    ],
    ids=["no libvmaf", "no FFmpeg", "no label", "too long"],
)
def test_image_that_cannot_be_named_is_refused(built: Built) -> None:
    """An image whose label and versions.json differ has no tag, nor one with too long a tag."""
    with pytest.raises(UserError, match="cannot name vmaf:cpu"):
        tags(built, NOW, default_ffmpeg="9.0")


def test_committed_free_image_of_locked_sources_may_be_published() -> None:
    """Nothing forbids to publish it."""
    assert not refusals(CPU)


@pytest.mark.parametrize(
    ("built", "reason"),
    [
        (
            replace(
                labelled(CPU, **{LICENCES.replace(".", "_"): NOT_REDISTRIBUTABLE}),
                nonfree=["cuda (its compiler)"],
            ),
            "it must not be passed on: cuda (its compiler)",
        ),
        (
            replace(CPU, versions={"ffmpeg": {"name": "FFmpeg", "lock": "accepted"}}),
            "FFmpeg is not what sources.lock has",
        ),
        (labelled(CPU, **{REVISION.replace(".", "_"): "1a2b-dirty"}), "not in a commit"),
        (labelled(CPU, **{REVISION.replace(".", "_"): ""}), "not in a commit"),
    ],
    ids=["nonfree", "not locked", "not committed", "no revision"],
)
def test_reasons_against_publishing_are_named(built: Built, reason: str) -> None:
    """Each reason against it is told in words."""
    (told,) = refusals(built)
    assert reason in told
