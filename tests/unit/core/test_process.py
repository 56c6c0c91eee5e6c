"""Running programs: their environment, exit status, output and logs."""

import os
import signal
import sys
from pathlib import Path

import pytest

from scripts.core import process


def python(code: str) -> tuple[str, str, str]:
    """Return the command that runs a line of Python."""
    return sys.executable, "-c", code


def test_run_captures_both_streams_and_the_exit_status() -> None:
    """A program that fails is a result with its status and both streams, not an exception."""
    done = process.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_run_gives_a_missing_program_the_status_of_a_shell() -> None:
    """A program that is not installed gives the status 127, with the reason on stderr."""
    done = process.run("no-such-program", "argument")
    assert done.returncode == process.NOT_FOUND == 127
    assert done.stderr == "no-such-program: command not found"


def test_run_raises_without_its_directory(tmp_path: Path) -> None:
    """A working directory that does not exist raises, as it is a mistake of the caller."""
    with pytest.raises(FileNotFoundError, match="absent"):
        process.run("true", cwd=tmp_path / "absent")


def test_run_kills_a_program_that_takes_too_long() -> None:
    """After the timeout a program gives the status 124, as with timeout(1)."""
    done = process.run("sleep", "30", timeout=0.1)
    assert done.returncode == process.TIMED_OUT == 124
    assert done.stderr == "sleep: killed after 0.1 seconds"


def test_run_passes_text_to_standard_input() -> None:
    """A program reads the given text from its standard input, or nothing if there is none."""
    assert process.run("cat", text="première\n").stdout == "première\n"
    assert process.run("cat").stdout == ""


def test_run_shown_prints_what_the_program_prints(capfd: pytest.CaptureFixture[str]) -> None:
    """The output of the program goes to the terminal; the exit status is the result."""
    assert process.run_shown("sh", "-c", "echo out; echo err >&2; exit 3") == 3
    assert capfd.readouterr() == ("out\n", "err\n")
    assert process.run_shown("no-such-program") == process.NOT_FOUND


def test_run_replaces_bytes_that_are_not_text() -> None:
    """Bytes in a program's output that are not UTF-8 are replaced."""
    command = python("import sys; sys.stdout.buffer.write(bytes([65, 255]))")
    assert process.run(*command).stdout == "A\N{REPLACEMENT CHARACTER}"


def test_programs_print_english_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program gets the locale C whatever the user's is, as its messages are parsed."""
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("VMAF_TEST", "inherited")
    shown = process.run("sh", "-c", 'echo "$LC_ALL $VMAF_TEST"').stdout
    assert shown == "C inherited\n"


def test_programs_are_looked_up_in_the_directories_of_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program is searched on the user's PATH and then in root's directories, as for dockerd."""
    monkeypatch.setenv("PATH", "/first")
    assert process.environment()["PATH"] == "/first:/usr/local/sbin:/usr/sbin:/sbin"


def test_run_uses_the_environment_and_directory_of_its_caller(tmp_path: Path) -> None:
    """An environment that a caller passes to a program replaces the default one."""
    done = process.run("/bin/sh", "-c", "pwd; echo ${HOME-unset}", cwd=tmp_path, env={})
    assert done.stdout == f"{tmp_path}\nunset\n"


def test_output_is_empty_where_the_program_fails() -> None:
    """The output of a failed or missing program is empty, even if it printed some text."""
    assert process.output("echo", "text") == "text\n"
    assert process.output("sh", "-c", "echo text; exit 1") == ""
    assert process.output("no-such-program") == ""


def test_run_logged_appends_each_command_with_its_output(tmp_path: Path) -> None:
    """A log of programs has earlier runs, and each command above its output."""
    log = tmp_path / "log"
    assert process.run_logged("sh", "-c", "echo out; echo err >&2; exit 2", log=log) == 2
    assert process.run_logged("no-such-program", log=log) == process.NOT_FOUND
    assert log.read_text() == (
        "\n$ sh -c 'echo out; echo err >&2; exit 2'\nout\nerr\n"
        "\n$ no-such-program\nno-such-program: command not found"
    )


def test_start_gives_one_pipe_and_a_process_group() -> None:
    """A started program has one pipe, and a process group that Ctrl-C does not reach."""
    with process.start("sh", "-c", "echo out; echo err >&2") as child:
        assert os.getpgid(child.pid) == child.pid
        assert child.stdout is not None
        assert child.stdout.read() == "out\nerr\n"
    assert child.returncode == 0


def test_start_daemon_detaches_and_starts_the_log_anew(tmp_path: Path) -> None:
    """A daemon has a session of its own, and its log only what the daemon prints."""
    log = tmp_path / "log"
    log.write_text("of an earlier daemon\n")
    with process.start_daemon("sh", "-c", "echo out; exec sleep 30", log=log) as child:
        try:
            assert os.getsid(child.pid) == child.pid
        finally:
            child.terminate()
    assert "earlier" not in log.read_text()


def test_last_lines_are_the_end_of_a_log(tmp_path: Path) -> None:
    """An error message shows the last lines of a log, without those to be ignored."""
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\nlevel=info {number}\n" for number in range(100)))
    first, *lines = process.last_lines(log, ignoring=["level=info"]).splitlines()
    assert first == f"The end of {log}:"
    assert lines == [f"  line {number}" for number in range(100 - process.LAST_LINES, 100)]


def test_last_lines_of_an_absent_log_are_none(tmp_path: Path) -> None:
    """The end of a log that was never written has no lines and is no error."""
    assert process.last_lines(tmp_path / "log") == f"The end of {tmp_path / 'log'}:"


def test_program_that_does_not_end_is_killed() -> None:
    """A program has some seconds to end when it is asked to, and is killed afterwards."""
    with process.start("sh", "-c", "trap '' TERM; echo; while :; do sleep 0.1; done") as child:
        assert child.stdout
        child.stdout.readline()
        process.end(child, 0.3)
        assert child.returncode == -signal.SIGKILL
    with process.start("sleep", "60") as child:
        process.end(child, 60)
        assert child.returncode == -signal.SIGTERM
