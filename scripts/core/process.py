"""Run programs: one place for their environment, captured output and log tails."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

NOT_FOUND = 127
"""The exit status that a shell gives a program that is not installed."""
LAST_LINES = 15
"""How many lines of a log an error message shows."""


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
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and capture its output as text.

    The exit status is in the result and is never raised. A program that is not installed
    gives the status `NOT_FOUND`, as a shell does, with the reason in `stderr`.

    Args:
        command: the program and its arguments.
        cwd: the directory to run it in.
        env: its environment; `environment()` by default.
        text: its standard input.
        timeout: seconds after which it is killed.

    Raises:
        subprocess.TimeoutExpired: it did not end in time.
    """
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            env=environment() if env is None else env,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        message = f"{command[0]}: command not found"
        return subprocess.CompletedProcess(command, NOT_FOUND, "", message)


def output(*command: str, cwd: Path | None = None) -> str:
    """Return what a program prints to stdout, or an empty string if it is absent or fails."""
    done = run(*command, cwd=cwd)
    return "" if done.returncode else done.stdout


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
