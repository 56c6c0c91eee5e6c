"""Tests of what the build checks and of its handling of races in BuildKit."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.buildkit import builder, progress, records
from scripts.causes import inputs
from scripts.contents import sbom
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.dockerfile import bake
from scripts.engine import client
from scripts.images import bases, build, catalogue, sizes, sources
from scripts.images.catalogue import Image
from scripts.images.rocm import Requirement
from scripts.images.sources import SourceTree
from tests.support import builds
from tests.support.buildx import needs_buildx

ENGINE = builder.Inspected("default", "docker", ["default"], answers=True)
REMOTE = builder.Inspected("w", "remote", ["tcp://w:1234"], answers=True)


def image(backends: str, *provides: str) -> Image:
    """Return an image whose label has these backends, with these capabilities."""
    labels = {"vmaf.backends": backends}
    return Image("x", "vmaf:x", "Dockerfile", "x", labels, frozenset(provides))


def libvmaf(*backends: str) -> SourceTree:
    """Return a libvmaf source tree with these backends."""
    return SourceTree("libvmaf", Path("/copy"), "1.0", frozenset(backends))


def test_source_tree_without_a_backend_of_the_image_is_refused() -> None:
    """A libvmaf tree without CUDA is refused for an image with CUDA."""
    with pytest.raises(UserError, match="have no enable_cuda"):
        build.check_backends([image("cpu cuda")], libvmaf("cpu"))
    build.check_backends([image("cpu cuda")], libvmaf("cpu", "cuda"))
    build.check_backends([image("cpu cuda")], None)


def rocm(release: int) -> Image:
    """Return the image with this release of ROCm."""
    return Image(
        f"rocm{release}", f"vmaf:rocm{release}", "", "", {"vmaf.backends": "cpu"}, frozenset()
    )


@pytest.mark.parametrize(
    ("known", "todo"),
    [((6,), "Build another image"), ((6, 7), "Build rocm7 instead")],
)
def test_hip_that_needs_a_newer_rocm_is_refused(
    monkeypatch: pytest.MonkeyPatch, known: tuple[int, ...], todo: str
) -> None:
    """HIP code for ROCm 7 is refused for rocm6, with the reason and the image to build instead."""
    monkeypatch.setattr(catalogue, "images", lambda: {f"rocm{n}": rocm(n) for n in known})
    tree = SourceTree(
        *("libvmaf", Path("/copy"), "1.0", frozenset({"cpu", "hip"})),
        needed_rocm=Requirement(7, "src/hip/meson.build"),
    )
    with pytest.raises(UserError) as raised:
        build.check_backends([rocm(6)], tree)
    assert "enable_hip needs ROCm 7, according to src/hip/meson.build" in raised.value.why
    assert todo in raised.value.todo
    build.check_backends([image("cpu")], tree)
    for accepted in (Requirement(6, "x"), None):
        build.check_backends([rocm(6)], replace(tree, needed_rocm=accepted))
    build.check_backends([rocm(6)], replace(tree, features=frozenset({"cpu"})))


@pytest.mark.parametrize(
    ("name", "value"),
    [("FFMPEG", "8"), ("LIBVMAF_CUDA", "gcc"), ("CUDA", "/usr/local/cuda"), ("CUDA", "")],
)
def test_unknown_value_of_a_variable_is_refused(name: str, value: str) -> None:
    """An unknown value of a bake variable is refused for the images that depend on it."""
    dev = image("cpu cuda", "ffmpeg", "cuda", "nvcc")
    with pytest.raises(UserError, match=f"{name} is `{value}`"):
        build.check_variables([image("cpu"), dev], {name: value})
    build.check_variables([image("cpu")], {name: value})
    build.check_variables([dev], {"FFMPEG": "7.1", "LIBVMAF_CUDA": "clang", "CUDA": "13"})
    build.check_variables([dev], {})


@pytest.mark.parametrize(("name", "value"), [("LIBVMAF_CUDA", "clang"), ("CUDA", "13")])
def test_two_compilers_for_cuda_are_refused(name: str, value: str) -> None:
    """A choice of CUDA's compiler is refused together with NVIDIA's image, which replaces it."""
    dev = image("cpu cuda", "ffmpeg", "cuda", "nvcc")
    settings = {name: value, "VMAF_BASES": "vendor"}
    with pytest.raises(UserError, match=f"{name}={value} and VMAF_BASES=vendor"):
        build.check_variables([dev], settings)
    build.check_variables([image("cpu")], settings)
    build.check_variables([dev], {"FFMPEG": "7.1", "VMAF_BASES": "vendor"})


@needs_buildx
def test_labels_name_the_licence_of_a_libvmaf_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bake file puts the licence of a --libvmaf tree into the label of each free image."""
    monkeypatch.delenv("LIBVMAF_LICENSE", raising=False)
    default = catalogue.read(bake.bake_print())
    monkeypatch.setenv("LIBVMAF_LICENSE", "EUPL-1.2")
    other = catalogue.read(bake.bake_print())
    for name, image in default.items():
        label = image.labels[sbom.LABEL]
        assert other[name].labels[sbom.LABEL] == label.replace("BSD-2-Clause-Patent", "EUPL-1.2")
        assert label == catalogue.NOT_REDISTRIBUTABLE or "BSD-2-Clause-Patent" in label


def test_default_release_of_ffmpeg_is_the_same_everywhere() -> None:
    """The bake file, the Dockerfile and the check have one default, and the lock all releases."""
    _, releases = build.VARIABLES["FFMPEG"]
    dockerfile = (ROOT / "docker" / "Dockerfile.production-gpu").read_text()
    bake_file = (ROOT / "docker-bake.hcl").read_text()
    assert f"\nARG FFMPEG={releases[0]} " in dockerfile
    assert f'variable "FFMPEG" {{\n  default = "{releases[0]}"\n}}' in bake_file
    assert f'FFMPEG == "{releases[0]}" ? ""' in bake_file
    locked = (ROOT / "docker" / "recipes" / "fetch" / "locked" / "sources.lock").read_text().split()
    assert {f"ffmpeg{release}" for release in releases} <= set(locked)


def test_classic_builder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_BUILDKIT=0 is refused before an engine is needed; the message names the page."""
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    with pytest.raises(UserError, match=r"DOCKER_BUILDKIT=0 .*\n.*docs/rebase-notes.md"):
        build.build(["cpu"])


@pytest.mark.parametrize("exists", [False, True])
def test_full_disk_is_refused_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    """A disk without space for a cold build, or for an existing image, is refused at once."""
    needed: list[int] = []

    def check_disk(_free: int | None, bytes_: int) -> None:
        needed.append(bytes_)
        raise UserError("", "", "")

    monkeypatch.setattr(catalogue, "images", lambda: {"cpu": image("cpu")})
    monkeypatch.setattr(client, "require", lambda: None)
    monkeypatch.setattr(builder, "require", lambda: ENGINE)
    monkeypatch.setattr(client, "has_image", lambda _tag: exists)
    monkeypatch.setattr(client, "free_bytes", lambda _engine: 0)
    monkeypatch.setattr(bases, "choose", lambda: pytest.fail("the check came too late"))
    monkeypatch.setattr(sizes, "check_disk", check_disk)
    with pytest.raises(UserError):
        build.build(["cpu"])
    assert needed == [sizes.needed_bytes([], ["x"]) if exists else sizes.needed_bytes(["x"])]


def test_disk_of_the_engine_needs_space_for_the_images_only_with_another_builder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a remote builder, a cold build needs no more space in the engine than the images."""
    needed: list[int] = []

    def check_disk(_free: int | None, bytes_: int) -> None:
        needed.append(bytes_)
        raise UserError("", "", "")

    monkeypatch.setattr(catalogue, "images", lambda: {"cpu": image("cpu")})
    monkeypatch.setattr(client, "require", lambda: None)
    monkeypatch.setattr(builder, "require", lambda: REMOTE)
    monkeypatch.setattr(client, "has_image", lambda _tag: False)
    monkeypatch.setattr(client, "free_bytes", lambda _engine: 0)
    monkeypatch.setattr(sizes, "check_disk", check_disk)
    for targets in (["cpu"], ["libvmaf-tests"]):
        with pytest.raises(UserError):
            build.build(targets)
    assert needed == [sizes.needed_bytes([], ["x"]), 0]


def test_features_that_are_left_out_are_said_before_and_after_the_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A feature of the libvmaf tree that is left out is printed, and is a warning of the record."""
    events: list[str] = []

    def follow(*_: object) -> progress.Outcome:
        events.append("built")
        return builds.outcome("shared.jsonl")

    tree = libvmaf("cpu", "dnn")
    monkeypatch.setattr(catalogue, "images", lambda: {"cpu": image("cpu")})
    monkeypatch.setattr(client, "require", lambda: None)
    monkeypatch.setattr(builder, "require", lambda: ENGINE)
    monkeypatch.setattr(client, "has_image", lambda _tag: False)
    monkeypatch.setattr(client, "free_bytes", lambda _engine: None)
    monkeypatch.setattr(client, "image_bytes", lambda _tag: 1)
    monkeypatch.setattr(sources, "prepare", lambda *_: tree)
    monkeypatch.setattr(bases, "choose", lambda: "registry")
    monkeypatch.setattr(build, "RECORDS", tmp_path)
    monkeypatch.setattr(build, "follow", follow)
    monkeypatch.setattr(build, "say", events.append)
    monkeypatch.setattr(builder, "identify", lambda _namespace: builds.BUILDER)
    monkeypatch.setattr(inputs, "Recording", builds.NoRecording)
    monkeypatch.setattr(records.BuildRecord, "write", lambda _self: None)
    latest = build.build(["cpu"], libvmaf="../vmaf")
    (warning,) = (message for message in latest.warnings if "enable_dnn is left out" in message)
    assert events == [f"warning: {warning}", "built"]
    assert build.build(["cpu"]).warnings == latest.warnings[1:]


@pytest.mark.parametrize(
    ("message", "times"),
    [
        (
            "failed to compute cache key: failed to get state for index 0 on [a 1/1] COPY",
            1 + build.RACES,
        ),
        ("failed to get edge: inconsistent graph state", 1 + build.RACES),
        (
            "failed to receive status: rpc error: code = NotFound desc = no such job abc",
            1 + build.RACES,
        ),
        ("Unavailable: error while dialing: only one connection allowed", 1 + build.RACES),
        ("process did not complete successfully: exit code: 1", 1),
    ],
)
def test_build_is_repeated_after_a_race_only(
    message: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that a race in BuildKit ended is run again, but not forever; a failed step is not."""
    script = f"import sys; print('ERROR: failed to solve: {message}', file=sys.stderr); sys.exit(1)"
    printed: list[str] = []
    monkeypatch.setattr(build, "say", printed.append)
    log = tmp_path / "logs" / "build.log"
    outcome = build.follow([sys.executable, "-c", script], {}, log)
    assert outcome.returncode == 1
    assert len(list(log.parent.iterdir())) == times
    assert len(printed) == times - 1


def test_builds_at_once_have_overlays_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The overlay of a build is in a directory of its process, which is removed afterwards.

    A second build in the same checkout may have another source tree.
    """
    overlays: list[Path] = []
    commands: list[list[str]] = []

    def follow(command: list[str], *_: object) -> progress.Outcome:
        overlays.append(Path(command[len(command) - command[::-1].index("--file")]))
        assert overlays[-1].exists()
        commands.append(command)
        raise KeyboardInterrupt

    for module, name, value in (
        (build, "RECORDS", tmp_path),
        (build, "follow", follow),
        (client, "require", lambda: None),
        (client, "free_bytes", lambda _: None),
        (client, "has_image", lambda _: True),
        (sizes, "needed_bytes", lambda *_: 1),
        (bases, "choose", lambda: "registry"),
        (catalogue, "images", lambda: {"x": image("cpu")}),
    ):
        monkeypatch.setattr(module, name, value)
    for pid, tags in ((1, None), (2, {"x": "other:x"})):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        with pytest.raises(KeyboardInterrupt):
            build.build(["x"], tags=tags)
    assert len(set(overlays)) == 2
    assert not any(overlay.parent.exists() for overlay in overlays)
    assert [
        f"--set=x.tags={tag}" in command
        for tag, command in zip(("vmaf:x", "other:x"), commands, strict=True)
    ] == [True, True]
