"""The accepted sizes of the images, and the disk space that a build needs."""

from collections.abc import Collection, Mapping

import msgspec

from scripts.core.console import UserError
from scripts.core.paths import ROOT

BASELINES = ROOT / "docs" / "sizes.json"
"""The baselines: the size of each image in bytes when a maintainer last accepted it."""

GROWTH = 1.05
"""The ratio to its baseline that the size of an image must not exceed."""
GIGABYTE = 10**9
SHARED_BYTES = 4 * GIGABYTE
"""The space for the toolchain, sources, package caches and compiler cache of the first build.

Measured in November 2026 on an engine with overlay2, where `cpu` alone needed 4 GB.
"""
COPIES = 3
"""The number of copies of an image's content that a cold build stores.

`docker buildx du` lists an SDK in the step that installs it, in the stage that bundles it and in
the image. The estimate for all eight images was 23.5 GB, and they needed 20 GB on the same engine.
"""


def baselines() -> Mapping[str, int]:
    """Return the accepted size of each image, in bytes."""
    return msgspec.json.decode(BASELINES.read_bytes(), type=dict[str, int])


def key(name: str, architecture: str) -> str:
    """Return the name of an image's baseline: `cpu`, or `cpu-arm64` for another architecture.

    Programs for arm64 are larger, as their segments are aligned to 64 KiB.
    """
    return name if architecture == "amd64" else f"{name}-{architecture}"


def accept(sizes: Mapping[str, int]) -> None:
    """Store the sizes, in bytes, as new baselines; the baselines of other images do not change."""
    merged = dict(sorted({**baselines(), **sizes}.items()))
    BASELINES.write_bytes(msgspec.json.format(msgspec.json.encode(merged), indent=2) + b"\n")


def needed_bytes(missing: Collection[str], existing: Collection[str] = ()) -> int:
    """Estimate the disk space that a build of images needs.

    An image without a baseline counts as the largest image. If there is no image, as for bake
    targets that run checks, the result is SHARED_BYTES.

    Args:
        missing: the images that the engine does not have; their builds are cold.
        existing: the images that the engine has. Each counts once, because the old and the new
            image are stored at the same time.
    """
    known = baselines()
    largest = max(known.values())
    cold = SHARED_BYTES if missing or not existing else 0
    cold += COPIES * sum(known.get(name, largest) for name in missing)
    return cold + sum(known.get(name, largest) for name in existing)


def loaded_bytes(names: Collection[str]) -> int:
    """Estimate the disk space in the engine for images that another builder builds.

    Args:
        names: the images. An image without a baseline counts as the largest image.
    """
    return needed_bytes([], names) if names else 0


def check_disk(free: int | None, needed: int) -> None:
    """Check that there is enough free disk space for a build.

    Args:
        free: the free bytes in the engine's data directory; None if unknown, such as for an
            engine on another machine, in which case the check passes.
        needed: the result of `needed_bytes`.

    Raises:
        UserError: there is not enough free space.
    """
    if free is not None and free < needed:
        raise UserError(
            "not enough disk space to build",
            f"{free / GIGABYTE:.1f} GB are free where the engine stores its data; "
            f"these images need about {needed / GIGABYTE:.1f} GB",
            "See `docker system df`; `docker image prune` removes untagged images, and "
            "`nox -s engine -- --data-root DIR` puts a new engine's data elsewhere.",
        )
