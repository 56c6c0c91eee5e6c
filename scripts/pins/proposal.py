"""What an update proposes for pinned versions, in the same form for all kinds of pins."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

SUBJECT = 71
"""The maximum number of characters of a commit's subject."""
FIRST_YEAR = 2000
"""The least first number of a version that is a year, as in 2026.10.20."""


@dataclass(frozen=True)
class Finding:
    """What is known about a part: pins that are updated together."""

    part: str
    """The name by which the command line selects it."""
    home: str
    """Where the pins are; `home_of` writes it."""
    pinned: str
    """The version, or how many there are."""
    newest: str = ""
    """What `pinned` becomes; empty if nothing is newer or the part stays."""
    details: tuple[str, ...] = ()
    """The changes one by one, if there are several."""
    problem: str = ""
    """Why the part stays although its origin has something else; empty if it does not."""
    notes: tuple[str, ...] = ()
    """What a person may want to know, such as a new major version."""
    held: str = ""
    """The reason in the file why the pin must stay; empty if it may change."""
    asked: bool = True
    """Whether the origin answered; `problem` has the reason if it did not."""

    @property
    def is_behind(self) -> bool:
        """Whether the pins are not what the origin has now, or the origin did not answer."""
        return bool(self.newest or self.problem)

    @property
    def state(self) -> str:
        """One of: current, newer, held, stays, not asked."""
        if not self.asked:
            return "not asked"
        if self.held:
            return "held"
        if self.problem:
            return "stays"
        return "newer" if self.newest else "current"


@dataclass(frozen=True)
class Step:
    """One commit."""

    message: str
    files: Mapping[Path, str]
    """The new content of each file, by its path relative to the checkout."""


@dataclass(frozen=True)
class Proposal:
    """What to do with some parts."""

    findings: tuple[Finding, ...] = ()
    """One for each part."""
    steps: tuple[Step, ...] = field(default=(), repr=False)
    """The commits, in their order. A later one contains the changes of the earlier ones."""
    remarks: tuple[str, ...] = ()
    """What to tell the user after the commits."""


class Kind(Protocol):
    """Pins that are found, asked for and edited in one way."""

    def parts(self) -> Mapping[str, Sequence[Path]]:
        """Return the parts, and the files that an update of each one may change.

        The files are relative to the checkout.

        Raises:
            UserError: a file with pins is damaged.
        """
        ...

    def ask(self, parts: Sequence[str]) -> Proposal:
        """Ask the origins of some parts.

        An origin that does not answer is the `problem` of its parts.

        Raises:
            UserError: a file with pins is damaged, or an origin has something that must not be
                used.
        """
        ...


def held(line: str) -> str:
    """Return the reason in a comment `hold: REASON` at the end of a line; empty if there is none.

    Such a comment begins with # or //; other comments may precede the reason, after a semicolon.
    """
    found = re.search(r"(?:#|//|;)\s*hold: *(\S.*)$", line)
    return found[1].strip() if found else ""


def message(scope: str, title: str, details: Sequence[str] = (), remark: str = "") -> str:
    """Return the message of a commit: `SCOPE: TITLE`, the changes one by one, and a remark.

    A title that is too long for a subject is the first line of the body.
    """
    subject, paragraphs = f"{scope}: {title}", ["\n".join(details), remark]
    if len(subject) > SUBJECT:
        subject, paragraphs = f"{scope}: update", [title, *paragraphs]
    return "\n\n".join([subject, *filter(None, paragraphs)])


def series(version: str) -> str:
    """Return the first number of a version, whose change needs a person's decision.

    It is empty for a version that begins with a year, as a new year is no such change.
    """
    first = re.match(r"v?(\d+)", version)
    return "" if not first or int(first[1]) >= FIRST_YEAR else first[1]


def home_of(paths: Iterable[Path]) -> str:
    """Return the first of some files, and how many there are besides."""
    first, *others = dict.fromkeys(map(str, paths))
    return f"{first} and {len(others)} more" if others else first


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 module` or `2 modules`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
