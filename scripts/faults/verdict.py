"""Judge what a build that was disturbed, and the next one, did; and show it in a table."""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from rich import box
from rich.table import Table

_LONGEST = 160


class Disturbed(Struct):
    """A build that a fault disturbed."""

    seconds: float
    error: str = ""
    """The message of its error; empty if it succeeded."""
    in_words: bool = True
    """Whether the error is one for users, not a traceback."""
    differences: list[str] = []
    """If it succeeded: the files that differ from those of a cold build of the same sources."""


class Row(Struct):
    """A fault, and what followed."""

    fault: str
    what: str
    errors: Sequence[str] = ()
    """The disturbed build fails, with one of these texts; if there are none, it succeeds."""
    planted: str = ""
    """What was planted, in words; empty if the build ended first."""
    without_effect: str = ""
    """Why the disturbed builds cannot have met the fault."""
    disturbed: list[Disturbed] = []
    restarted: bool = False
    """Whether the daemon had ended without having been killed, and was started again."""
    next_seconds: float = 0.0
    next_error: str = ""
    verified: bool = False
    differences: list[str] = []
    """The files of the next image that differ from those of a cold build."""

    @property
    def problems(self) -> list[str]:
        """What is wrong; empty if the project survived the fault."""
        found = []
        if not self.planted:
            found.append("the fault was not planted, as the build ended first")
        if not self.disturbed:
            found.append("there was no disturbed build")
        if self.without_effect:
            found.append(self.without_effect)
        for build in self.disturbed:
            found += self._of_disturbed(build)
        if self.next_error:
            found.append(f"the next build failed: {self.next_error}")
        elif not self.verified:
            found.append("the next image does not verify")
        if self.differences:
            found.append(f"the next image differs from a cold build: {_some(self.differences)}")
        return found

    def _of_disturbed(self, build: Disturbed) -> Iterable[str]:
        if build.differences:
            yield f"a disturbed build made a wrong image: {_some(build.differences)}"
        if not build.error:
            if self.errors:
                yield "the disturbed build did not notice the fault"
        elif not build.in_words:
            yield f"the error of the disturbed build is not one for users: {build.error}"
        elif not self.errors:
            yield f"the disturbed build failed: {build.error}"
        elif not any(text in build.error for text in self.errors):
            yield f"the disturbed build failed for another reason: {build.error}"

    @property
    def survived(self) -> bool:
        """Whether everything is as it has to be."""
        return not self.problems


def _some(differences: Sequence[str], number: int = 5) -> str:
    more = f" and {len(differences) - number} more" if len(differences) > number else ""
    return "; ".join(differences[:number]) + more


def _said(build: Disturbed, errors: Sequence[str]) -> str:
    """Return how a disturbed build ended, with the line of its error that has the reason."""
    if not build.error:
        return f"succeeded ({build.seconds:.0f} s), {_equal(build.differences)}"
    lines = build.error.splitlines()
    told = next((line for line in lines if any(text in line for text in errors)), lines[0])
    return f"failed: {told.strip()[:_LONGEST]}"


def _equal(differences: Sequence[str]) -> str:
    return f"{len(differences)} files differ" if differences else "equal"


def table(rows: Sequence[Row]) -> Table:
    """Return the table of all rows."""
    made = Table(
        "fault",
        "planted",
        "the disturbed build",
        "the next build",
        "verified",
        "files",
        "survived",
        box=box.MARKDOWN,
    )
    for row in rows:
        after = " (restarted the daemon)" if row.restarted else ""
        made.add_row(
            row.fault,
            f"{row.what}; {row.planted}",
            "; ".join(_said(build, row.errors) for build in row.disturbed) + after,
            f"failed: {row.next_error.splitlines()[0]}"
            if row.next_error
            else f"succeeded ({row.next_seconds:.0f} s)",
            "yes" if row.verified else "no",
            "-" if row.next_error else _equal(row.differences),
            "yes" if row.survived else "NO",
        )
    return made
