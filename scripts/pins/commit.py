"""Write the steps of a proposal: the new content of the files, and a commit for each step."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.pins.proposal import Step


def require_committed(root: Path, paths: Iterable[Path]) -> None:
    """Check that git has files as they are, so that a commit contains the update only.

    Args:
        root: the checkout.
        paths: the files, relative to the checkout.

    Raises:
        UserError: a file was edited, the directory is not a git checkout, or git is not installed.
    """
    names = sorted({str(path) for path in paths})
    listed = process.run("git", "status", "--porcelain", "--", *names, cwd=root)
    if listed.returncode or listed.stdout:
        edited = ", ".join(line[3:] for line in listed.stdout.splitlines())
        raise UserError(
            f"cannot update {edited or 'the pins'}",
            listed.stderr.strip() or "it has changes that are not committed",
            "Commit them or restore the file; `nox -s update -- --check` needs neither.",
        )


def write(root: Path, steps: Sequence[Step]) -> int:
    """Write the files of each step and commit them; return the number of commits.

    Raises:
        UserError: a file was edited meanwhile, or git cannot commit. The files of that step are as
            before, and the commits of the earlier steps remain.
    """
    for step in steps:
        require_committed(root, step.files)
        before = {path: (root / path).read_bytes() for path in step.files}
        for path, text in step.files.items():
            (root / path).write_text(text)
        done = process.run(
            *("git", "commit", "--quiet", "--only", "--message", step.message, "--"),
            *map(str, step.files),
            cwd=root,
        )
        if done.returncode:
            for path, content in before.items():
                (root / path).write_bytes(content)
            raise UserError(
                f"cannot commit {', '.join(map(str, step.files))}",
                (done.stderr or done.stdout).strip(),
                "The content is as before. Run `nox -s update` again when git can commit.",
            )
        say(f"committed: {step.message.splitlines()[0]}")
    return len(steps)
