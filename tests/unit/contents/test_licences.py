"""The search for licence texts in small images."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.contents import inventory, licences
from tests.support.archives import Files, layer, open_image
from tests.unit.contents.test_sbom import go_program, part

STATUS = b"""\
Package: libx
Status: install ok installed
Architecture: amd64
Version: 1

"""
SITE = "opt/venv/lib/python3.13/site-packages"
CUDA = part(source="Debian package nvidia-cuda-toolkit")
NVCC = {"usr/local/cuda/bin/nvcc": b"nvcc"}

Lacking = Callable[[Mapping[str, Mapping[str, str]], Files], list[str]]


@pytest.fixture
def lacking(tmp_path: Path) -> Lacking:
    """Return a function that returns the messages about an image with components and files."""

    def messages(parts: Mapping[str, Mapping[str, str]], files: Files) -> list[str]:
        everything = {
            "var/lib/dpkg/status": STATUS,
            "usr/share/doc/libx/copyright": b"Expat",
            "usr/local/share/vmaf/versions.json": json.dumps(parts).encode(),
            **files,
        }
        image = open_image(tmp_path, layer(everything))
        return list(licences.without_text(image, inventory.read(image)))

    return messages


@pytest.mark.parametrize(
    ("name", "component", "path"),
    [
        ("libvmaf", part(), "usr/local/share/doc/libvmaf/LICENSE"),
        (
            "nv-codec-headers",
            part(source="Debian package libh-dev (trixie), with a.patch"),
            "usr/local/share/doc/nv-codec-headers/copyright",
        ),
        (
            "hip-smoke",
            part(source="docker/smoke/hip-smoke.cpp"),
            "usr/local/share/doc/vmaf-images/LICENSE",
        ),
        ("vmaf-server", part(source="server/ at abc"), "usr/local/share/doc/vmaf-images/LICENSE"),
        ("gcc", part(source="Debian 13.8"), "usr/share/doc/gcc-14-base/copyright"),
        (
            "tbb-x",
            part(source="PyPI wheel tbb_x-1-py3-none-any.whl"),
            "opt/intel/oneapi/licensing/tbb_x/LICENSE.txt",
        ),
        (
            "intel-sycl-rt",
            part(source="image intel/oneapi:2026"),
            "opt/intel/oneapi/licensing/2026/license.htm",
        ),
    ],
)
def test_text_of_a_component_is_in_its_place(
    lacking: Lacking, name: str, component: Mapping[str, str], path: str
) -> None:
    """A component needs a text in its own place; an empty file is none."""
    assert not lacking({name: component}, {path: b"text"})
    for files in ({}, {path: b""}, {"usr/local/share/doc/other/LICENSE": b"text"}):
        (message,) = lacking({name: component}, files)
        assert message.startswith(f"{name} 1, listed in {inventory.VERSIONS}, has no licence text")
        assert f"/{path.rpartition('/')[0]}".startswith(message.rpartition(" ")[2].rstrip("/"))


def test_text_of_a_package_may_be_a_link(lacking: Lacking) -> None:
    """Debian's package needs its copyright file, which may be in a linked directory."""
    status = {"var/lib/dpkg/status": STATUS + STATUS.replace(b"libx", b"libx-dev")}
    assert not lacking({}, {**status, "usr/share/doc/libx-dev": "libx"})
    assert not lacking({"hip": part(source="Debian package libx (testing)")}, {})
    (message,) = lacking({}, {"usr/share/doc/libx/copyright": b""})
    assert message.startswith("libx 1, listed in /var/lib/dpkg/status, has no licence text in ")
    assert message.endswith("/usr/share/doc/libx/copyright")


@pytest.mark.parametrize("name", ["cuda", "hipcc", "clang"])
def test_tools_that_are_not_in_the_image_need_no_text(lacking: Lacking, name: str) -> None:
    """A compiler of which the image has no file needs no text."""
    assert not lacking({name: part(source=f"Debian package {name}-1 (testing)")}, {})


@pytest.mark.parametrize(
    ("component", "path"),
    [
        (CUDA, "usr/local/cuda/licences/cuda/copyright"),
        (part(source="image nvidia/cuda:12"), "usr/local/cuda/EULA.txt"),
    ],
)
def test_cuda_needs_a_text_where_it_is_in_the_image(
    lacking: Lacking, component: Mapping[str, str], path: str
) -> None:
    """An image with nvcc needs NVIDIA's terms beside it."""
    assert not lacking({"cuda": component}, {**NVCC, path: b"text"})
    (message,) = lacking({"cuda": component}, NVCC)
    assert message.startswith("cuda 1, ")


def test_each_module_of_a_go_program_needs_a_text(lacking: Lacking) -> None:
    """Each module of a Go program, and the standard library, has a directory for its text."""
    doc = "usr/local/share/doc/server"
    files = {
        "usr/local/bin/server": go_program("dep\tx.org/a\tv1\th1:x=\ndep\tx.org/ab\tv1\th1:x=\n"),
        f"{doc}/stdlib/copyright": b"BSD",
        f"{doc}/x.org/ab/internal/LICENSE": b"MIT",
    }
    (message,) = lacking({}, files)
    assert message == (
        "x.org/a v1, listed in /usr/local/bin/server, has no licence text in "
        "/usr/local/share/doc/server/x.org/a/"
    )


@pytest.mark.parametrize(
    ("path", "licence", "has_text"),
    [
        ("usr/local/share/doc/program/a-1/LICENSE-MIT", "MIT OR Apache-2.0", True),
        ("usr/share/common-licenses/Apache-2.0", "Apache-2.0/MIT", True),
        ("usr/share/common-licenses/Apache-2.0", "MIT", False),
        ("usr/local/share/doc/program/a-2/LICENSE-MIT", "MIT", False),
    ],
)
def test_each_crate_of_a_rust_program_needs_a_text(
    lacking: Lacking, path: str, licence: str, *, has_text: bool
) -> None:
    """A crate has a directory for its text, or Debian has Apache's."""
    crate = {"name": "a", "version": "1", "licence": licence, "digest": "sha256:0"}
    program: Any = {**part(source="docker/x"), "crates": [crate]}
    own = {"usr/local/share/doc/vmaf-images/LICENSE": b"own"}
    messages = lacking({"program": program}, {**own, path: b"text"})
    assert [message.split(",")[0] for message in messages] == ([] if has_text else ["a 1"])


def test_text_of_a_wheel_may_be_that_of_its_distribution(lacking: Lacking) -> None:
    """A wheel in versions.json that is installed has its text in its metadata."""
    wheel = {"a-b": part(source="PyPI wheel a_b-1-py3-none-any.whl")}
    files = {f"{SITE}/a_b-1.dist-info/METADATA": b"Name: a-b\nVersion: 1\nLicense: MIT\n\n"}
    assert not lacking(wheel, {**files, f"{SITE}/a_b-1.dist-info/licenses/LICENSE": b"MIT"})
    assert len(lacking(wheel, files)) == 2


@pytest.mark.parametrize(
    ("files", "has_text"),
    [
        ({f"{SITE}/a_b-1.dist-info/licenses/LICENSE": b"MIT"}, True),
        ({f"{SITE}/a_b/NOTICE.txt": b"MIT"}, True),
        ({"usr/share/common-licenses/Apache-2.0": b"Apache"}, True),
        ({f"{SITE}/a_b/license.py": b"code", f"{SITE}/a/LICENSE": b"MIT"}, False),
        ({"usr/share/common-licenses/BSD": b"of others"}, False),
    ],
)
def test_text_of_a_python_distribution_is_found(
    lacking: Lacking, files: Files, *, has_text: bool
) -> None:
    """A distribution has its text in its metadata or its package, or Debian has the text."""
    licence = b"BSD" if "usr/share/common-licenses/BSD" in files else b"Apache 2.0"
    metadata = b"Metadata-Version: 2.1\nName: a-b\nVersion: 1\nLicense: " + licence + b"\n\n"
    messages = lacking({}, {f"{SITE}/a_b-1.dist-info/METADATA": metadata, **files})
    assert [message.split(",")[0] for message in messages] == ([] if has_text else ["a-b 1"])
