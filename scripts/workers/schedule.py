"""The queues of the workers: which image a worker builds next. No time passes in this module."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scripts.workers import placement

PATIENCE_SECONDS = 30.0
"""The time that a worker must have spent on one image before an idle worker takes one from it.

A worker with warm caches rebuilds an image in less time. The idle worker has no cache of the image,
so that it would need longer than the owner of the queue.
"""
LOSSES = 2
"""The number of workers that an image may lose; it may be the reason, such as by taking all memory.
"""


@dataclass(frozen=True)
class Running:
    """An image that a worker builds."""

    target: str
    since: float
    """The start, in seconds of any clock."""


@dataclass
class Schedule:
    """The images that are queued or being built. A worker builds one image at a time."""

    keys: Mapping[str, str]
    """The key of each image, by its name, in the order in which a worker builds them."""
    workers: Sequence[str]
    """The workers that answered at the start."""
    homes: Mapping[str, str]
    """The worker that each image belongs to, also if it did not answer."""
    known: Collection[tuple[str, str]] = ()
    """Pairs of a worker and an image that it has built before."""
    queues: dict[str, list[str]] = field(init=False)
    """The images that wait, by worker; a worker that was lost has no queue."""
    running: dict[str, Running] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Why an image was given up, by its name."""
    _losses: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Place each image in the queue of its worker."""
        self.queues = {worker: [] for worker in self.workers}
        for target in self.keys:
            if self.homes[target] in self.queues:
                self.queues[self.homes[target]].append(target)
            else:
                self._place(target)

    @property
    def over(self) -> bool:
        """Whether no image is queued or being built."""
        return not self.running and not any(self.queues.values())

    def take(self, worker: str, now: float) -> str | None:
        """Return the image that a worker builds next; None if there is none for it now.

        Args:
            worker: a worker that builds nothing.
            now: the time, in seconds.
        """
        if worker not in self.queues:
            return None
        offered = next(self._offered(worker, now), None)
        if not self.queues[worker] and offered is None:
            return None
        if self.queues[worker]:
            target = self.queues[worker].pop(0)
        else:
            owner, target = offered or ("", "")
            self.queues[owner].remove(target)
        self.running[worker] = Running(target, now)
        return target

    def _offered(self, worker: str, now: float) -> Iterator[tuple[str, str]]:
        """Yield the images that an idle worker may take, the best first, with their owners.

        The best is one that it has built before, else one whose second choice it is.
        """
        offers = []
        for owner, queue in self.queues.items():
            current = self.running.get(owner)
            for target in queue if owner != worker else ():
                known = (worker, target) in self.known
                if known or (current and now - current.since >= PATIENCE_SECONDS):
                    place = placement.rank(self.keys[target], self.queues).index(worker)
                    offers.append(((not known, place), owner, target))
        for _, owner, target in sorted(offers, key=lambda offer: offer[0]):
            yield owner, target

    def finish(self, worker: str) -> None:
        """Note that a worker has built its image, or that the image cannot be built."""
        del self.running[worker]

    def interrupt(self, worker: str, why: str, *, lost: bool) -> None:
        """Queue the image of a worker again, as the worker ended its build.

        Args:
            worker: the worker.
            why: the reason, for the message if the image is given up.
            lost: whether the worker no longer answers; other workers then build its images.
        """
        target = self.running.pop(worker).target
        self._losses[target] = self._losses.get(target, 0) + 1
        queued = self.queues.pop(worker) if lost else []
        if self._losses[target] >= LOSSES:
            self.failed[target] = f"two builds of it ended with the worker; the last: {why}"
        else:
            self._place(target, first=True)
        for other in queued:
            self._place(other)

    def _place(self, target: str, *, first: bool = False) -> None:
        """Put an image into the queue of the best of the workers that answer."""
        for worker in placement.rank(self.keys[target], self.queues)[:1]:
            position = 0 if first else len(self.queues[worker])
            self.queues[worker].insert(position, target)
            return
        self.failed[target] = "no worker is left"
