"""The sizes of the images, as last accepted, and the disk space that a build needs."""

from collections.abc import Collection, Mapping

import msgspec

from scripts.core.console import UserError
from scripts.core.paths import ROOT

BASELINES = ROOT / "docs" / "sizes.json"
"""The size in bytes that each image had when a maintainer last accepted it."""

GROWTH = 1.05
"""How far an image may grow over its baseline before a test fails."""
GIGABYTE = 10**9
SHARED_BYTES = 4 * GIGABYTE
"""What the first build needs beside its image: toolchain, sources, package and compiler caches.

Measured in November 2026 on an engine with overlay2: `cpu` alone left 4 GB in its data directory.
"""
COPIES = 3
"""How often a cold build stores the content of an image.

`docker buildx du` lists an SDK in the step that installs it, in the stage that bundles it and in
the image. With SHARED_BYTES this gives 23.5 GB for all eight images, which left 20 GB in the data
directory of the same engine.
"""


def baselines() -> Mapping[str, int]:
    """Return the accepted size of each image, in bytes."""
    return msgspec.json.decode(BASELINES.read_bytes(), type=dict[str, int])


def accept(sizes: Mapping[str, int]) -> None:
    """Make these sizes, in bytes, the baselines of their images; the others keep theirs."""
    merged = dict(sorted({**baselines(), **sizes}.items()))
    BASELINES.write_bytes(msgspec.json.format(msgspec.json.encode(merged), indent=2) + b"\n")


def needed_bytes(missing: Collection[str], existing: Collection[str] = ()) -> int:
    """Estimate the disk space that a build of images needs.

    An image without a baseline counts as the largest. Without any image, as for the checks that
    are bake targets, the result is SHARED_BYTES.

    Args:
        missing: the names of the images that the engine does not have; they are built cold.
        existing: the names of those it has; each counts once, as both are stored for a while.
    """
    known = baselines()
    largest = max(known.values())
    cold = SHARED_BYTES if missing or not existing else 0
    cold += COPIES * sum(known.get(name, largest) for name in missing)
    return cold + sum(known.get(name, largest) for name in existing)


def check_disk(free: int | None, needed: int) -> None:
    """Refuse to start a build that the disk has no space for.

    Args:
        free: the free bytes where the engine stores its data; None for an unknown number, as of
            an engine on another machine, which is never refused.
        needed: the result of `needed_bytes`.

    Raises:
        UserError: less is free than is needed.
    """
    if free is not None and free < needed:
        raise UserError(
            "not enough disk space to build",
            f"{free / GIGABYTE:.1f} GB are free where the engine stores its data; "
            f"these images need about {needed / GIGABYTE:.1f} GB",
            "See `docker system df`; `docker image prune` removes untagged images, and "
            "`nox -s engine -- --data-root DIR` puts a new engine's data elsewhere.",
        )
