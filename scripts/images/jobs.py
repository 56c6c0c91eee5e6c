"""The jobs of a workflow that builds images: which runs first, and which needs much disk."""

from collections.abc import Iterable

from msgspec import Struct

from scripts.images import catalogue, sizes

RUNNER_BYTES = 14 * sizes.GIGABYTE
"""The free disk space that GitHub promises on a standard runner."""


class Job(Struct):
    """A job, in the format of `strategy.matrix.include`."""

    image: str
    large: bool
    """Whether building and testing the image needs more disk than a standard runner has."""


class Jobs(Struct):
    """The jobs of a workflow; GitHub rejects an empty matrix, so that a job must check for it."""

    images: list[Job]
    """All of them."""
    first: list[Job]
    """The one that fills the compiler cache before the others start."""
    others: list[Job]


def jobs(names: Iterable[str], *, redistributable: bool) -> Jobs:
    """Return the jobs that build images, in the order of docker-bake.hcl, where `cpu` is first.

    Args:
        names: the images; all of them if there are none.
        redistributable: whether images that must not be passed on are left out.

    Raises:
        UserError: a name is not in the bake file.
    """
    chosen = catalogue.choose(names)
    images = [
        Job(image.name, needed_bytes(image.name) > RUNNER_BYTES)
        for image in catalogue.images().values()
        if image in chosen and (image.redistributable or not redistributable)
    ]
    return Jobs(images, images[:1], images[1:])


def needed_bytes(name: str) -> int:
    """Estimate the disk space, in bytes, that a cold build of an image and its tests need.

    The tests read the image from an archive, which the engine stores in a copy of its own.
    """
    known = sizes.baselines()
    return sizes.needed_bytes([name]) + 2 * known.get(name, max(known.values()))
