"""Decide which worker builds an image: by rendezvous hashing, so that caches stay useful.

The same image goes to the same worker each time, whose caches have its layers and objects. Every
machine computes the same order from the names alone, without a coordinator. If a worker is added,
it takes over about one image in N, and few others move. No worker has more than its share: ten
images would otherwise often be seven and three for two workers.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence


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


def homes(keys: Mapping[str, str], workers: Sequence[str]) -> dict[str, str]:
    """Return the worker that each image belongs to: the first of its rank that has room.

    Args:
        keys: the keys of all images by name, also of those that are not to be built, so that the
            same image has the same worker whatever else is built.
        workers: the names of all workers.
    """
    room = math.ceil(len(keys) / len(workers))
    placed: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for name in sorted(keys, key=lambda name: hashlib.sha256(keys[name].encode()).digest()):
        placed[name] = next(w for w in rank(keys[name], workers) if taken[w] < room)
        taken[placed[name]] += 1
    return placed
