"""Tests of the comparison of an image with that of a cold build."""

import json
from pathlib import Path

import pytest

from scripts.contents.listing import Entry
from scripts.faults import artefacts
from tests.support import archives

VMAF = "usr/local/bin/vmaf"


def files(
    directory: Path, *, digest: str = "1", version: str = "3.2", vmaf: bytes = b"x"
) -> dict[str, Entry]:
    """Return the project's files in an image with these contents."""
    versions = {"libvmaf": {"version": version, "digest": digest}, "gcc": {"version": "14"}}
    layer = archives.layer(
        {
            VMAF: vmaf,
            "etc/passwd": digest.encode(),
            artefacts.VERSIONS.lstrip("/"): json.dumps(versions).encode(),
        }
    )
    return artefacts.of_saved(archives.open_image(directory, layer))


@pytest.fixture
def cold(tmp_path: Path) -> dict[str, Entry]:
    """Return the files of the cold build."""
    return files(tmp_path / "cold")


def test_equal_images_do_not_differ(cold: dict[str, Entry], tmp_path: Path) -> None:
    """Two builds of equal sources do not differ, whatever file marks the tree of each."""
    assert set(cold) == {f"/{VMAF}", artefacts.VERSIONS}
    assert artefacts.differences(cold, files(tmp_path / "x", digest="2")) == []


def test_other_program_differs(cold: dict[str, Entry], tmp_path: Path) -> None:
    """A program with another byte is named."""
    (found,) = artefacts.differences(cold, files(tmp_path / "x", vmaf=b"y"))
    assert found.startswith(f"/{VMAF}: content")


def test_other_version_differs(cold: dict[str, Entry], tmp_path: Path) -> None:
    """versions.json differs if anything but the digest of libvmaf's tree differs."""
    (found,) = artefacts.differences(cold, files(tmp_path / "x", version="3.3"))
    assert found.startswith(artefacts.VERSIONS)
