"""Run a build and show its progress: live on a terminal, as plain lines elsewhere."""

import os
import queue
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from types import FrameType, TracebackType
from typing import IO, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scripts.buildkit.rawjson import Build, Step
from scripts.core import process
from scripts.core.console import console, say

_REFRESH_SECONDS = 0.25
_SHORTEST_PRINTED_SECONDS = 1.0
_HEARTBEAT_SECONDS = 30.0


@dataclass(frozen=True)
class Outcome:
    """A build that ended, successfully or not."""

    build: Build
    returncode: int
    started: datetime
    seconds: float
    log: Path


class _Interrupts:
    """Forwards Ctrl-C and SIGTERM to a child's process group: first SIGINT, then SIGKILL.

    Python does not raise `KeyboardInterrupt` meanwhile, so that this process continues to log
    the output while the child cleans up.
    """

    def __init__(self, child: process.Popen[str]) -> None:
        self.count, self._child = 0, child

    def __enter__(self) -> Self:
        signals = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._forward) for number in signals}
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if exception:  # such as a full disk: do not continue a build that cannot be logged
            self._forward(signal.SIGINT, None)

    def _forward(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGINT if self.count == 1 else signal.SIGKILL)


@dataclass
class _View:
    """The progress of a build on the console."""

    build: Build
    live: bool
    expected: Mapping[str, int]
    """By stage, the number of objects that an earlier build compiled."""
    _printed: dict[str, float] = field(default_factory=dict)
    """By digest, the seconds that were printed when a step ended; 0 while it runs."""
    _last: float = field(default_factory=time.monotonic)

    def __rich__(self) -> RenderableType:
        """Return the running steps, each with its progress."""
        running = _running(self.build.steps.values())
        steps = [step for step in self.build.steps.values() if step.number]
        grid = Table.grid(padding=(0, 1))
        grid.add_column(justify="right", style="cyan")
        grid.add_column(no_wrap=True, overflow="ellipsis")
        for step in running:
            grid.add_row(f"{step.seconds:.0f} s", Text(step.label))
            if progress := self.progress(step):
                grid.add_row("", Text(progress, style="dim"))
        done, cached = sum(step.done for step in steps), sum(step.cached for step in steps)
        return Group(f"{len(running)} running, {done} done, {cached} of these cached", grid)

    def progress(self, step: Step) -> str:
        """Return the progress of a step: its count of objects, else its last line of output.

        Indented lines are skipped, because they are source excerpts in a compiler's warnings.
        """
        objects = step.progress.objects
        total = step.progress.total or self.expected.get(step.stage, 0)
        if objects:
            return f"{objects} of {total} objects" if objects <= total else f"{objects} objects"
        lines = (line for line in reversed(step.tail) if line and not line[0].isspace())
        return next(lines, "").strip()

    def update(self) -> None:
        """Print steps that ended and, without a terminal, long-running steps and a heartbeat."""
        running = _running(self.build.steps.values())
        for step in self.build.steps.values():
            printed = self._printed.get(step.digest)
            if step.done and step.seconds != printed:
                if step.seconds > _SHORTEST_PRINTED_SECONDS or printed is not None or step.error:
                    self._say(f"{step.label}  {step.result}")
                self._printed[step.digest] = step.seconds
        for step in running:
            is_long = step.seconds > _SHORTEST_PRINTED_SECONDS
            if step.digest not in self._printed and is_long and not self.live:
                self._printed[step.digest] = 0.0
                self._say(f"{step.label}  ...")
        if not self.live and time.monotonic() - self._last > _HEARTBEAT_SECONDS:
            for step in running[:1]:
                progress = self.progress(step)
                self._say(
                    f"{step.prefix}  {step.seconds:.0f} s so far{progress and f': {progress}'}"
                )

    def _say(self, message: str) -> None:
        self._last = time.monotonic()
        say(message)


def _running(steps: Iterable[Step]) -> list[Step]:
    return [step for step in steps if step.running]


def _enqueue(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    """Put the lines of a stream into a queue, and None at its end."""
    with suppress(ValueError):  # closed while it was read, after an error
        for line in stream:
            lines.put(line)
    lines.put(None)


def follow(
    command: Sequence[str],
    *,
    cwd: Path,
    log: Path,
    env: Mapping[str, str] | None = None,
    expected: Mapping[str, int] | None = None,
) -> Outcome:
    """Run a `docker buildx` command that has `--progress=rawjson`; show and log its progress.

    The command runs in a process group of its own, so that it receives a Ctrl-C only once, from
    this process; a second Ctrl-C kills it.

    Args:
        command: the program and its arguments.
        cwd: the directory to run it in.
        log: the file that receives its complete output.
        env: its environment; by default, the environment of this process.
        expected: the expected number of objects by stage.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM was received, and the command has ended.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    build, started, begin = Build(), datetime.now(UTC), time.monotonic()
    live = console.is_terminal and console.file.isatty()
    view = _View(build, live, expected or {})
    lines: queue.Queue[str | None] = queue.Queue()
    with (
        log.open("w", encoding="utf-8") as file,
        process.start(*command, cwd=cwd, env=env or os.environ) as child,
        _Interrupts(child) as interrupts,
    ):
        assert child.stdout  # noqa: S101 - for mypy: it is a pipe
        Thread(target=_enqueue, args=(child.stdout, lines), daemon=True).start()
        screen = Live(view, console=console, auto_refresh=False, transient=True)
        with screen if live else nullcontext():
            refreshed, announced = 0.0, False
            while True:
                with suppress(queue.Empty):
                    if (line := lines.get(timeout=_REFRESH_SECONDS)) is None:
                        break
                    file.writelines(f"{entry}\n" for entry in build.feed(line))
                if interrupts.count and not announced:
                    say("stopping the build; press Ctrl-C again to kill it")
                    announced = True
                if time.monotonic() - refreshed > _REFRESH_SECONDS:
                    view.update()
                    screen.refresh()
                    refreshed = time.monotonic()
            file.writelines(f"{entry}\n" for entry in build.close())
            view.update()
        code = child.wait()
    if interrupts.count:
        raise KeyboardInterrupt
    return Outcome(build, code, started, time.monotonic() - begin, log)
