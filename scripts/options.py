"""The options after `--`, one set for all sessions.

`nox -s engine build-cpu verify-images -- --data-root DIR` hands the same words
to all three sessions: each reads what concerns it and leaves the rest, and a
word that no session knows is an error everywhere.
"""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from scripts.console import UserError

SUITES = {
    "images": ["tests/images"],
    "mutants": ["tests/mutants", "--table"],
    "all": [
        "tests/unit",
        "docker/compiler-cache/tests",
        "tests/builder",
        "tests/images",
        "tests/server",
        "tests/mutants",
    ],
}
"""What pytest is given by the sessions `verify-images`, `mutants` and `tests`."""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are `UserError`s with the usage in them."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting, so that every entry point reports alike."""
        raise UserError("cannot read the options after --", message, self.format_help().rstrip())


def parser() -> argparse.ArgumentParser:
    """Return the parser of everything that may stand after `--`."""
    parser = _Parser(
        prog="nox -s SESSION --", usage="nox -s SESSION... -- [options]", allow_abbrev=False
    )
    engine = parser.add_argument_group("engine")
    engine.add_argument("--status", action="store_true", help="say which engine answers, and end")
    engine.add_argument("--stop", action="store_true", help="stop the daemon this project started")
    engine.add_argument("--data-root", metavar="DIR", help="where a started daemon keeps its data")
    build = parser.add_argument_group("build")
    build.add_argument("targets", nargs="*", metavar="TARGET", help="images to build or verify")
    build.add_argument("--libvmaf", metavar="PATH|GIT_URL", help="libvmaf's source tree")
    build.add_argument("--ffmpeg", metavar="PATH|GIT_URL", help="FFmpeg's source tree")
    build.add_argument(
        "--namespace", metavar="NAME", help="use a set of cache mounts of its own (a cold build)"
    )
    cache = parser.add_argument_group("cache")
    cache.add_argument("--older-than", metavar="AGE", help="prune: what is unused for 7d, 12h")
    policy = parser.add_argument_group("policy, inspect, sbom, cache, compare")
    policy.add_argument(
        "--format", choices=["text", "json", "sarif"], default="text", help="sarif: policy alone"
    )
    policy.add_argument(
        "--agree", action="store_true", help="inspect: make the sizes the images' baselines"
    )
    policy.add_argument(
        "--dockerfile",
        metavar="PATH",
        action="append",
        default=[],
        help="check this file instead of those that docker-bake.hcl names",
    )
    bench = parser.add_argument_group("bench rebuild")
    bench.add_argument("--quick", action="store_true", help="ours alone, on cpu, in 15 minutes")
    bench.add_argument("--resume", action="store_true", help="go on with the latest run")
    bench.add_argument(
        "--draw", action="store_true", help="measure nothing: put the latest run into docs/"
    )
    bench.add_argument("--keep", action="store_true", help="leave the tags and mounts for --resume")
    bench.add_argument(
        "--cold",
        type=int,
        choices=range(1, 10),
        default=1,
        metavar="N",
        help="make first builds N times, in turns",
    )
    for choice in ("contender", "scenario"):
        bench.add_argument(
            f"--{choice}",
            metavar="NAME",
            action="append",
            default=[],
            help="measure this one alone",
        )
    verify = parser.add_argument_group("verify-images, tests")
    verify.add_argument(
        "--require", choices=["all"], help="a missing image is an error instead of a skip"
    )
    verify.add_argument(
        "--as",
        dest="as_images",
        metavar="NAME=TAG",
        action="append",
        default=[],
        help="verify the image TAG by the tests of the image NAME",
    )
    verify.add_argument("--suite", choices=SUITES, default="images", help=argparse.SUPPRESS)
    verify.add_argument("-k", metavar="EXPRESSION", help="pytest: only tests that match")
    verify.add_argument("-m", metavar="MARKERS", help="pytest: only tests so marked (gpu)")
    verify.add_argument("-x", action="store_true", help="pytest: stop at the first failure")
    return parser


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the words after `--`.

    Raises:
        UserError: a word is unknown; the message carries the valid ones.
    """
    return parser().parse_args(words)
