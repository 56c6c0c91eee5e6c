"""Read this checkout with git: its files, its revision and the time of its commit."""

from collections.abc import Mapping
from pathlib import Path

from scripts.core import process
from scripts.core.console import UserError
from scripts.core.paths import ROOT


def tracked(*patterns: str) -> list[Path]:
    """Return the files git knows, or would add, that match; paths relative to the checkout."""
    listed = process.run(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns, cwd=ROOT
    )
    return [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def dockerfiles() -> list[Path]:
    """Return every Dockerfile of the tree, whether the bake file names it or not."""
    return tracked("*Dockerfile*", "*Containerfile*")


def revision() -> str:
    """Return this checkout's commit, `-dirty` where it has been edited since."""
    words = ("--always", "--dirty", "--abbrev=40", "--exclude=*")
    return process.output("git", "-C", str(ROOT), "describe", *words).strip() or "unknown"


def epoch(environment: Mapping[str, str]) -> str:
    """Return the time that images say they were made at, in seconds; empty means now.

    It is SOURCE_DATE_EPOCH, else this checkout's commit's where nothing was edited since. buildx
    hands it to every target; no layer is keyed by it, as no Dockerfile declares it.

    Raises:
        UserError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    given = environment.get("SOURCE_DATE_EPOCH")
    if given is None:
        clean = not revision().endswith(("-dirty", "unknown"))
        shown = process.output("git", "-C", str(ROOT), "log", "-1", "--format=%ct")
        return shown.strip() if clean else ""
    if given and not given.isdecimal():
        raise UserError(
            "cannot build",
            f"SOURCE_DATE_EPOCH is {given!r}, not a number of seconds since 1970",
            "Unset it, or take a commit's: SOURCE_DATE_EPOCH=$(git log -1 --format=%ct).",
        )
    return given
