"""Read and write docker/recipes/fetch/locked/sources.lock, whose comments describe its columns."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.images.bases import SUITE

PATH = ROOT / "docker" / "recipes" / "fetch" / "locked" / "sources.lock"
SUITES = (SUITE, "testing", "experimental")
"""The suites of Debian that files come from."""
PYPI, CRATES = "pypi", "crates.io"
"""The indexes that files come from."""
ORIGINS = (*SUITES, PYPI, CRATES)

_HEADER = ("# name", "version", "sha256", "origin", "path", "address")
_ARCHIVE = "archive"
_REQUIRED, _ALIGNED = 5, 4
"""The number of columns that each file has, and of those that are padded to one width."""


@dataclass(frozen=True)
class File:
    """A file that the builds fetch: a line of the lock."""

    name: str
    """PART, or PART/FILE for a part of several files."""
    version: str
    sha256: str
    origin: str
    """One of `ORIGINS`."""
    path: str
    """The path in Debian's pool, or the name in the index."""
    address: str = ""
    """Where upstream has the same file; empty if the lock names none."""

    @property
    def part(self) -> str:
        """The part that the file belongs to."""
        return self.name.partition("/")[0]

    @property
    def short(self) -> str:
        """The name without the part, if the part has several files."""
        return self.name.rpartition("/")[2]

    @property
    def is_debian(self) -> bool:
        """Whether the file is from a suite of Debian."""
        return self.origin in SUITES


@dataclass(frozen=True)
class Lock:
    """The content of the lock. A change makes another lock."""

    lines: tuple[str | tuple[str, ...], ...]
    """Comments and empty lines as they are, the other lines and the header as cells."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the lock with this content.

        Raises:
            UserError: a line is damaged; the message has its number.
        """
        lines: list[str | tuple[str, ...]] = []
        names: dict[str, str] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if line.startswith(_HEADER[0] + " "):
                lines.append((_HEADER[0], *line.split()[2:]))
            elif not line.strip() or line.startswith("#"):
                lines.append(line)
            else:
                cells = tuple(line.split())
                if fault := _fault(cells, names):
                    raise _damaged(f"line {number}, `{cells[0]}`, {fault}")
                names[cells[0]] = "" if cells[0] == _ARCHIVE else cells[3]
                lines.append(cells)
        if _ARCHIVE not in names:
            raise _damaged("it has no line `archive` with a day of Debian's archive")
        if len(names) == 1:
            raise _damaged("it names no file")
        return cls(tuple(lines))

    @classmethod
    def read(cls) -> Self:
        """Return the lock of this checkout.

        Raises:
            UserError: the file does not exist, or a line is damaged.
        """
        try:
            return cls.parse(PATH.read_text())
        except OSError as error:
            raise _damaged(error.strerror or str(error)) from error

    @property
    def files(self) -> dict[str, File]:
        """The files by name, in the order of the lines."""
        return {cells[0]: File(*cells) for cells in self._rows() if len(cells) >= _REQUIRED}

    @property
    def parts(self) -> dict[str, list[File]]:
        """The files of each part."""
        parts: dict[str, list[File]] = {}
        for file in self.files.values():
            parts.setdefault(file.part, []).append(file)
        return parts

    @property
    def archive(self) -> str:
        """The time that is asked for in Debian's archive, such as 20261127T000000Z."""
        return next(cells[1] for cells in self._rows() if cells[0] == _ARCHIVE)

    def replace(self, files: Mapping[str, File], archive: str = "") -> "Lock":
        """Return a lock with other lines for these files, and with another time if one is given."""
        lines: list[str | tuple[str, ...]] = []
        for line in self.lines:
            if isinstance(line, tuple) and line[0] in files:
                new = files[line[0]]
                cells = (new.name, new.version, new.sha256, new.origin, new.path, new.address)
                lines.append(tuple(filter(None, cells)))
            elif archive and isinstance(line, tuple) and line[0] == _ARCHIVE:
                lines.append((_ARCHIVE, archive))
            else:
                lines.append(line)
        return Lock(tuple(lines))

    def text(self) -> str:
        """Return the content of the file, with aligned columns."""
        rows = [line for line in self.lines if isinstance(line, tuple)]
        widths = [
            max(len(row[column]) for row in rows if column < len(row) - 1)
            for column in range(_ALIGNED)
        ]
        return "".join(
            f"{line if isinstance(line, str) else _aligned(line, widths)}\n" for line in self.lines
        )

    def _rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the lines that are neither comments nor the header."""
        for line in self.lines:
            if isinstance(line, tuple) and line[0] != _HEADER[0]:
                yield line


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
    return "  ".join([*cells, *row[_ALIGNED:]]).rstrip()


def _fault(cells: tuple[str, ...], names: Mapping[str, str]) -> str:
    """Return what is wrong with a line; an empty string if nothing is.

    Args:
        cells: the columns of the line.
        names: the origins of the earlier lines by name.
    """
    if cells[0] in names:
        return "is there twice"
    if cells[0] == _ARCHIVE:
        is_time = len(cells) == 2 and re.fullmatch(r"\d{8}T\d{6}Z", cells[1])  # noqa: PLR2004
        return "" if is_time else "needs one time, such as 20261127T000000Z"
    if not _REQUIRED <= len(cells) <= len(_HEADER):
        columns = " ".join(_HEADER[:_REQUIRED]).removeprefix("# ")
        return f"has {len(cells)} columns; it needs {columns}, and may have an address"
    file = File(*cells)
    return _fault_of_cells(file) or _fault_of_path(file) or _fault_of_part(file, names)


def _fault_of_cells(file: File) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", file.sha256):
        return f"has the digest `{file.sha256}`, which is not a SHA-256 of 64 hexadecimal digits"
    if file.origin not in ORIGINS:
        return f"has the origin `{file.origin}`, which is none of {', '.join(ORIGINS)}"
    if file.address and not file.address.startswith("https://"):
        return f"has the address `{file.address}`, which does not begin with https://"
    return ""


def _fault_of_path(file: File) -> str:
    if not file.is_debian:
        return (
            f"has the path `{file.path}`, which is no name in an index" if "/" in file.path else ""
        )
    if not re.fullmatch(r"pool/\S+/[^/_]+_[^/]+(\.deb|\.orig\.tar\.\w+)", file.path):
        return f"has the path `{file.path}`, which is no package or source tarball of Debian's pool"
    if not any(f"_{file.version}{end}" in file.path for end in ("_", ".orig.tar.")):
        return f"has the version {file.version}, and its path has another: {file.path}"
    return ""


def _fault_of_part(file: File, names: Mapping[str, str]) -> str:
    others = {name: origin for name, origin in names.items() if name.split("/")[0] == file.part}
    if others and file.part in {*others, file.name}:
        return f"makes {file.part} a part of one file and of several"
    if others and file.origin not in others.values():
        return f"is from {file.origin}, and other files of {file.part} are not"
    return ""


def _damaged(why: str) -> UserError:
    shown = PATH.relative_to(ROOT)
    return UserError(
        f"cannot read {shown}",
        why,
        "Its first lines describe the columns; `git log -p` on the file has its earlier content.",
    )
