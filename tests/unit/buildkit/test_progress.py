"""Following a build: the log, the lines that people see, and Ctrl-C.

A Python script takes the place of docker.
"""

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

from scripts.buildkit.progress import follow
from scripts.core.paths import ROOT
from tests.support.builds import FIXTURES

REPLAY = "import sys; sys.stderr.write(open(sys.argv[1]).read()); sys.exit(int(sys.argv[2]))"

RUNNING = """
import base64, json, pathlib, signal, sys, time
def update(**vertex):
    vertex = {"digest": "d", "name": "[cpu ffmpeg 3/4] RUN make", **vertex}
    print(json.dumps({"vertexes": [vertex]}), file=sys.stderr, flush=True)
def output(text):
    data = base64.b64encode(text.encode()).decode()
    print(json.dumps({"logs": [{"vertex": "d", "data": data}]}), file=sys.stderr, flush=True)
update(started="2026-11-22T17:09:00Z")
"""

CLEAN_UP = """
def clean_up(*_):
    pathlib.Path("cleaned").touch()  # first: the reader of the output may be gone
    times = {"started": "2026-11-22T17:09:00Z", "completed": "2026-11-22T17:09:03Z"}
    update(**times, error="context canceled")
    sys.exit(1)
signal.signal(signal.SIGINT, clean_up)
pathlib.Path("ready").touch()
time.sleep(60)
"""

STUBBORN = """
signal.signal(signal.SIGINT, lambda *_: pathlib.Path("interrupted").touch())
pathlib.Path("ready").touch()
while True:
    time.sleep(60)
"""


@pytest.fixture
def signals() -> Iterator[None]:
    """Check that the test restores the handlers of signals."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def wait_for(path: Path) -> None:
    """Wait until a file exists."""
    for _ in range(1000):
        if path.exists():
            return
        time.sleep(0.02)
    pytest.fail(f"{path.name} was not written")


def test_failed_build_is_returned_and_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failed build returns its exit status, logs all output, and prints the failed step."""
    command = [sys.executable, "-c", REPLAY, str(FIXTURES / "failed.rawjson"), "3"]
    outcome = follow(command, cwd=tmp_path, log=tmp_path / "logs" / "build.log")
    assert outcome.returncode == 3
    assert outcome.build.failed
    log = outcome.log.read_text().splitlines()
    assert "[b b 1/1] RUN sleep 1.2; echo fail; exit 137" in log
    assert "[a a 2/2] ab" in log
    assert "[b b 1/1] fail" in log
    assert log[-1].startswith("ERROR: failed to solve")
    assert "[b b 1/1] RUN sleep 1.2; echo fail; exit 137  FAILED after" in capsys.readouterr().err


def test_short_and_cached_steps_are_not_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal, only steps of more than a second are printed."""
    command = [sys.executable, "-c", REPLAY, str(FIXTURES / "shared.jsonl"), "0"]
    follow(command, cwd=tmp_path, log=tmp_path / "log")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("]")[0] for line in lines] == ["[a a 2/2", "[a shared 1/1"]
    assert lines[0].endswith("done in 3.2 s")


@pytest.mark.parametrize(
    ("printed", "expected", "progress"),
    [
        ([], {}, ""),
        (
            ["CC a.o", "a.c:1:1: warning: x", "   1 | x", "     | ^~~~~", ""],
            {},
            "a.c:1:1: warning: x",
        ),
        (["[12/96] Compiling a.c"], {}, "12 of 96 objects"),
        (['#progress {"objects": 812}', "a.c:1:1: warning"], {}, "812 objects"),
        (['#progress {"objects": 812}'], {"ffmpeg": 2355, "other": 9}, "812 of 2355 objects"),
        (['#progress {"objects": 812}'], {"ffmpeg": 800}, "812 objects"),
        (['#progress {"objects": 812, "total": 900}'], {"ffmpeg": 2355}, "812 of 900 objects"),
    ],
    ids=["silent", "warning", "ninja", "unknown", "record", "outdated", "total"],
)
def test_heartbeat_shows_the_progress_of_a_long_step(  # noqa: PLR0913, PLR0917 (fixtures)
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    printed: list[str],
    expected: dict[str, int],
    progress: str,
) -> None:
    """A long step is printed when it starts, and then again with its number of objects.

    The total is the step's own, or else the one of an earlier build. A step without a count
    shows its last line of output that is not indented.
    """
    monkeypatch.setattr("scripts.buildkit.progress._HEARTBEAT_SECONDS", 0.3)
    script = f"{RUNNING}\nfor line in {printed!r}: output(line + chr(10))\ntime.sleep(0.9)"
    command = [sys.executable, "-c", script]
    follow(command, cwd=tmp_path, log=tmp_path / "log", expected=expected)
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first == "[cpu ffmpeg 3/4] RUN make  ..."
    assert second.endswith(f"s so far: {progress}" if progress else "s so far")


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_waits_for_the_child(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    """After Ctrl-C, docker gets SIGINT once and ends by itself, and its last output is logged."""

    def interrupt() -> None:
        wait_for(tmp_path / "ready")
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        follow([sys.executable, "-c", RUNNING + CLEAN_UP], cwd=tmp_path, log=tmp_path / "log")
    assert (tmp_path / "cleaned").exists()
    assert "cancelled after 3.0 s" in (tmp_path / "log").read_text()
    assert "press Ctrl-C again to kill it" in capsys.readouterr().err


@pytest.mark.usefixtures("signals")
def test_second_ctrl_c_kills_the_child(tmp_path: Path) -> None:
    """A second Ctrl-C kills a docker client that ignores the first."""

    def interrupt() -> None:
        wait_for(tmp_path / "ready")
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(tmp_path / "interrupted")
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        follow([sys.executable, "-c", RUNNING + STUBBORN], cwd=tmp_path, log=tmp_path / "log")


@pytest.mark.usefixtures("signals")
def test_error_while_following_ends_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the log of a build cannot be written, the build is interrupted."""

    def full(_build: object, _line: str) -> list[str]:
        wait_for(tmp_path / "ready")
        raise OSError

    monkeypatch.setattr("scripts.buildkit.rawjson.Build.feed", full)
    with pytest.raises(OSError):  # noqa: PT011 - it has no message
        follow([sys.executable, "-c", RUNNING + CLEAN_UP], cwd=tmp_path, log=tmp_path / "log")
    assert (tmp_path / "cleaned").exists()


def test_incomplete_line_is_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The log of a build has the last line of a step, also without a newline."""
    script = (
        RUNNING
        + """
output("the end")
sys.exit(9)
"""
    )
    outcome = follow([sys.executable, "-c", script], cwd=tmp_path, log=tmp_path / "log")
    assert outcome.returncode == 9
    assert "[cpu ffmpeg 3/4] the end" in outcome.log.read_text()
    assert "[cpu ffmpeg 3/4] RUN make  done in" in capsys.readouterr().err


def test_ctrl_c_restores_the_terminal(tmp_path: Path) -> None:
    """After Ctrl-C in a build, the terminal shows its cursor and the exit status is 130."""
    master, slave = pty.openpty()
    program = f"""
import sys
from pathlib import Path
from scripts.core.console import start
from scripts.buildkit.progress import follow
command = [sys.executable, "-c", {RUNNING + CLEAN_UP!r}]
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
        with suppress(OSError):  # the end of the output of a pseudo-terminal
            while True:
                seen += os.read(master, 4096)
        assert child.wait() == 130
    os.close(master)
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")
    assert b"interrupted" in seen
    assert b"Traceback" not in seen
