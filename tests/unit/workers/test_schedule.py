"""The queues of the workers, with a clock that the tests set."""

import pytest

from scripts.workers import placement
from scripts.workers.schedule import LOSSES, PATIENCE_SECONDS, Schedule

KEYS = {name: placement.key("base", name) for name in ("p", "q", "r", "s", "t", "u")}
LATER = PATIENCE_SECONDS + 1


def schedule(*workers: str, known: tuple[tuple[str, str], ...] = ()) -> Schedule:
    """Return a schedule of all images for the workers."""
    homes = {target: placement.rank(key, workers)[0] for target, key in KEYS.items()}
    return Schedule(KEYS, workers, homes, known)


def one_sided(known: tuple[tuple[str, str], ...] = ()) -> Schedule:
    """Return a schedule for the workers a and b in which a has the queue r, s and b none."""
    result = schedule("a", "b", known=known)
    result.queues = {"a": ["q", "r", "s"], "b": []}
    assert result.take("a", 0.0) == "q"
    return result


def drain(run: Schedule, workers: str) -> list[tuple[str, str]]:
    """Let the workers take turns until all is built; return who built what."""
    built, now = [], 0.0
    while not run.over:
        now += LATER
        taken = {worker: run.take(worker, now) for worker in workers}
        built += [(worker, target) for worker, target in taken.items() if target]
        for worker in list(run.running):
            run.finish(worker)
    return built


def test_each_image_is_built_once_on_its_worker() -> None:
    """All images are queued at their own worker, in the given order, and built once."""
    run = schedule("a", "b", "c")
    for worker, queue in run.queues.items():
        assert queue == [target for target in KEYS if run.homes[target] == worker]
    assert sum(len(queue) for queue in run.queues.values()) == len(KEYS)
    assert sorted(target for _, target in drain(run, "abc")) == sorted(KEYS)
    assert not run.failed


def test_a_worker_builds_one_image_at_a_time() -> None:
    """The rest of a queue waits until the worker has finished."""
    run = one_sided()
    assert run.running["a"].target == "q"
    assert run.queues["a"] == ["r", "s"]
    run.finish("a")
    assert run.take("a", 1.0) == "r"


def test_idle_worker_waits_before_it_takes_an_image() -> None:
    """An idle worker leaves the queue of a worker alone that may be about to finish."""
    run = one_sided()
    assert run.take("b", PATIENCE_SECONDS - 1) is None
    assert not run.over
    assert run.take("b", PATIENCE_SECONDS) in {"r", "s"}


def test_idle_worker_takes_at_once_what_it_has_built_before() -> None:
    """An image that the idle worker has in its caches costs it no more than the owner."""
    assert one_sided(known=(("b", "s"),)).take("b", 1.0) == "s"


def test_idle_worker_takes_the_image_whose_second_choice_it_is() -> None:
    """Of three workers, the one that comes second in the rank of an image takes it, not another."""
    keys = {f"i{number}": placement.key("base", f"i{number}") for number in range(50)}
    second = {
        worker: [t for t, k in keys.items() if placement.rank(k, "abc")[:2] == ["a", worker]]
        for worker in "bc"
    }
    run = Schedule(keys, ["a", "b", "c"], dict.fromkeys(keys, "a"))
    run.queues = {"a": ["x", second["c"][0], second["b"][0]], "b": [], "c": []}
    run.take("a", 0.0)
    assert run.take("b", LATER) == second["b"][0]
    assert run.take("c", LATER) == second["c"][0]


def test_nothing_is_taken_from_a_worker_that_builds_nothing() -> None:
    """The owner of a queue that is idle is about to take its next image itself."""
    run = one_sided()
    run.finish("a")
    assert run.take("b", LATER) is None


def test_images_of_a_lost_worker_go_to_the_others() -> None:
    """The image that it was building and those in its queue are built by the other workers."""
    run = schedule("a", "b", "c")
    expected = {target: placement.rank(KEYS[target], ["b", "c"])[0] for target in KEYS}
    run.queues["a"] = [target for target in KEYS if run.homes[target] == "a"]
    taken = run.take("a", 0.0)
    assert taken
    run.interrupt("a", "gone", lost=True)
    assert run.take("a", 0.0) is None
    for worker in "bc":
        assert set(run.queues[worker]) == {t for t, home in expected.items() if home == worker}
    assert run.queues[expected[taken]][0] == taken
    assert sorted(t for _, t in drain(run, "abc")) == sorted(KEYS)


def test_a_worker_that_restarted_builds_its_image_again() -> None:
    """An image whose build ended with the worker stays there if the worker answers again."""
    run = one_sided()
    run.queues["b"] = []
    run.keys = {
        **KEYS,
        "q": next(k for k in map(str, range(99)) if placement.rank(k, "ab")[0] == "a"),
    }
    run.interrupt("a", "restarted", lost=False)
    assert run.queues["a"] == ["q", "r", "s"]


def test_an_image_that_ends_each_worker_is_given_up() -> None:
    """An image is not tried on all workers, one after the other, if it ends them."""
    run = Schedule({"q": "q"}, ["a", "b", "c", "d"], {"q": "a"})
    for number in range(LOSSES):
        (worker,) = [name for name, queue in run.queues.items() if queue]
        assert run.take(worker, float(number)) == "q"
        run.interrupt(worker, f"reason {number}", lost=True)
    assert run.over
    assert run.failed == {"q": "two builds of it ended with the worker; the last: reason 1"}


@pytest.mark.parametrize("queued", [0, 2])
def test_images_fail_if_no_worker_is_left(queued: int) -> None:
    """If the last worker is lost, the run ends, and each image has the reason."""
    keys = dict(list(KEYS.items())[: queued + 1])
    run = Schedule(keys, ["a"], dict.fromkeys(keys, "a"))
    run.take("a", 0.0)
    run.interrupt("a", "gone", lost=True)
    assert run.over
    assert run.failed == dict.fromkeys(run.keys, "no worker is left")


def test_images_of_a_worker_that_never_answered_go_to_the_next_of_their_rank() -> None:
    """A worker that is away moves its own images only."""
    run = Schedule(KEYS, ["b", "c"], dict.fromkeys(KEYS, "a") | {"p": "b"})
    assert run.queues["b"][0] == "p"
    for target in set(KEYS) - {"p"}:
        assert target in run.queues[placement.rank(KEYS[target], ["b", "c"])[0]]
