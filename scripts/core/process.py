"""Run programs: the only module of scripts/ that imports subprocess.

Programs run without a shell, with English messages and with root's directories in PATH. Their
standard input is empty unless the caller passes it.
"""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CompletedProcess = subprocess.CompletedProcess
"""The result of `run`, for annotations."""
Popen = subprocess.Popen
"""A running program, the result of `start`, `start_reading` and `start_daemon`."""

NOT_FOUND = 127
"""The exit status that a shell gives a program that is not installed."""
TIMED_OUT = 124
"""The exit status that `timeout` gives a program that takes too long."""
LAST_LINES = 15
"""The number of lines of a log in an error message."""


def environment() -> dict[str, str]:
    """Return the environment for programs: English messages, and root's PATH, which su drops."""
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "LC_ALL": "C", "PATH": f"{path}:/usr/local/sbin:/usr/sbin:/sbin"}


def run(
    *command: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    text: str | None = None,
    timeout: float | None = None,
) -> CompletedProcess[str]:
    """Run a program to its end and capture its output as text.

    The exit status is in the result; a failure raises no exception. As in a shell, the status is
    `NOT_FOUND` if the program is not installed, and `TIMED_OUT` if it was killed after the
    timeout; `stderr` then contains the reason.

    Args:
        command: the program and its arguments.
        cwd: the directory to run it in.
        env: its environment; `environment()` by default.
        text: its standard input.
        timeout: seconds after which it is killed.
    """
    return _finish(
        command,
        cwd,
        env,
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
    )


def output(*command: str, cwd: Path | None = None) -> str:
    """Return what a program prints to stdout, or an empty string if it is absent or fails."""
    done = run(*command, cwd=cwd)
    return "" if done.returncode else done.stdout


def run_shown(*command: str, cwd: Path | None = None) -> int:
    """Run a program to its end, let it print to the terminal, and return its exit status.

    The status is `NOT_FOUND` if the program is not installed.
    """
    return _finish(command, cwd, None, stdin=subprocess.DEVNULL).returncode


def run_logged(
    *command: str, log: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> int:
    """Run a program to its end, append its output to a log, and return its exit status.

    The command is logged above its output. The status is `NOT_FOUND` if the program is not
    installed.
    """
    with log.open("ab", buffering=0) as file:
        file.write(f"\n$ {shlex.join(command)}\n".encode())
        done = _finish(
            command, cwd, env, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        file.write(done.stderr or b"")
    return done.returncode


def start(
    *command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Popen[str]:
    """Start a program with one pipe for stdout and stderr, in a process group of its own.

    The program therefore does not receive Ctrl-C; the caller forwards it.

    Raises:
        FileNotFoundError: the program is not installed.
    """
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=environment() if env is None else env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        process_group=0,
    )


def start_reading(*command: str) -> Popen[bytes]:
    """Start a program with a pipe for stdout and one for stderr; the caller reads one as a stream.

    Read the other one when the first has ended. The program would wait forever if it printed more
    to the other one than a pipe holds, 64 KiB on Linux.

    Raises:
        FileNotFoundError: the program is not installed.
    """
    return subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def start_daemon(*command: str, log: Path, env: Mapping[str, str] | None = None) -> Popen[bytes]:
    """Start a program that continues after this one exits, detached from the terminal.

    Its output replaces the content of the log.

    Raises:
        FileNotFoundError: the program is not installed.
    """
    with log.open("wb") as file:
        return subprocess.Popen(
            command,
            env=environment() if env is None else env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(child: Popen[Any], seconds: float) -> None:
    """Ask a program to end, and kill it if it has not ended after some seconds."""
    child.terminate()
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def last_lines(log: Path, ignoring: Sequence[str] = ()) -> str:
    """Return the last lines of a log below its path, indented, for an error message.

    Lines that contain one of the strings `ignoring` are left out.
    """
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    shown = [f"  {line}" for line in lines if not any(text in line for text in ignoring)]
    return "\n".join([f"The end of {log}:", *shown[-LAST_LINES:]])


def _finish(
    command: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    **options: Any,  # noqa: ANN401 (the options of subprocess.run)
) -> CompletedProcess[Any]:
    """Run a program to its end; return a result also if it is absent or takes too long."""
    try:
        return subprocess.run(
            command, cwd=cwd, env=environment() if env is None else env, check=False, **options
        )
    except FileNotFoundError as error:
        if error.filename != command[0]:  # `cwd` does not exist
            raise
        status, reason = NOT_FOUND, f"{command[0]}: command not found"
    except subprocess.TimeoutExpired as error:
        status, reason = TIMED_OUT, f"{command[0]}: killed after {error.timeout:g} seconds"
    if "encoding" in options:
        return CompletedProcess(command, status, "", reason)
    return CompletedProcess(command, status, b"", reason.encode())
