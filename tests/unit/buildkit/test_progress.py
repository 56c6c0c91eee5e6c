"""Following a build: the log, the lines people see, and Ctrl-C. A Python script plays docker."""

import io
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from scripts.buildkit import progress
from scripts.buildkit.progress import follow
from scripts.core import console as consoles
from scripts.core.paths import ROOT

FIXTURES = Path(__file__).parent / "fixtures"

REPLAY = "import sys; sys.stderr.write(open(sys.argv[1]).read()); sys.exit(int(sys.argv[2]))"

RUNNING = """
import json, pathlib, signal, sys, time
def tell(**news):
    news = {"digest": "d", "name": "[cpu ffmpeg 3/4] RUN make", **news}
    print(json.dumps({"vertexes": [news]}), file=sys.stderr, flush=True)
tell(started="2026-11-22T17:09:00Z")
"""

TIDY = """
def tidy(*_):
    pathlib.Path("tidied").touch()  # first: nobody may be left to read what it tells
    tell(started="2026-11-22T17:09:00Z", completed="2026-11-22T17:09:03Z", error="context canceled")
    sys.exit(1)
signal.signal(signal.SIGINT, tidy)
pathlib.Path("ready").touch()
time.sleep(60)
"""

STUBBORN = """
signal.signal(signal.SIGINT, lambda *_: pathlib.Path("asked").touch())
pathlib.Path("ready").touch()
while True:
    time.sleep(60)
"""


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what is shown to people, who have no terminal."""
    text = io.StringIO()
    plain = Console(file=text, width=80, highlight=False, force_terminal=False)
    for module in (consoles, progress):
        monkeypatch.setattr(module, "console", plain)
    return text


@pytest.fixture
def signals() -> Iterator[None]:
    """Check that the test leaves the handlers of signals as they were."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    for _ in range(1000):
        if path.exists():
            return
        time.sleep(0.02)
    pytest.fail(f"{path.name} never came")


def test_a_failed_build_is_returned_and_logged(tmp_path: Path, shown: io.StringIO) -> None:
    """With its code; the log has all output, and people saw what failed."""
    command = [sys.executable, "-c", REPLAY, str(FIXTURES / "failed.rawjson"), "3"]
    outcome = follow(command, cwd=tmp_path, log=tmp_path / "logs" / "build.log")
    assert outcome.returncode == 3
    assert outcome.build.failed
    log = outcome.log.read_text().splitlines()
    assert "[b b 1/1] RUN sleep 1.2; echo fail; exit 137" in log
    assert "[a a 2/2] ab" in log
    assert "[b b 1/1] fail" in log
    assert log[-1].startswith("ERROR: failed to solve")
    assert "[b b 1/1] RUN sleep 1.2; echo fail; exit 137  FAILED after" in shown.getvalue()


def test_short_and_cached_steps_are_not_told(tmp_path: Path, shown: io.StringIO) -> None:
    """Only what took more than a second is."""
    command = [sys.executable, "-c", REPLAY, str(FIXTURES / "shared.jsonl"), "0"]
    follow(command, cwd=tmp_path, log=tmp_path / "log")
    lines = shown.getvalue().splitlines()
    assert [line.split("]")[0] for line in lines] == ["[a a 2/2", "[a shared 1/1"]
    assert lines[0].endswith("done in 3.2 s")


def test_a_long_step_shows_life(
    tmp_path: Path, shown: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told when it runs, then comes a heartbeat."""
    monkeypatch.setattr(progress, "_HEARTBEAT", 0.3)
    script = RUNNING + "time.sleep(1.5)"
    follow([sys.executable, "-c", script], cwd=tmp_path, log=tmp_path / "log")
    first, second, *_ = shown.getvalue().splitlines()
    assert first == "[cpu ffmpeg 3/4] RUN make  ..."
    assert second.endswith("s so far")


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_waits_for_the_child(
    tmp_path: Path, shown: io.StringIO, number: signal.Signals
) -> None:
    """It gets SIGINT once and ends by itself; what it says on the way out is still logged."""

    def interrupt() -> None:
        wait_for(tmp_path / "ready")
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        follow([sys.executable, "-c", RUNNING + TIDY], cwd=tmp_path, log=tmp_path / "log")
    assert (tmp_path / "tidied").exists()
    assert "cancelled after 3.0 s" in (tmp_path / "log").read_text()
    assert "Ctrl-C again kills it" in shown.getvalue()


@pytest.mark.usefixtures("signals", "shown")
def test_a_second_ctrl_c_kills(tmp_path: Path) -> None:
    """Whatever the child thinks of the first."""

    def interrupt() -> None:
        wait_for(tmp_path / "ready")
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(tmp_path / "asked")
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        follow([sys.executable, "-c", RUNNING + STUBBORN], cwd=tmp_path, log=tmp_path / "log")


@pytest.mark.usefixtures("signals", "shown")
def test_an_error_of_our_own_ends_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that nobody follows would go on unseen."""

    def full(_build: object, _line: str) -> list[str]:
        wait_for(tmp_path / "ready")
        raise OSError

    monkeypatch.setattr("scripts.buildkit.rawjson.Build.feed", full)
    with pytest.raises(OSError):  # noqa: PT011 - it has no message
        follow([sys.executable, "-c", RUNNING + TIDY], cwd=tmp_path, log=tmp_path / "log")
    assert (tmp_path / "tidied").exists()


def test_output_without_an_end_is_logged(tmp_path: Path, shown: io.StringIO) -> None:
    """The command may die amid a line of a step."""
    script = (
        RUNNING
        + """
print(json.dumps({"logs": [{"vertex": "d", "data": "bGFzdCB3b3Jkcw=="}]}))
sys.exit(9)
"""
    )
    outcome = follow([sys.executable, "-c", script], cwd=tmp_path, log=tmp_path / "log")
    assert outcome.returncode == 9
    assert "[cpu ffmpeg 3/4] last words" in outcome.log.read_text()
    assert "[cpu ffmpeg 3/4] RUN make  done in" in shown.getvalue()


def test_ctrl_c_restores_the_terminal(tmp_path: Path) -> None:
    """On a terminal the running step is shown; in the end the cursor is back and the code 130."""
    master, slave = pty.openpty()
    program = f"""
import sys
from pathlib import Path
from scripts.core.console import start
from scripts.buildkit.progress import follow
command = [sys.executable, "-c", {RUNNING + TIDY!r}]
start(lambda _: follow(command, cwd=Path({str(tmp_path)!r}), log=Path("log").absolute()).returncode)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, stderr=slave
    ) as child:
        os.close(slave)
        wait_for(tmp_path / "ready")
        seen = b""
        while b"RUN make" not in seen:
            seen += os.read(master, 4096)
        child.send_signal(signal.SIGINT)
        with suppress(OSError):  # how a pseudo-terminal says that nobody writes any more
            while True:
                seen += os.read(master, 4096)
        assert child.wait() == 130
    os.close(master)
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")
    assert b"interrupted" in seen
    assert b"Traceback" not in seen
