"""The Python packages of the workbench: dev/requirements.txt, which uv locks with their digests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.core.console import UserError
from scripts.pins import uv
from scripts.pins.proposal import Finding, Proposal, Step, count, message

HOME = Path("dev/requirements.txt")
REQUESTED = Path("dev/requirements.in")
PART = str(HOME)
OPTIONS = (
    "--python-version=3.13",  # of Debian 13
    "--python-platform=x86_64-manylinux_2_28",
    "--only-binary=:all:",  # venv.sh installs wheels only
    "--generate-hashes",
    f"--custom-compile-command=nox -s update -- {PART}",
)
INDEX = "the package index"


class Workbench:
    """The kind of pin; all packages are one part, as each may require versions of the others."""

    def __init__(self, root: Path) -> None:
        """Store the checkout."""
        self._root = root

    def parts(self) -> dict[str, tuple[Path, ...]]:
        """Return the part; an edit of requirements.in must be committed before it is locked."""
        return {PART: (HOME, REQUESTED)}

    def ask(self, parts: Sequence[str]) -> Proposal:
        """Lock the packages again.

        Raises:
            UserError: uv is not installed, or a file cannot be read.
        """
        if not parts:
            return Proposal()
        try:
            before = (self._root / HOME).read_text()
        except OSError as error:
            raise UserError(
                f"cannot read {HOME}", error.strerror or str(error), f"`git restore {HOME}`"
            ) from error
        pinned = count(len(uv.versions(before)), "package")
        try:
            after = uv.lock(REQUESTED, *OPTIONS, cwd=self._root)
        except uv.NoSolutionError as error:
            why = f"{INDEX} has no versions that fit {REQUESTED}: {error}"
            return Proposal((Finding(PART, PART, pinned, problem=why),))
        except uv.UnreachableError as error:
            why = f"{INDEX} does not answer: {error}"
            return Proposal((Finding(PART, PART, pinned, problem=why, asked=False),))
        details = changes(uv.versions(before), uv.versions(after))
        if not details:
            return Proposal((Finding(PART, PART, pinned),))
        newest = f"{len(details)} newer"
        title = details[0] if len(details) == 1 else f"{len(details)} packages"
        text = message(PART, title, details if len(details) > 1 else ())
        return Proposal(
            (Finding(PART, PART, pinned, newest, details),), (Step(text, {HOME: after}),)
        )


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return the differences between two sets of versions, one package each."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old and new and old != new:
            lines.append(f"{name} {old} to {new}")
        elif not (old and new):
            lines.append(f"{name} {new}, which is added" if new else f"{name} is no longer needed")
    return tuple(lines)
