"""How a program ends, with the exit code and the message for each kind of failure."""

import os
import subprocess
import sys

import pytest

from scripts.core import console, process
from scripts.core.console import UserError


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("cannot build", "no disk", "Buy one."), 1, "cannot build: no disk\nBuy one."),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_expected_failure_prints_no_traceback(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    """A user's mistake and Ctrl-C end the program with a message and their own exit codes."""

    def fail(_: object) -> int:
        raise error

    with pytest.raises(SystemExit) as ended:
        console.start(fail)
    printed = capsys.readouterr().err
    assert ended.value.code == code
    assert message in printed
    assert "Traceback" not in printed


def test_sigterm_runs_what_cleans_up() -> None:
    """SIGTERM ends the program as Ctrl-C does, after its context managers."""
    program = (
        "import os, signal; from scripts.core import console\n"
        "def main(_):\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n"
        "    finally: print('cleaned up')\n"
        "console.start(main)"
    )
    done = process.run(sys.executable, "-c", program, timeout=10)
    assert (done.returncode, done.stdout) == (130, "cleaned up\n")
    assert "interrupted" in done.stderr
    assert "Traceback" not in done.stderr


def test_closed_output_prints_no_traceback() -> None:
    """If the reader of stdout ends early, as `head` does, the program ends without a message."""
    program = "from scripts.core import console; console.start(lambda _: print('x' * 10**6))"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_output_of_compilers_is_printed_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    """A line number between colons is printed as it is; rich would replace `:100:` by an emoji."""
    console.say("algorithm:100:25: error")
    assert capsys.readouterr().err == "algorithm:100:25: error\n"
