"""The patterns of a .dockerignore file, which choose the files of a build context."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TOKENS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]*\]|.")


@dataclass(frozen=True)
class _Pattern:
    text: str
    includes: bool
    """Whether it begins with `!`."""
    expression: re.Pattern[str]

    def reaches_below(self, directory: str) -> bool:
        """Whether it can include a file below a directory that other patterns exclude."""
        return self.includes and ("*" in self.text or self.text.startswith(f"{directory}/"))


def _read(line: str) -> _Pattern:
    text = os.path.normpath(line.removeprefix("!").strip()).lstrip("/")
    expression = "".join(
        _TOKENS.get(token, token if token[0] == "[" and token[1:] else re.escape(token))
        for token in _TOKEN.findall(text)
    )
    return _Pattern(text, line.startswith("!"), re.compile(f"{expression}(?:/.*)?"))


@dataclass(frozen=True)
class Ignore:
    """The patterns in their order; the last one that matches a file decides."""

    patterns: tuple[_Pattern, ...] = ()

    def excludes(self, path: str) -> bool:
        """Whether the context lacks a file, whose path is relative to the context."""
        matching = (p for p in reversed(self.patterns) if p.expression.fullmatch(path))
        last = next(matching, None)
        return last is not None and not last.includes

    def files(self, context: Path) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the relative paths of the files and symbolic links in a context, sorted."""
        yield from self._below(str(context), "")

    def _below(self, directory: str, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(directory) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        for entry in entries:
            path = f"{prefix}{entry.name}"
            excluded = self.excludes(path)
            if entry.is_dir(follow_symlinks=False):
                if not excluded or any(p.reaches_below(path) for p in self.patterns):
                    yield from self._below(entry.path, f"{path}/")
            elif not excluded and (entry.is_file() or entry.is_symlink()):
                with suppress(FileNotFoundError):  # it was removed meanwhile
                    yield path, entry.stat(follow_symlinks=False)


def read(context: Path) -> Ignore:
    """Return the patterns of the .dockerignore in a context; without one, none."""
    path = context / ".dockerignore"
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return Ignore(tuple(_read(line) for line in lines if line.strip() and line[0] != "#"))
