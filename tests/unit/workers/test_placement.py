"""Rendezvous hashing: stable, complete, and few moves."""

import itertools
import math

import pytest

from scripts.workers.placement import homes, key, rank

KEYS = [key("debian:trixie-slim", f"image{number}") for number in range(3000)]

PLACED = {
    "cpu": "c",
    "cuda12": "a",
    "cuda13": "c",
    "vulkan": "b",
    "go-server": "b",
    "dev": "a",
}


def firsts(workers: list[str]) -> dict[str, str]:
    """Return the worker of each key."""
    return {hashed: rank(hashed, workers)[0] for hashed in KEYS}


def test_order_of_the_workers_does_not_matter() -> None:
    """All orders of the names give the same rank, which has each worker once."""
    expected = rank(KEYS[0], ["a", "b", "c"])
    assert sorted(expected) == ["a", "b", "c"]
    for names in itertools.permutations(["a", "b", "c"]):
        assert rank(KEYS[0], names) == expected


def test_placement_is_the_same_on_each_machine() -> None:
    """The placement of these images is fixed: another one would empty the caches of a fleet."""
    keys = {name: key("debian:trixie-slim", name) for name in PLACED}
    assert homes(keys, ["a", "b", "c"]) == PLACED
    assert homes(dict(reversed(keys.items())), ["c", "a", "b"]) == PLACED


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_only_the_share_of_a_new_worker_moves(count: int) -> None:
    """About one key in N+1 moves if a worker is added, each of them to the new worker."""
    workers = [f"worker{number}" for number in range(count)]
    before, after = firsts(workers), firsts([*workers, "new"])
    moved = {hashed for hashed in KEYS if before[hashed] != after[hashed]}
    assert {after[hashed] for hashed in moved} == {"new"}
    assert len(moved) / len(KEYS) == pytest.approx(1 / (count + 1), rel=0.15)


def test_only_the_keys_of_a_lost_worker_move() -> None:
    """The keys of a worker that is lost go to the next worker of their rank, no others move."""
    before, after = firsts(["a", "b", "c"]), firsts(["a", "c"])
    for hashed in KEYS:
        first, second, _ = rank(hashed, ["a", "b", "c"])
        assert before[hashed] == first
        assert after[hashed] == (second if first == "b" else first)


def test_work_is_spread() -> None:
    """Each of four workers has about a quarter of the keys."""
    placed = list(firsts(["a", "b", "c", "d"]).values())
    for worker in "abcd":
        assert placed.count(worker) / len(KEYS) == pytest.approx(0.25, rel=0.15)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("images", [10, 100])
def test_no_worker_has_more_than_its_share(count: int, images: int) -> None:
    """Each worker has as many images as the others; a new one moves few more than its share."""
    moved = 0
    for number in range(20):
        keys = {hashed: f"{number}/{hashed}" for hashed in KEYS[:images]}
        workers = [f"worker{number}-{n}" for n in range(count)]
        before, after = homes(keys, workers), homes(keys, [*workers, "new"])
        loads = [list(before.values()).count(worker) for worker in workers]
        assert max(loads) <= math.ceil(images / count)
        assert sum(loads) == images
        moved += sum(before[name] != after[name] for name in keys)
    assert moved / (20 * images) <= 2 / (count + 1)
