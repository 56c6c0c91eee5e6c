"""Run builds in child processes, so that two run at once, and none can hang this one."""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from scripts.buildkit import records
from scripts.core.console import UserError
from scripts.images import build

TIMEOUT_SECONDS = 3600.0
"""The time after which a build counts as hanging."""
_END_SECONDS = 60.0
_LONGEST = 2**14  # the characters that fit into a pipe while nobody reads it


@dataclass(frozen=True)
class Request:
    """A build to run."""

    image: str
    tag: str
    libvmaf: Path
    """The source tree of libvmaf."""
    namespace: str
    """The namespace of the cache mounts."""
    log: Path
    """The file that gets what the build prints."""


@dataclass(frozen=True)
class Built:
    """A build that ended."""

    request: Request
    seconds: float
    error: str = ""
    """The message of the error; empty if the build succeeded."""
    in_words: bool = True
    """Whether the error is one for users, not a traceback."""

    @property
    def succeeded(self) -> bool:
        """Whether the image was built."""
        return not self.error


Work = Callable[[Request], tuple[str, bool]]
"""Runs a build; returns its error, or an empty string, and whether that is one for users."""


def run_build(request: Request) -> tuple[str, bool]:
    """Build an image as the build sessions do; return the error and whether it is for users."""
    try:
        build.build(
            [request.image],
            libvmaf=str(request.libvmaf),
            namespace=request.namespace,
            expected=records.lookups_by_stage(records.records()),
            tags={request.image: request.tag},
        )
    except UserError as error:
        return str(error), True
    except Exception:  # noqa: BLE001 (any traceback is reported as such)
        return traceback.format_exc(), False
    return "", True


def _child(work: Work, request: Request, answer: Connection) -> None:
    log = os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    error, in_words = work(request)
    print(error, end="", flush=True)
    answer.send((error[-_LONGEST:], in_words))


class Running:
    """A build that runs."""

    def __init__(self, request: Request, work: Work = run_build) -> None:
        """Start the build; `work` is what the child process does."""
        context = multiprocessing.get_context("spawn")
        self.request = request
        self._answer, answer = context.Pipe(duplex=False)
        self._begin = time.monotonic()
        self._child = context.Process(target=_child, args=(work, request, answer))
        request.log.parent.mkdir(parents=True, exist_ok=True)
        self._child.start()
        answer.close()

    @property
    def ended(self) -> bool:
        """Whether the build ended, or takes too long."""
        return not self._child.is_alive() or self._seconds > TIMEOUT_SECONDS

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._begin

    def result(self) -> Built:
        """Wait for the end of the build; end it if it takes too long."""
        self._child.join(max(0.0, TIMEOUT_SECONDS - self._seconds))
        seconds = round(self._seconds, 1)
        if self._child.is_alive():
            self.end()
            error = f"the build did not end within {TIMEOUT_SECONDS:.0f} s"
            return Built(self.request, seconds, error, in_words=False)
        try:
            error, in_words = self._answer.recv()
        except EOFError:
            error, in_words = f"the build ended with status {self._child.exitcode}", False
        return Built(self.request, seconds, error, in_words)

    def end(self) -> None:
        """End the build if it runs."""
        self._child.terminate()  # the child then stops buildx
        self._child.join(_END_SECONDS)
        self._child.kill()


def together(requests: list[Request], watch: Callable[[], None]) -> list[Built]:
    """Run builds at once and return how they ended; call `watch` again and again meanwhile."""
    running = [Running(request) for request in requests]
    try:
        while not all(build.ended for build in running):
            watch()
            time.sleep(0.02)
    except BaseException:  # such as SIGTERM, which only this process gets
        for build in running:
            build.end()
        raise
    return [build.result() for build in running]
