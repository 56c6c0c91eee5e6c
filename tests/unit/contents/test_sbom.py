"""SBOM and licence report, of images made here."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.cli import sbom as sbom_verb
from scripts.cli.__main__ import main
from scripts.contents import inventory, sbom
from scripts.contents.archive import SavedImage
from scripts.contents.inventory import NOT_MACHINE_READABLE, NOT_STATED, Item, go_modules
from scripts.core.console import UserError
from scripts.engine import client
from scripts.images import catalogue
from tests.support.archives import TAG, Files, layer, open_image
from tests.support.fatbin import fatbin

DIGEST = "ab" * 32
STATUS = b"""\
Package: libx
Status: install ok installed
Section: libs
Architecture: amd64
Version: 1:2.0+git-1

Package: gone
Status: deinstall ok config-files
Section: libs
Architecture: amd64
Version: 1

Package: firmware
Status: install ok installed
Section: non-free/libs
Architecture: all
Version: 3
"""
COPYRIGHT = b"""\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2020 somebody
License: GPL-2+

Files: x.c
Copyright: 2021 nobody
License: Expat
 Do what you like.
"""


def part(**more: str) -> Mapping[str, str]:
    """Return an entry of versions.json."""
    return {"version": "1", "source": "a tarball", "digest": f"sha256:{DIGEST}", **more}


def image(parts: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, str | bytes]:
    """Return the files of a small image."""
    return {
        "etc/os-release": b'ID=debian\nVERSION_CODENAME="trixie"\n',
        "var/lib/dpkg/status": STATUS,
        "usr/share/doc/libx/copyright": COPYRIGHT,
        "usr/share/doc/firmware": "libx",
        "usr/local/share/vmaf/versions.json": json.dumps(parts or {"libvmaf": part()}).encode(),
    }


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Files], dict[str, Item]]:
    """Return a function that reads the components of an image with these files, by name."""

    def items(files: Files) -> dict[str, Item]:
        image = open_image(tmp_path, layer(files))
        return {item.name: item for item in inventory.read(image)}

    return items


Read = Callable[[Files], dict[str, Item]]


def components(items: Mapping[str, Item]) -> Mapping[str, Mapping[str, Any]]:
    """Return the components of the SBOM, by name, once it is found to be valid."""
    written = sbom.document(TAG, list(items.values()))
    assert not sbom.schema_errors(written)
    return {one["name"]: one for one in json.loads(written)["components"]}


def test_installed_packages_are_components(read: Read) -> None:
    """The SBOM has the installed Debian packages, their licences, and which are nonfree."""
    found = read(image())
    assert found.keys() == {"libx", "firmware", "libvmaf"}
    assert found["libx"].licences == ["Expat", "GPL-2+"]
    assert (found["libx"].nonfree, found["firmware"].nonfree) == (
        "",
        "section non-free/libs of Debian",
    )
    purl = components(found)["libx"]["purl"]
    assert purl == "pkg:deb/debian/libx@1:2.0%2Bgit-1?arch=amd64&distro=trixie"


def test_packages_without_dpkg_status_are_read(read: Read) -> None:
    """The packages of a distroless image are read, which has one status file per package."""
    entry = b"Package: tiny\nVersion: 1\nArchitecture: amd64\n"
    files = {"var/lib/dpkg/status.d/tiny": entry, "var/lib/dpkg/status.d/tiny.md5sums": b"0  a\n"}
    assert read(files).keys() == {"tiny"}


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        (b"You may copy this as you like.\n", NOT_MACHINE_READABLE),
        (b"", NOT_STATED),
        (b"Format: something else\n\nno field\n", NOT_MACHINE_READABLE),
    ],
)
def test_licence_in_prose_is_not_guessed(read: Read, text: bytes, licence: str) -> None:
    """The licences of a copyright file in prose are not guessed."""
    assert read({**image(), "usr/share/doc/libx/copyright": text})["libx"].licences == [licence]


@pytest.mark.parametrize(
    ("name", "entry", "licence", "nonfree"),
    [
        ("ffmpeg", part(configure="--enable-gpl --enable-version3"), "GPL-3.0-or-later", False),
        ("ffmpeg", part(configure="--enable-version3"), "LGPL-3.0-or-later", False),
        ("ffmpeg", part(configure="--enable-gpl"), "GPL-2.0-or-later", False),
        ("ffmpeg", part(configure=""), "LGPL-2.1-or-later", False),
        ("ffmpeg", part(configure="--enable-nonfree"), catalogue.NOT_REDISTRIBUTABLE, True),
        ("cuda", part(source="Debian package nvidia-cuda-toolkit"), "LicenseRef-NVIDIA-CUDA", True),
        ("intel-sycl-rt", part(), "LicenseRef-Intel-Developer-Tools", True),
        ("tbb", part(), "LicenseRef-Intel-Simplified-Software", True),
        ("umf", part(), "Apache-2.0", False),
        ("libvmaf", part(), "BSD-2-Clause-Patent", False),
        ("libvmaf", part(licence="EUPL-1.2"), "EUPL-1.2", False),
        ("hip", part(source="Debian package libx (testing)"), "Expat", False),
        ("unheard-of", part(), NOT_STATED, False),
    ],
)
def test_licence_of_a_component_is_read(
    read: Read, name: str, entry: Mapping[str, str], licence: str, *, nonfree: bool
) -> None:
    """A component's licence comes from its configure flags, its licence file or Debian's."""
    licensing = "opt/intel/oneapi/licensing"
    texts = {
        f"{licensing}/tbb/LICENSE.txt": b"Intel Simplified Software License (Version 1)\n",
        f"{licensing}/umf/LICENSE.txt": b"      Apache License\n Version 2.0\n",
    }
    found = read({**image({name: entry}), **texts})[name]
    assert found.licences[0] == licence
    assert bool(found.nonfree) is nonfree


@pytest.mark.parametrize(
    ("files", "nonfree"),
    [
        ({"usr/local/lib/libvmaf.so": b"code"}, ""),
        (
            {"usr/local/lib/libvmaf.so": fatbin((1, 75), data=b".func __internal_accurate_pow(")},
            "NVIDIA's EULA, for its libdevice in libvmaf.so",
        ),
        (
            {
                "usr/local/lib/libvmaf.so": b"code",
                "usr/local/lib/libvmafx.so.1.0": fatbin((1, 75), data=b".func __internal_pow("),
            },
            "NVIDIA's EULA, for its libdevice in libvmaf.so",
        ),
        (
            {"usr/local/lib/libvmaf.so": b"code", "usr/local/cuda/bin/nvcc": b""},
            "NVIDIA's EULA",
        ),
    ],
    ids=["compiled with it", "libdevice", "libdevice in a second library", "nvcc"],
)
def test_cuda_is_nonfree_where_the_image_has_a_part_of_it(
    read: Read, files: Mapping[str, bytes], nonfree: str
) -> None:
    """CUDA makes an image nonfree if nvcc or libdevice is in it, not if it only compiled it."""
    entry = part(source="Debian package nvidia-cuda-toolkit")
    assert read({**image({"cuda": entry}), **files})["cuda"].nonfree == nonfree


def test_package_url_names_the_source(read: Read) -> None:
    """The package URL of a component names PyPI, Debian or a tarball, with the checksum."""
    found = components(
        read(
            image(
                {
                    "libvmaf": part(),
                    "tbb": part(source="PyPI wheel tbb-1-py3-none-any.whl"),
                    "hip": part(source="Debian package libamdhip64-6, with a patch"),
                    "ccache": {"version": "4", "source": "Debian package ccache"},
                }
            )
        )
    )
    checksum = f"?checksum=sha256:{DIGEST}"
    assert found["libvmaf"]["purl"] == f"pkg:generic/libvmaf@1{checksum}"
    assert found["tbb"]["purl"] == f"pkg:pypi/tbb@1{checksum}"
    assert found["hip"]["purl"] == f"pkg:deb/debian/libamdhip64-6@1{checksum}"
    assert found["ccache"]["purl"] == "pkg:deb/debian/ccache@4"
    assert found["libvmaf"]["hashes"] == [{"alg": "SHA-256", "content": DIGEST}]


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT", "MIT"),
        ("License: BSD", "BSD"),
        (
            "License: All\n        of it\nClassifier: License :: OSI Approved :: X License",
            "X License",
        ),
        ("License: Copyright\n        all of it", NOT_MACHINE_READABLE),
        ("Classifier: Topic :: Y", NOT_STATED),
    ],
)
def test_python_distribution_is_a_component(read: Read, metadata: str, licence: str) -> None:
    """Python packages of an environment are components, without Debian's and vendored ones."""
    text = f"Metadata-Version: 2.4\nName: six\nVersion: 1.0\n{metadata}\n\nLong.\n".encode()
    there = "opt/venv/lib/python3.13/site-packages"
    found = read(
        {
            f"{there}/six-1.0.dist-info/METADATA": text,
            f"{there}/pip/_vendor/copy-1.0.dist-info/METADATA": text.replace(b"six", b"copy"),
            "usr/lib/python3/dist-packages/deb-1.0.dist-info/METADATA": text,
        }
    )
    assert found["six"].licences == [licence]
    assert components(found)["six"]["purl"] == "pkg:pypi/six@1.0"
    assert len(found) == 1


def go_program(listed: str) -> bytes:
    """Return what a Go linker puts into a program, amid other bytes."""

    def string(content: bytes) -> bytes:
        low, high = len(content) & 0x7F | 0x80, len(content) >> 7
        return bytes([low, high]) + content

    header = b"\xff Go buildinf:" + bytes([8, 2]) + bytes(16)
    guarded = bytes(16) + listed.encode() + bytes(16)
    return b"\x7fELF" + bytes(28) + header + string(b"go1.24.4") + string(guarded) + b"text"


def test_go_modules_are_read_from_the_program(read: Read) -> None:
    """A Go program's modules are components, with replaced modules and the standard library."""
    listed = (
        "path\texample.org/server\nmod\texample.org/server\t(devel)\t\n"
        "dep\texample.org/a\tv1.0.0\th1:x=\ndep\texample.org/b\tv2.0.0\n"
        "=>\texample.org/c/v3\tv3.0.0\th1:y=\nbuild\t-compiler=gc\n"
    )
    found = read({"usr/local/bin/server": go_program(listed), "usr/local/bin/other": b"#!/bin/sh"})
    assert {name: item.version for name, item in found.items()} == {
        "stdlib": "1.24.4",
        "example.org/a": "v1.0.0",
        "example.org/c/v3": "v3.0.0",
    }
    assert components(found)["example.org/c/v3"]["purl"] == "pkg:golang/example.org/c/v3@v3.0.0"


def test_other_programs_have_no_go_modules() -> None:
    """Other programs, and those of Go before 1.18, have no Go modules."""
    assert not list(go_modules(b"\x7fELF"))
    assert not list(go_modules(b"\xff Go buildinf:" + bytes([8, 0]) + bytes(64)))


def test_sbom_is_reproducible(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SBOM of an image is reproducible; its time is SOURCE_DATE_EPOCH or absent."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    items = list(read(image()).values())
    written = sbom.document(TAG, items)
    assert written == sbom.document(TAG, items[::-1])
    assert "timestamp" not in written
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    assert "timestamp" not in sbom.document(TAG, items)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert '"timestamp": "1970-01-02T00:00:00+00:00"' in sbom.document(TAG, items)


def test_sbom_names_the_version_that_made_it(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SBOM names the project and its version, read from VERSION, as the tool that made it."""
    (tmp_path / "VERSION").write_text("7.8.9\n")
    monkeypatch.setattr(sbom, "ROOT", tmp_path)
    written = json.loads(sbom.document(TAG, list(read(image()).values())))
    (tool,) = written["metadata"]["tools"]["components"]
    assert (tool["name"], tool["version"]) == ("vmaf-images", "7.8.9")


def test_schema_rejects_an_invalid_digest(read: Read) -> None:
    """The CycloneDX schema rejects an invalid digest, which the library writes unchanged."""
    items = read(image({"libvmaf": part(digest="sha256:zz")}))
    assert "zz" in sbom.schema_errors(sbom.document(TAG, list(items.values())))[0]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("GPL-3.0-or-later", {"tbb", "firmware"}),
        ("GPL-3.0-or-later AND (LicenseRef-Intel-Developer-Tools)", {"firmware"}),
        (catalogue.NOT_REDISTRIBUTABLE, set()),
    ],
)
def test_licence_label_covers_nonfree_components(
    read: Read, label: str, expected: set[str]
) -> None:
    """A nonfree component is reported unless the licence label has its terms or forbids copies."""
    tool = {"opt/intel/oneapi/licensing/tbb/LICENSE.txt": b"Intel End User License Agreement for "}
    tool = {path: text + b"Developer Tools (Version 1)" for path, text in tool.items()}
    found = components(read({**image({"tbb": part()}), **tool}))
    undeclared = sbom.undeclared_nonfree(list(found.values()), label)
    assert {line.split()[0] for line in undeclared} == expected


def test_report_names_nonfree_components(read: Read, capsys: pytest.CaptureFixture[str]) -> None:
    """The licence report names the nonfree components and the licence label of the image."""
    items = read(image({"ffmpeg": part(configure="--enable-nonfree")}))
    sbom_verb.show(TAG, list(items.values()), "MIT")
    shown = capsys.readouterr().out
    assert "nonfree: 2" in shown
    assert "ffmpeg 1: configured with --enable-nonfree" in shown
    assert "org.opencontainers.image.licenses: MIT" in shown


@pytest.fixture
def engine_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Files], None]:
    """Return a function that makes these files the image that any tag names."""

    def offer(files: Files) -> None:
        @contextmanager
        def saved_image(_: str) -> Iterator[tuple[int, SavedImage]]:
            yield 1, open_image(tmp_path, layer(files))

        monkeypatch.setattr(sbom_verb, "saved_image", saved_image)

    monkeypatch.setattr(catalogue, "images", dict)
    monkeypatch.setattr(client, "require", lambda: None)
    monkeypatch.setattr(sbom_verb, "RECORDS", tmp_path)
    return offer


def test_sbom_prints_or_writes_the_same_document(
    engine_images: Callable[[Files], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sbom` writes to a file what it prints with --format json."""
    engine_images(image())
    assert main(["sbom", TAG, "--format", "json"]) == 0
    printed = capsys.readouterr().out
    assert main(["sbom", TAG]) == 0
    assert (tmp_path / "sbom" / "made_here.json").read_text() == printed


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ({"etc/": b""}, [TAG], "neither dpkg's status nor"),
        (image({"x": {"source": "no version"}}), [TAG], "KeyError: 'version'"),
        ({"usr/local/share/vmaf/versions.json": b"{"}, [TAG], "JSONDecodeError"),
        (image({"x": part(digest="sha256:zz")}), [TAG], "not valid CycloneDX"),
        (image(), [TAG, TAG, "--format=json"], "cannot print several"),
        (image(), [], "none is named"),
    ],
)
def test_sbom_rejects_an_invalid_image(
    engine_images: Callable[[Files], None], files: Files, arguments: list[str], message: str
) -> None:
    """`sbom` rejects an image whose contents it cannot read, and missing or several images."""
    engine_images(files)
    with pytest.raises(UserError, match=message):
        main(["sbom", *arguments])
