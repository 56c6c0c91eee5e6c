"""Build images on several builders at the same time, with one process for each build.

Each process is a build session with `--builder`; it stores the record of its build as usual.
"""

import os
import signal
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Condition, Thread
from types import FrameType
from typing import TextIO

from scripts.buildkit import builder, records
from scripts.core import process
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS, ROOT
from scripts.images import bases, build, catalogue, sizes, sources
from scripts.workers import placement
from scripts.workers.schedule import Schedule

PROBE_SECONDS = 30.0
"""The time between two checks that a worker answers while it builds."""
MISSES = 2
"""The number of such checks without an answer after which a worker is lost."""
END_SECONDS = 5.0
"""The time that a build has to end after SIGINT, if its worker does not answer."""
_POLL_SECONDS = 0.2
_CONNECTION = (
    "code = Unavailable",
    "code = Canceled desc = grpc",
    "connection error",
    "connection refused",
    "error reading from server",
    "transport is closing",
)
"""Errors of a build whose BuildKit ended."""
_SHOWN = ("[", "warning:", "running the build again")
"""The beginnings of the lines of a build that are printed; its log has all lines."""
_ERROR_LINES = 3


@dataclass(frozen=True)
class Result:
    """The end of the work on an image."""

    image: str
    worker: str
    """The worker of the last build; empty if no worker was left."""
    home: str
    """The worker that the image belongs to."""
    seconds: float = 0.0
    record: records.BuildRecord | None = None
    """The record of the build; None if it ended before it had one."""
    error: str = ""
    """Why the image was not built; empty if it was."""
    log: Path | None = None


@dataclass
class Interrupts:
    """The number of times that the user has pressed Ctrl-C."""

    count: int = 0


@dataclass(frozen=True)
class Matrix:
    """What all builds have in common."""

    arguments: Sequence[str]
    """The options of each build session."""
    environment: Mapping[str, str]
    logs: Path
    """The directory of the logs."""
    interrupts: Interrupts = field(default_factory=Interrupts)


def workers(text: str) -> list[str]:
    """Return the names in the value of `--workers`.

    Raises:
        UserError: there is no name, or buildx does not know a builder.
    """
    names = list(dict.fromkeys(name for name in text.replace(",", " ").split() if name))
    if not names:
        raise UserError(
            "cannot build on several workers",
            "--workers names none",
            "Name builders of `docker buildx ls`: --workers a,b",
        )
    return names


def answering(names: Sequence[str]) -> list[str]:
    """Return the workers that answer; print the others.

    Raises:
        UserError: buildx does not know a builder, or none answers.
    """
    with ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(builder.inspect, names))
    for inspected in found:
        if inspected.error:
            builder.require(inspected.name)
    answers = [inspected.name for inspected in found if inspected.answers]
    if not answers:
        builder.require(names[0])
    for name in names:
        if name not in answers:
            say(f"warning: the worker {name} does not answer; the others build its images")
    return answers


def build_all(
    images: Sequence[catalogue.Image],
    names: Sequence[str],
    *,
    trees: Mapping[str, str],
    arguments: Sequence[str] = (),
) -> list[Result]:
    """Build images on several workers, and return a result for each image.

    Args:
        images: the images.
        names: the builders of buildx that are the workers.
        trees: the source trees by project, for the options `--libvmaf` and `--ffmpeg`.
        arguments: further options of the build sessions.

    Raises:
        UserError: buildx does not know a worker, none answers, or a setting is invalid.
        KeyboardInterrupt: Ctrl-C or SIGTERM was received; all builds have ended.
    """
    answers = answering(names)
    build.check_variables(images, os.environ)
    logs = RECORDS / "logs" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-workers"
    logs.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "VMAF_NOX_SESSIONS": "build",
        "VMAF_BASES": base_source(answers),
        # The builds must not copy a source tree while another build sends it to its worker.
        sources.SHARED: str(sources.share(trees, logs / "sources.json")),
    }
    options = [*arguments, *(f"--{project}={location}" for project, location in trees.items())]
    # The largest images take longest. A worker that begins with them is not the last one to end.
    largest = sorted(images, key=lambda image: -sizes.loaded_bytes([image.name]))
    keys = {name: placement.key(bases.BASE, name) for name in catalogue.images()}
    schedule = Schedule(
        {image.name: keys[image.name] for image in largest},
        answers,
        placement.homes(keys, names),
        known(records.records(), names),
    )
    results = run(schedule, Matrix(options, environment, logs))
    return [results[image.name] for image in images]


def known(
    earlier: Sequence[records.BuildRecord], names: Collection[str]
) -> frozenset[tuple[str, str]]:
    """Return the pairs of a worker and an image that it has built, from the records of builds."""
    return frozenset(
        (record.builder.name, target)
        for record in earlier
        if record.outcome == "built" and record.builder.name in names
        for target in record.targets
    )


def base_source(names: Sequence[str]) -> str:
    """Return the base source for all workers: the registry only if each of them reaches it.

    Raises:
        UserError: VMAF_BASES is invalid, or the base image cannot be bootstrapped.
    """
    chosen = {bases.choose(name) for name in (names if "VMAF_BASES" not in os.environ else [""])}
    source = chosen.pop() if len(chosen) == 1 else "bootstrap"
    if source == "bootstrap":
        bases.bootstrap()
    return source


def run(schedule: Schedule, matrix: Matrix) -> dict[str, Result]:
    """Build all images of a schedule; return the results by image.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM was received; all builds have ended.
    """
    results: dict[str, Result] = {}
    changed = Condition()

    def work(worker: str) -> None:
        try:
            while (target := _next(worker, schedule, changed, matrix.interrupts)) is not None:
                result, lost = _build(worker, target, schedule.homes[target], matrix)
                with changed:
                    if lost is None:
                        results[target] = result
                        schedule.finish(worker)
                    else:
                        say(f"warning: {worker} {'is lost' if lost else 'ended'}: {result.error}")
                        schedule.interrupt(worker, result.error, lost=lost)
                    changed.notify_all()
        except BaseException:  # such as a full disk: the other workers must not wait for this one
            matrix.interrupts.count += 1
            raise

    with _counted(matrix.interrupts), ThreadPoolExecutor(len(schedule.workers)) as pool:
        futures = [pool.submit(work, worker) for worker in schedule.workers]
        wait(futures)
    for future in futures:
        future.result()
    if matrix.interrupts.count:
        raise KeyboardInterrupt
    for target, why in schedule.failed.items():
        results[target] = Result(target, "", schedule.homes[target], error=why)
    return results


def _next(
    worker: str, schedule: Schedule, changed: Condition, interrupts: Interrupts
) -> str | None:
    """Wait for the next image of a worker; return None if there will be none."""
    with changed:
        while not interrupts.count and worker in schedule.queues and not schedule.over:
            if target := schedule.take(worker, time.monotonic()):
                return target
            changed.wait(_POLL_SECONDS)
    return None


def _build(worker: str, target: str, home: str, matrix: Matrix) -> tuple[Result, bool | None]:
    """Build an image on a worker.

    Returns:
        The result; and None, or if the build ended because of the worker, whether it is lost.
    """
    log = matrix.logs / f"{worker}-{target}.log"
    command = ("-m", "scripts.cli", "build", target, f"--builder={worker}", *matrix.arguments)
    say(f"{worker}: building {target}")
    started, begin = datetime.now(UTC), time.monotonic()
    with (
        log.open("w", encoding="utf-8") as file,
        process.start(sys.executable, *command, cwd=ROOT, env=matrix.environment) as child,
    ):
        relay = Thread(target=_relay, args=(child, file, f"{worker} {target}"), daemon=True)
        relay.start()
        hangs = _hangs(worker, child, matrix.interrupts)
        relay.join()
    own = [
        record
        for record in records.records()
        if record.targets == [target]
        and record.builder.name == worker
        and record.started >= started
    ]
    seconds = time.monotonic() - begin
    result = Result(target, worker, home, seconds, own[-1] if own else None, log=log)
    if not child.returncode:
        return result, None
    text = log.read_text(errors="replace")
    error = f"the worker does not answer any more, while it builds {target}" if hangs else ""
    result = replace(result, error=error or _reason(text))
    if matrix.interrupts.count:
        return result, None
    lost = hangs or not builder.inspect(worker).answers
    ended = lost or any(message in result.error for message in _CONNECTION)
    return result, lost if ended else None


def _relay(child: process.Popen[str], file: TextIO, prefix: str) -> None:
    """Write the output of a build to its log, and print its steps."""
    assert child.stdout  # noqa: S101 - for mypy: it is a pipe
    for line in child.stdout:
        file.write(line)
        file.flush()
        if line.startswith(_SHOWN):
            say(f"{prefix}: {line.rstrip()}")


def _hangs(worker: str, child: process.Popen[str], interrupts: Interrupts) -> bool:
    """Wait until a build ends; end it, and return True, if its worker stops answering."""
    probed, misses, forwarded = time.monotonic(), 0, 0
    while child.poll() is None:
        if interrupts.count > forwarded:
            forwarded = interrupts.count
            _signal(child, signal.SIGINT)
        if time.monotonic() - probed >= PROBE_SECONDS and not forwarded:
            misses = 0 if builder.inspect(worker).answers else misses + 1
            probed = time.monotonic()
            if misses >= MISSES:
                _end(child)
                return True
        time.sleep(_POLL_SECONDS)
    return False


def _end(child: process.Popen[str]) -> None:
    """End a build with SIGINT; a second one kills its buildx."""
    for _ in range(2):
        _signal(child, signal.SIGINT)
        until = time.monotonic() + END_SECONDS
        while child.poll() is None and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
    _signal(child, signal.SIGKILL)


def _signal(child: process.Popen[str], number: signal.Signals) -> None:
    """Send a signal to a build and the programs in its process group, unless it has ended."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)


@contextmanager
def _counted(interrupts: Interrupts) -> Iterator[None]:
    """Count Ctrl-C and SIGTERM instead of ending this process; the threads forward them."""

    def count(_number: int, _frame: FrameType | None) -> None:
        say("stopping all builds" if interrupts.count else "stopping; press Ctrl-C again to kill")
        interrupts.count += 1

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, count) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reason(text: str) -> str:
    """Return the error in the output of a build session: its first lines, on one line."""
    _, found, error = text.rpartition("error: ")
    lines = (error if found else text).strip().splitlines() or ["it printed nothing"]
    shown = lines[:_ERROR_LINES] if found else lines[-1:]
    return "; ".join(line.strip() for line in shown)
