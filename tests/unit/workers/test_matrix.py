"""The run of several builds, with shell scripts in place of the build sessions."""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread

import pytest
from msgspec.structs import replace

from scripts.buildkit import builder, records
from scripts.core.console import UserError
from scripts.images import bases
from scripts.workers import matrix, placement
from scripts.workers.matrix import Matrix
from scripts.workers.schedule import Schedule
from tests.support import builds

Run = Callable[[str, Mapping[str, str]], dict[str, matrix.Result]]


def inspected(name: str, *, answers: bool = True, error: str = "") -> builder.Inspected:
    """Return a remote builder."""
    return builder.Inspected(name, "remote", [f"tcp://{name}:1"], answers, error)


@pytest.fixture(name="run")
def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a script for each image, given its home.

    The script has the image in $IMAGE, the worker in $WORKER, and an empty directory in $STATE. A
    worker does not answer while $STATE has a file with its name.
    """
    state = tmp_path / "state"
    state.mkdir()

    def inspect(name: str) -> builder.Inspected:
        return inspected(name, answers=not (state / name).exists())

    def run(script: str, homes: Mapping[str, str]) -> dict[str, matrix.Result]:
        program = tmp_path / "session"
        program.write_text(
            f'#!/bin/sh\nIMAGE=$4 WORKER=${{5#--builder=}}\necho "$@" >>"$STATE/calls"\n{script}\n'
        )
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        environment = {**os.environ, "STATE": str(state)}
        schedule = Schedule({name: name for name in homes}, sorted(set(homes.values())), homes)
        return matrix.run(schedule, Matrix(["--namespace=n"], environment, tmp_path))

    def rank(target: str, workers: list[str]) -> list[str]:
        home = {"p": "a", "q": "b", "r": "a"}[target]
        return sorted(workers, key=lambda worker: (worker != home, worker))

    monkeypatch.setattr(placement, "rank", rank)
    monkeypatch.setattr(builder, "inspect", inspect)
    monkeypatch.setattr(records, "records", list)
    monkeypatch.setattr(matrix, "say", lambda _message: None)
    return run


def test_each_worker_builds_its_images(run: Run, tmp_path: Path) -> None:
    """Each image is built by a session with the options, and its output is in a log."""
    results = run('echo "output of $IMAGE"', {"p": "a", "q": "b", "r": "a"})
    assert {name: (r.worker, r.error) for name, r in results.items()} == {
        "p": ("a", ""),
        "q": ("b", ""),
        "r": ("a", ""),
    }
    calls = (tmp_path / "state" / "calls").read_text().splitlines()
    assert sorted(calls) == [
        f"-m scripts.cli build {image} --builder={worker} --namespace=n"
        for image, worker in (("p", "a"), ("q", "b"), ("r", "a"))
    ]
    assert (tmp_path / "b-q.log").read_text() == "output of q\n"


def test_failing_image_does_not_stop_the_others(run: Run) -> None:
    """The other images are built, and the result has the beginning of the error."""
    script = """
        [ "$IMAGE" = p ] || exit 0
        echo "[p 1/1] RUN make"
        printf 'error: stage p failed: exit code: 1\\nat Dockerfile:3\\n  in p.sh:7\\n  | cc\\n'
        exit 1
    """
    results = run(script, {"p": "a", "q": "b", "r": "a"})
    assert results["p"].error == "stage p failed: exit code: 1; at Dockerfile:3; in p.sh:7"
    assert [results[name].error for name in "qr"] == ["", ""]


def test_images_of_a_worker_that_dies_are_built_by_another(run: Run) -> None:
    """The image that the worker was building, and the next one, are built by the other worker."""
    script = '[ "$WORKER" = b ] || { touch "$STATE/a"; echo "error: x: EOF"; exit 1; }'
    results = run(script, {"p": "a", "q": "b", "r": "a"})
    for name, home in {"p": "a", "q": "b", "r": "a"}.items():
        result = results[name]
        assert (result.worker, result.home, result.error) == ("b", home, "")


def test_build_is_repeated_on_a_worker_that_was_restarted(run: Run, tmp_path: Path) -> None:
    """A build that lost its connection is repeated by the same worker if that answers again."""
    script = """
        mkdir "$STATE/$IMAGE" 2>/dev/null || exit 0
        echo "error: the build failed: rpc error: code = Unavailable desc = closed"
        exit 1
    """
    results = run(script, {"p": "a"})
    assert (results["p"].worker, results["p"].error) == ("a", "")
    assert len((tmp_path / "state" / "calls").read_text().splitlines()) == 2


def test_failed_step_is_not_repeated(run: Run, tmp_path: Path) -> None:
    """An image with an error of its own is built once."""
    results = run("echo 'error: stage p failed: exit code: 1'; exit 1", {"p": "a"})
    assert results["p"].error == "stage p failed: exit code: 1"
    assert len((tmp_path / "state" / "calls").read_text().splitlines()) == 1


def test_worker_that_hangs_is_lost(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build whose worker stops answering is ended, and another worker builds the image."""
    monkeypatch.setattr(matrix, "PROBE_SECONDS", 0.0)
    monkeypatch.setattr(matrix, "END_SECONDS", 0.5)
    script = """
        [ "$WORKER" = b ] && exit
        trap 'echo ignored' INT
        touch "$STATE/a"
        while :; do sleep 0.1; done
    """
    results = run(script, {"p": "a", "q": "b"})
    assert (results["p"].worker, results["p"].error) == ("b", "")


def test_all_images_fail_if_no_worker_is_left(run: Run) -> None:
    """If each worker dies, the run ends, and no image counts as built."""
    results = run('touch "$STATE/$WORKER"; exit 1', {"p": "a", "q": "b", "r": "a"})
    assert sorted(results) == ["p", "q", "r"]
    assert all(result.error for result in results.values())


def test_interrupt_ends_all_builds(run: Run, tmp_path: Path) -> None:
    """Ctrl-C is forwarded to the builds; no further image is built."""
    script = """
        trap 'touch "$STATE/$IMAGE-stopped"; exit 130' INT
        touch "$STATE/$IMAGE-began"
        while :; do sleep 0.05; done
    """
    state = tmp_path / "state"

    def interrupt() -> None:
        while not all((state / f"{name}-began").exists() for name in "pq"):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(script, {"p": "a", "q": "b", "r": "a"})
    thread.join()
    assert sorted(path.name for path in state.glob("*-*")) == [
        *("p-began", "p-stopped", "q-began", "q-stopped")
    ]


def test_error_of_this_program_ends_the_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error such as a full disk ends the builds of the other workers, too."""

    def records_of_a_full_disk() -> list[records.BuildRecord]:
        raise OSError("full")

    monkeypatch.setattr(records, "records", records_of_a_full_disk)
    with pytest.raises(OSError, match="full"):
        run('[ "$WORKER" = b ] || exec sleep 60', {"p": "a", "q": "b", "r": "a"})


def test_result_has_the_record_of_its_own_build(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of earlier builds, of other images and of other workers are not taken."""
    record = builds.record()

    def made(target: str, worker: str, year: int) -> records.BuildRecord:
        return replace(
            record,
            targets=[target],
            builder=builder.Builder(worker),
            started=record.started.replace(year=year),
        )

    own = made("p", "a", 9999)
    stored = [made("p", "a", 2026), own, made("q", "a", 9999), made("p", "b", 9999)]
    monkeypatch.setattr(records, "records", lambda: stored)
    assert run("true", {"p": "a"})["p"].record is own
    stored.remove(own)
    assert run("true", {"p": "a"})["p"].record is None


def test_names_of_workers_are_read() -> None:
    """Commas and spaces separate the names; an empty list is an error."""
    assert matrix.workers("a,b, c,a") == ["a", "b", "c"]
    with pytest.raises(UserError, match="--workers names none"):
        matrix.workers(" ,")


def test_workers_that_do_not_answer_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others do the work; it is an error if none answers, or if a name is unknown."""
    said: list[str] = []
    monkeypatch.setattr(matrix, "say", said.append)
    found = {"a": inspected("a"), "b": inspected("b", answers=False)}
    found["x"] = inspected("x", answers=False, error="ERROR: no builder x found")
    monkeypatch.setattr(builder, "inspect", lambda name: found[name])
    assert matrix.answering(["a", "b"]) == ["a"]
    assert said == ["warning: the worker b does not answer; the others build its images"]
    with pytest.raises(UserError, match="`b` does not answer"):
        matrix.answering(["b"])
    with pytest.raises(UserError, match="no builder x found"):
        matrix.answering(["a", "x"])


def test_known_images_are_those_that_a_worker_has_built() -> None:
    """Failed builds and other builders do not count."""
    record = builds.record()
    by_a = replace(record, targets=["cpu"], builder=builder.Builder("a"))
    earlier = [by_a, replace(by_a, targets=["dev"], outcome="failed"), record]
    assert matrix.known(earlier, ["a", "b"]) == {("a", "cpu")}


@pytest.mark.parametrize(
    ("reached", "expected"),
    [({"a", "b"}, "registry"), ({"a"}, "bootstrap"), (set(), "bootstrap")],
    ids=["both", "one", "none"],
)
def test_all_workers_have_the_same_base(
    monkeypatch: pytest.MonkeyPatch, reached: set[str], expected: str
) -> None:
    """The base image comes from the registry only if each worker reaches it."""
    bootstrapped: list[bool] = []
    monkeypatch.delenv("VMAF_BASES", raising=False)
    monkeypatch.setattr(
        bases, "choose", lambda name: "registry" if name in reached else "bootstrap"
    )
    monkeypatch.setattr(bases, "bootstrap", lambda: bootstrapped.append(True))
    assert matrix.base_source(["a", "b"]) == expected
    assert bool(bootstrapped) == (expected == "bootstrap")
