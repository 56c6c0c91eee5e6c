"""Speaking to people: one console, one kind of error, one way to start a program."""

import sys
from collections.abc import Callable, Sequence

from rich.console import Console

console = Console(
    stderr=True,
    highlight=False,
    width=None if sys.stderr.isatty() else 120,  # a log has no width; tables want some
)
"""Progress and messages go to stderr; stdout is for results."""


class UserError(Exception):
    """A failure a person can act on: what failed, why, and what to do next."""

    def __init__(self, what: str, why: str, todo: str) -> None:
        """Keep the three parts; `str()` gives them as one message."""
        super().__init__(f"{what}: {why}\n{todo}")
        self.what, self.why, self.todo = what, why, todo


def say(message: str) -> None:
    """Print one line of progress."""
    console.print(message, markup=False, soft_wrap=True)


def start(main: Callable[[Sequence[str]], int]) -> None:
    """Run `main` on the command line and exit with its code.

    A `UserError` ends in its message and code 1, Ctrl-C in code 130; neither
    in a traceback.
    """
    try:
        code = main(sys.argv[1:])
    except UserError as error:
        console.print("error:", style="bold red", end=" ")
        console.print(f"{error.what}: {error.why}", markup=False, soft_wrap=True)
        console.print(error.todo, markup=False, soft_wrap=True)
        code = 1
    except KeyboardInterrupt:
        console.print("interrupted: caches and the last good images are untouched")
        code = 130
    sys.exit(code)
