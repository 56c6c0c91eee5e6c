"""`nox -s upstream-tests` and `nox -s server-tests`: checks that are targets of bake."""

from argparse import Namespace

from scripts.cli.build import build_and_report
from scripts.core.console import UserError, say
from scripts.dockerfile import bake

CHECKS = {
    "upstream-tests": "the tests of libvmaf and FFmpeg pass on builds made from the caches",
    "server-tests": "the tests of the server pass, with race detector, sanitizer and fuzzing, "
    "and those of cache-stream",
}
"""The bake groups of checks, and the message if all checks of a group pass."""


def run(options: Namespace) -> int:
    """Build the targets of a group of checks.

    Raises:
        UserError: there is no such group, or a check failed.
    """
    names = [name for name in options.images if name in CHECKS]
    if not names:
        raise UserError("no such check", " ".join(options.images), f"Choose: {', '.join(CHECKS)}.")
    targets = bake.bake_print(names[0])["group"][names[0]]["targets"]
    for stage in build_and_report(targets, options).stages:
        if tests := stage.measurements.tests:
            say(f"{stage.name}: {tests.run} tests, {tests.failed} failed")
    say(CHECKS[names[0]])
    return 0
