"""Running a build and showing how it goes: live on a terminal, in plain lines elsewhere."""

import os
import queue
import signal
import subprocess
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
from scripts.core.console import console, say

_TICK = 0.25
_WORTH_A_LINE = 1.0
_HEARTBEAT = 30.0


@dataclass(frozen=True)
class Outcome:
    """A build that ended, well or not."""

    build: Build
    returncode: int
    started: datetime
    seconds: float
    log: Path


class _Interrupts:
    """Hands Ctrl-C and SIGTERM on to a child and its group: first as SIGINT, then it kills.

    Python itself sees no `KeyboardInterrupt` meanwhile, so that nothing is
    torn down while the child tidies up.
    """

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.count, self._child = 0, child

    def __enter__(self) -> Self:
        signals = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._hand_on) for number in signals}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if error:  # such as a full disk under the log: nobody follows any more
            self._hand_on(signal.SIGINT, None)

    def _hand_on(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGINT if self.count == 1 else signal.SIGKILL)


@dataclass
class _View:
    """What people see of a build."""

    build: Build
    live: bool
    _told: dict[str, float] = field(default_factory=dict)
    """By digest, the seconds that were told when a step ended; 0 when it was said to run."""
    _spoke: float = field(default_factory=time.monotonic)

    def __rich__(self) -> RenderableType:
        """The running steps, each with its last line of output."""
        running = _running(self.build.steps.values())
        steps = [step for step in self.build.steps.values() if step.number]
        grid = Table.grid(padding=(0, 1))
        grid.add_column(justify="right", style="cyan")
        grid.add_column(no_wrap=True, overflow="ellipsis")
        for step in running:
            grid.add_row(f"{step.seconds:.0f} s", Text(step.label))
            if step.tail:
                grid.add_row("", Text(step.tail[-1].strip(), style="dim"))
        done, cached = sum(step.done for step in steps), sum(step.cached for step in steps)
        return Group(f"{len(running)} running, {done} done, {cached} of these cached", grid)

    def update(self) -> None:
        """Say which steps ended and, off a terminal, which take long and that all is alive."""
        running = _running(self.build.steps.values())
        for step in self.build.steps.values():
            told = self._told.get(step.digest)
            if step.done and step.seconds != told:
                if step.seconds > _WORTH_A_LINE or told is not None or step.error:
                    self._say(f"{step.label}  {step.ending}")
                self._told[step.digest] = step.seconds
        for step in running:
            if step.digest not in self._told and step.seconds > _WORTH_A_LINE and not self.live:
                self._told[step.digest] = 0.0
                self._say(f"{step.label}  ...")
        if not self.live and time.monotonic() - self._spoke > _HEARTBEAT:
            for step in running[:1]:
                last = f": {step.tail[-1].strip()}" if step.tail else ""
                self._say(f"{step.prefix}  {step.seconds:.0f} s so far{last}")

    def _say(self, message: str) -> None:
        self._spoke = time.monotonic()
        say(message)


def _running(steps: Iterable[Step]) -> list[Step]:
    return [step for step in steps if step.running]


def _pump(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    """Read a stream to its end, which is handed on as None."""
    with suppress(ValueError):  # closed amid a line, as nobody follows any more
        for line in stream:
            lines.put(line)
    lines.put(None)


def follow(
    command: Sequence[str], *, cwd: Path, log: Path, env: Mapping[str, str] | None = None
) -> Outcome:
    """Run a `docker buildx` command that has `--progress=rawjson`; show and log its progress.

    The command runs in a process group of its own, so that Ctrl-C reaches it
    once and from here; a second Ctrl-C kills it.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM came; the command has ended by now.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    build, started, begin = Build(), datetime.now(UTC), time.monotonic()
    live = console.is_terminal and console.file.isatty()
    view = _View(build, live=live)
    lines: queue.Queue[str | None] = queue.Queue()
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        ) as child,
        _Interrupts(child) as interrupts,
    ):
        assert child.stdout  # noqa: S101 - for mypy: it is a pipe
        Thread(target=_pump, args=(child.stdout, lines), daemon=True).start()
        screen = Live(view, console=console, auto_refresh=False, transient=True)
        with screen if live else nullcontext():
            shown, told = 0.0, 0
            while True:
                with suppress(queue.Empty):
                    if (line := lines.get(timeout=_TICK)) is None:
                        break
                    file.writelines(f"{entry}\n" for entry in build.feed(line))
                if interrupts.count > told == 0:
                    say("stopping the build; Ctrl-C again kills it")
                told = interrupts.count
                if time.monotonic() - shown > _TICK:
                    view.update()
                    screen.refresh()
                    shown = time.monotonic()
            file.writelines(f"{entry}\n" for entry in build.close())
            view.update()
        code = child.wait()
    if interrupts.count:
        raise KeyboardInterrupt
    return Outcome(build, code, started, time.monotonic() - begin, log)
