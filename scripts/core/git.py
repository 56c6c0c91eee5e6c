"""Read this checkout with git: its files, its revision and the time of its commit."""

from collections.abc import Mapping
from pathlib import Path

from scripts.core import process
from scripts.core.console import UserError
from scripts.core.paths import ROOT


def tracked(*patterns: str) -> list[Path]:
    """Return matching files that git tracks or would add, relative to the checkout.

    Tracked files that have been deleted are left out. Without patterns, all files match.
    """
    listed = process.run(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns, cwd=ROOT
    )
    return [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def dockerfiles() -> list[Path]:
    """Return every Dockerfile of the checkout, including files that no bake file names."""
    return tracked("*Dockerfile*", "*Containerfile*")


def revision() -> str:
    """Return the commit that is checked out, with `-dirty` if a tracked file was edited.

    It is `unknown` if git is not installed or the files are not a git checkout.
    """
    described = process.output(
        *("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"), cwd=ROOT
    )
    return described.strip() or "unknown"


def epoch(environment: Mapping[str, str]) -> str:
    """Return the creation time of images in seconds since 1970; an empty string means now.

    It is SOURCE_DATE_EPOCH if that is set, else the time of the commit if no tracked file was
    edited. buildx passes it to every target. It invalidates no layer, because no Dockerfile
    declares it (the rule arg-no-time of the policy).

    Args:
        environment: the environment variables of the user.

    Raises:
        UserError: SOURCE_DATE_EPOCH is not a number of seconds.
    """
    requested = environment.get("SOURCE_DATE_EPOCH")
    if requested is None:
        if revision().endswith(("-dirty", "unknown")):
            return ""
        return process.output("git", "log", "-1", "--format=%ct", cwd=ROOT).strip()
    if requested and not requested.isdecimal():
        raise UserError(
            "cannot build",
            f"SOURCE_DATE_EPOCH is {requested!r}, not a number of seconds since 1970",
            "Unset it, or use the time of a commit: SOURCE_DATE_EPOCH=$(git log -1 --format=%ct).",
        )
    return requested


def has(commit: str) -> bool:
    """Return whether this checkout has a commit."""
    return bool(process.output("git", "cat-file", "-t", f"{commit}^{{commit}}", cwd=ROOT))


def read(commit: str, path: str) -> str:
    """Return the text of a file in a commit of this checkout; empty if it does not exist."""
    return process.output("git", "show", f"{commit}:{path}", cwd=ROOT)


def time(commit: str) -> int:
    """Return the time of a commit of this checkout, in seconds since 1970."""
    return int(process.output("git", "log", "-1", "--format=%ct", commit, cwd=ROOT))


def archive(commit: str, prefix: str, path: Path) -> None:
    """Write the files of a commit of this checkout to a tar file.

    Settings of the user that would change its bytes are not used.

    Args:
        commit: the commit.
        prefix: the directory of the files in the tar file.
        path: the tar file.

    Raises:
        UserError: git cannot read the commit, or cannot write the file.
    """
    done = process.run(
        *("git", "-c", "tar.umask=0022", "-c", "core.autocrlf=false", "archive", "--format=tar"),
        *(f"--prefix={prefix}/", f"--output={path}", commit),
        cwd=ROOT,
    )
    if done.returncode:
        raise UserError(
            f"cannot write {path.name}",
            done.stderr.strip(),
            "`git fsck` finds missing objects; `git fetch` may add them.",
        )
