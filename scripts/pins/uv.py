"""Ask the package index of Python with uv, which finds versions that fit each other."""

import re
import sys
from pathlib import Path

from scripts.core import process
from scripts.core.console import UserError

SECONDS = 600
"""The timeout for uv, in seconds."""
_NO_SOLUTION = 1


class NoSolutionError(Exception):
    """No versions meet all requirements; the message is uv's."""


class UnreachableError(Exception):
    """The index did not answer; the message is uv's."""


def lock(requirements: str | Path, *options: str, cwd: Path) -> str:
    """Return the newest final releases that meet requirements, as uv writes them.

    uv takes the index from its own settings, such as UV_DEFAULT_INDEX.

    Args:
        requirements: a file, or its text.
        options: further options of `uv pip compile`.
        cwd: the directory to run in.

    Raises:
        NoSolutionError: no versions meet all requirements.
        UnreachableError: the index does not answer.
        UserError: uv is not installed.
    """
    text = requirements if isinstance(requirements, str) else None
    done = process.run(
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet"),
        *options,
        "-" if text is not None else str(requirements),
        cwd=cwd,
        text=text,
        timeout=SECONDS,
    )
    if "No module named uv" in done.stderr:
        raise UserError(
            "cannot ask the package index",
            "uv is not installed",
            "Run `nox -s update`, which installs it.",
        )
    if done.returncode:
        reason = "; ".join(
            line.strip().removeprefix("error: ").removeprefix("cause: ")
            for line in done.stderr.splitlines()
            if line.strip() and not line.startswith("warning:")
        )
        error = NoSolutionError if done.returncode == _NO_SOLUTION else UnreachableError
        raise error(reason or f"uv ends with status {done.returncode}")
    return done.stdout


def versions(locked: str) -> dict[str, str]:
    """Return the versions in the output of `lock` by the normal name of the package."""
    found = {}
    for line in locked.splitlines():
        name, separator, rest = line.partition("==")
        if separator and not line.startswith(("#", " ")):
            found[normal(name.partition("[")[0])] = re.split(r"[\s;\\]", rest, maxsplit=1)[0]
    return found


def normal(name: str) -> str:
    """Return the name of a package as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()
