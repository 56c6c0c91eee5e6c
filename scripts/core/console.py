"""Messages to the user: the console, `UserError`, and the start of a program."""

import os
import signal
import sys
from collections.abc import Callable, Sequence

from rich.console import Console

console = Console(
    stderr=True,
    highlight=False,
    emoji=False,  # compilers print `:100:`
    width=None if sys.stderr.isatty() else 120,  # tables need a width, and a log has none
)
"""Progress and messages go to stderr; stdout is for results."""


class UserError(Exception):
    """A failure that the user can fix: what failed, why, and what to do next."""

    def __init__(self, what: str, why: str, todo: str) -> None:
        """Store the three parts; `str()` joins them into one message."""
        super().__init__(f"{what}: {why}\n{todo}")
        self.what, self.why, self.todo = what, why, todo


def say(message: str) -> None:
    """Print one line of progress."""
    console.print(message, markup=False, soft_wrap=True)


def start(main: Callable[[Sequence[str]], int]) -> None:
    """Run `main` on the arguments of the command line and exit with the code that it returns.

    A `UserError` prints its message and exits with code 1, Ctrl-C and SIGTERM (of a cancelled CI
    job) with code 130, and a reader that closes stdout early, such as `head`, with code 141; none
    prints a traceback.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
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
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it at exit
        code = 141
    sys.exit(code)
