"""Build images of docker-bake.hcl with BuildKit, and record the duration of each stage."""

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from scripts.buildkit import builder, failure, progress, records
from scripts.causes import inputs
from scripts.core import git
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS, ROOT
from scripts.engine import client
from scripts.images import bases, catalogue, features, platforms, sizes, sources, unavailable
from scripts.images.overlay import write_overlay

_RACES = (
    "failed to get state for index",
    "inconsistent graph state",
    "no such job",
    "only one connection allowed",
)
"""Errors that races in BuildKit cause: in a step that two targets share (moby/buildkit issues 3635
and 2303), or where contexts are loaded. Completed steps stay cached."""
RACES = 2
"""How often a build is run again after a race. Two in a row were seen on a busy machine."""
VARIABLES = {
    "FFMPEG": ("ffmpeg", ("9.0", "7.1")),
    "LIBVMAF_CUDA": ("cuda", ("nvcc", "clang")),
    "CUDA": ("nvcc", ("12", "13")),
}
"""Variables of docker-bake.hcl: the capability of the images that depend on each, and its values,
the default first."""
VENDOR_REPLACES = frozenset({"LIBVMAF_CUDA", "CUDA"})
"""The variables that choose a stage which VMAF_BASES=vendor replaces."""


def check_backends(images: Iterable[catalogue.Image], libvmaf: sources.SourceTree | None) -> None:
    """Check that the images can be built of the `--libvmaf` tree; None is the default tree.

    Raises:
        UserError: the tree lacks a backend of an image, or its HIP code needs a newer ROCm.
    """
    if libvmaf is None:
        return
    for image in images:
        if missing := image.backends - libvmaf.features:
            options = ", ".join(f"enable_{backend}" for backend in sorted(missing))
            raise UserError(
                f"cannot build {image.tag} from this libvmaf",
                f"its Meson options have no {options}",
                f"Use a tree with that backend, or build another image: "
                f"this tree has {', '.join(sorted(libvmaf.backends))}.",
            )
        if image.name in features.FEATURES["hip"].images and "hip" in libvmaf.features:
            _check_rocm(image, libvmaf)


def _check_rocm(image: catalogue.Image, libvmaf: sources.SourceTree) -> None:
    """Check that an image has the release of ROCm that the HIP code of a tree needs.

    Raises:
        UserError: the tree needs a newer release.
    """
    needed = libvmaf.needed_rocm
    if needed is None or needed.release <= _rocm(image.name):
        return
    newer = [name for name in catalogue.images() if _rocm(name) >= needed.release]
    raise UserError(
        f"cannot build {image.tag} from this libvmaf",
        f"its enable_hip needs ROCm {needed.release}, according to {needed.file}, "
        f"and the image has ROCm {_rocm(image.name)}",
        f"Build {' or '.join(newer)} instead."
        if newer
        else "Build another image, or use a tree for that release.",
    )


def _rocm(name: str) -> int:
    """Return the release of ROCm in the name of an image; 0 if it names none."""
    match = re.fullmatch(r"rocm(\d+)", name)
    return int(match[1]) if match else 0


def check_variables(images: Iterable[catalogue.Image], environment: Mapping[str, str]) -> None:
    """Check the variables of docker-bake.hcl that the images depend on.

    Raises:
        UserError: a variable has a value that docker-bake.hcl does not know, or contradicts
            VMAF_BASES.
    """
    provided = frozenset[str]().union(*(image.provides for image in images))
    for name, (capability, values) in VARIABLES.items():
        value = environment.get(name, values[0])
        if capability in provided and value not in values:
            raise UserError(
                "cannot build",
                f"the environment variable {name} is `{value}`",
                f"Set it to {' or '.join(values)}, or unset it; {values[0]} is the default.",
            )
        if (
            capability in provided
            and value != values[0]
            and name in VENDOR_REPLACES
            and environment.get("VMAF_BASES") == "vendor"
        ):
            raise UserError(
                "cannot build",
                f"{name}={value} and VMAF_BASES=vendor choose two compilers for CUDA",
                "Unset one of them.",
            )
    if environment.get("VMAF_LOCK", "") not in ("", "accept"):
        raise UserError(
            "cannot build",
            f"the environment variable VMAF_LOCK is `{environment['VMAF_LOCK']}`",
            "Set it to accept, or unset it.",
        )


def _check_disk(
    images: Sequence[catalogue.Image], engine: client.Engine, worker: builder.Inspected
) -> None:
    """Check that there is enough free disk space to build images.

    Another builder's disk cannot be measured; the engine only stores the images.

    Raises:
        UserError: there is not enough free space.
    """
    existing = [image.name for image in images if client.has_image(image.tag)]
    missing = [image.name for image in images if image.name not in existing]
    needed = (
        sizes.needed_bytes(missing, existing)
        if worker.in_engine
        else sizes.loaded_bytes([image.name for image in images])
    )
    sizes.check_disk(client.free_bytes(engine), needed)


def _environment(overrides: Mapping[str, sources.SourceTree], epoch: str) -> dict[str, str]:
    """Return the environment of bake: the variables of docker-bake.hcl, and buildx's own.

    Args:
        overrides: the source trees that replace the default ones, by project.
        epoch: SOURCE_DATE_EPOCH, the seconds since 1970 of the images' dates.
    """
    environment = {
        **os.environ,
        "BUILDX_NO_DEFAULT_LOAD": "1",
        "REVISION": git.revision(),
        "SOURCE_DATE_EPOCH": epoch,
    }
    if "libvmaf" in overrides:
        environment["LIBVMAF_VERSION"] = overrides["libvmaf"].version
        environment["LIBVMAF_LICENSE"] = overrides["libvmaf"].licence
        environment["CUDA_LICENSES"] = catalogue.NOT_REDISTRIBUTABLE
    if "ffmpeg" in overrides:
        environment["FFMPEG_VERSION"] = overrides["ffmpeg"].version
    return environment


def build(  # noqa: PLR0913 (each argument is an option)
    targets: Sequence[str],
    *,
    libvmaf: str | None = None,
    ffmpeg: str | None = None,
    namespace: str = "",
    expected: Mapping[str, int] | None = None,
    tags: Mapping[str, str] | None = None,
) -> records.BuildRecord:
    """Build bake targets, show the progress, and return the record of the build.

    With VMAF_LOCK=accept, images whose locked files cannot be had are skipped.

    Args:
        targets: names of bake targets.
        libvmaf: a path or git URL of a libvmaf source tree that replaces the default.
        ffmpeg: the same for FFmpeg.
        namespace: the namespace of the cache mounts; empty for the default.
        expected: the number of objects that stages are expected to compile.
        tags: the tags of images that do not get those of the bake file, by target.

    Raises:
        UserError: an option is invalid, the engine is not supported, or a stage failed. Images
            of earlier builds keep their tags, and completed steps stay cached.
    """
    if os.environ.get("DOCKER_BUILDKIT") == "0":
        raise UserError(
            "cannot build with the classic builder",
            "DOCKER_BUILDKIT=0 requests it, and only BuildKit supports cache mounts",
            "Unset DOCKER_BUILDKIT; docs/rebase-notes.md has the details.",
        )
    epoch = git.epoch(os.environ)
    images = _images(targets, tags or {})
    platforms.check(images, os.environ)
    _check_disk(images, client.require(), builder.require())
    requested = {"libvmaf": libvmaf, "ffmpeg": ffmpeg}
    overrides = {
        project: sources.prepare(project, location)
        for project, location in requested.items()
        if location
    }
    check_backends(images, overrides.get("libvmaf"))
    check_variables(images, os.environ)
    platforms.provide(os.environ)
    base_source = bases.choose()
    offered = overrides["libvmaf"].features if "libvmaf" in overrides else ()
    omitted = list(features.left_out(images, offered, base_source, catalogue.images()))
    for message in omitted:
        say(f"warning: {message}")
    if base_source == "bootstrap":
        bases.bootstrap()

    directory = RECORDS / f"overlay-{os.getpid()}"  # another build may run in this checkout
    overlay = write_overlay(
        directory,
        environment=os.environ,
        base_source=base_source,
        overrides=overrides.values(),
        namespace=namespace,
    )
    files = [*bases.OVERLAYS[base_source], str(overlay)]
    command = _command(files, images)
    environment = _environment(overrides, epoch)
    recording = inputs.Recording(
        targets,
        files=files,
        environment=environment,
        trees={str(tree.directory): tree.files for tree in overrides.values()},
    )
    log = RECORDS / "logs" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{'-'.join(targets)}.log"
    try:
        outcome = follow([*command, *targets], environment, log, expected)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    built = [] if outcome.returncode else [image.tag for image in images]
    options = {project: location for project, location in requested.items() if location}
    options |= {"platform": name} if (name := ",".join(platforms.foreign(os.environ))) else {}
    latest = records.record(
        outcome,
        targets=targets,
        options={"bases": base_source, **options},
        namespace=namespace,
        sizes={tag: client.image_bytes(tag) for tag in built},
        builder=builder.identify(namespace),
    )
    latest.warnings = [*omitted, *latest.warnings]
    latest.inputs = recording.finish(outcome.build)
    latest.write()
    if not outcome.returncode:
        unavailable.write({}, [image.tag for image in images])
        return latest
    accepting = os.environ.get("VMAF_LOCK") == "accept"
    skipped = unavailable.skipped(outcome, targets) if accepting else {}
    remaining = [name for name in targets if name not in skipped]
    if not skipped or not remaining:
        raise failure.failure(outcome)
    unavailable.write({image.tag: skipped[image.name] for image in images if image.name in skipped})
    say(f"warning: {', '.join(skipped)} cannot be built and will be skipped:")
    say("\n".join(dict.fromkeys(skipped.values())))
    return build(
        remaining,
        libvmaf=libvmaf,
        ffmpeg=ffmpeg,
        namespace=namespace,
        expected=expected,
        tags=tags,
    )


def _images(targets: Iterable[str], tags: Mapping[str, str]) -> list[catalogue.Image]:
    """Return the images among the targets, with the tags that the build gives them."""
    known = catalogue.images()
    return [
        replace(known[name], tag=tags.get(name, known[name].tag))
        for name in targets
        if name in known
    ]


def _command(files: Iterable[str], images: Iterable[catalogue.Image]) -> list[str]:
    """Return the command that builds images, without the other targets."""
    command = ["docker", "buildx", "bake", "--progress=rawjson"]
    for file in files:
        command += ["--file", file]
    for image in images:
        # --load, also the default, would export the stages that are named contexts as well.
        command += [
            f"--set={image.name}.output=type=docker",
            f"--set={image.name}.tags={image.tag}",
        ]
    return command


def is_race(message: str) -> bool:
    """Return whether the last line of buildx reports a race in BuildKit, not a failed step."""
    return any(race in message for race in _RACES)


def follow(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    expected: Mapping[str, int] | None = None,
) -> progress.Outcome:
    """Run the build; run it again, up to RACES times, if a race in BuildKit ended it."""
    for attempt in range(RACES + 1):
        outcome = progress.follow(command, cwd=ROOT, env=environment, log=log, expected=expected)
        message = (outcome.build.text or [""])[-1] if outcome.returncode else ""
        if attempt == RACES or not is_race(message):
            break
        say(f"running the build again after a known race in BuildKit: {message}")
        log = log.with_suffix(".again.log")
    return outcome
