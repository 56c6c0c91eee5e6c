"""The entry point of every nox session: `python -m scripts.cli VERB [options]`."""

import os
from collections.abc import Sequence
from importlib import import_module

from scripts.cli import options
from scripts.core.console import start

SESSIONS = "VMAF_NOX_SESSIONS"
"""The environment variable in which noxfile.py passes the sessions of the command line."""


def main(arguments: Sequence[str]) -> int:
    """Run a verb and return its exit code.

    Raises:
        UserError: the verb or an option is unknown, or the verb failed.
    """
    chosen = options.parse(arguments, os.environ.get(SESSIONS, "").split())
    if release := getattr(chosen, "ffmpeg_release", None):
        os.environ["FFMPEG"] = release  # a variable of docker-bake.hcl, which bake reads there
    if platform := getattr(chosen, "platform", None):
        os.environ["PLATFORMS"] = platform  # likewise
    if builder := getattr(chosen, "builder", None):
        os.environ["BUILDX_BUILDER"] = builder
    # Each nox session installs the libraries of its own verb only.
    code: int = import_module(f"scripts.cli.{chosen.verb}").run(chosen)
    return code


if __name__ == "__main__":
    start(main)
