"""Decide which worker builds an image: by rendezvous hashing, so that caches stay useful.

The same image goes to the same worker each time, whose caches have its layers and objects. Every
machine computes the same order from the names alone, without a coordinator. If a worker is added,
it takes over about one image in N, and no image moves between the other workers.
"""

import hashlib
from collections.abc import Iterable


def key(base: str, variant: str) -> str:
    """Return the key of an image.

    Args:
        base: the base image. Another one empties all caches, so that the images may move.
        variant: the name of the image, such as `cpu`.
    """
    return f"{base}/{variant}"


def rank(hashed: str, workers: Iterable[str]) -> list[str]:
    """Return the workers in the order in which they are to build an image.

    Args:
        hashed: the key of the image.
        workers: the names of the workers; their order does not matter.
    """

    def weight(worker: str) -> tuple[bytes, str]:
        return hashlib.sha256(f"{hashed}\0{worker}".encode()).digest(), worker

    return sorted(workers, key=weight, reverse=True)
