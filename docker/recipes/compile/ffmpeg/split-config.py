#!/usr/bin/python3
"""Makes what FFmpeg's configure wrote the same for variants wherever it can be.

    ffmpeg-config.py SOURCE         in the folder that configure ran in

Variants share the compiler caches only where they pass them the same words and files,
and configure has every compile know every feature:

* Flags in config.mak: a .pc file that repeats one, or gives a system folder another name,
  would part the variants. Each flag once, folders by their real name, gcc's own dropped.
  Lists of what was included name the libraries' headers too: ccache goes by them.
* config.asm goes into all assembly: what no assembly names is left out.
* config.h, config_components.h, the libraries' macros and folders: each object gets copies
  with those macros alone that its source, or something this may include, names, the flags
  of such macros, and of the folders those that something is found in. Objects of equal
  copies share one. An object whose source is not known here gets everything.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

HEADERS = ("config.h", "config_components.h")
FAMILIES = "ARCH|CONFIG|FFMPEG|HAVE"
"""How macros begin that are given to those that name them; others are given to all."""
# What follows tells a beginning that something is put behind: `HAVE_ ## x`, `JOIN(HAVE_, x)`.
_BEGINS = r"(\s*##|(?<=_)\s*[,)\n])?"
_INCLUDE = re.compile(rb"\n[ \t]*#[ \t]*include(?:_next)?[ \t]*(?:([\"<])([^\">\n]+)[\">]|\w)")


def canonical(line: str, own: Sequence[str]) -> tuple[str, list[str]]:
    """Return a line of config.mak and the flags and folders taken out of it, where it has flags.

    -MMD, which leaves the libraries' headers out, is -MD in any line. `own` are the
    folders that gcc looks into by itself: it ignores them in flags.
    """
    line = re.sub(r"-MMD\b", "-MD", line)
    name, _, value = line.partition("=")
    if name not in {"CPPFLAGS", "CFLAGS", "CXXFLAGS"}:
        return line, []
    words = list(dict.fromkeys(value.split()))
    found = [os.path.realpath(word[2:]) for word in words if word.startswith("-I/")]
    words = [word for word in words if not word.startswith("-I/")]
    kept = [folder for folder in dict.fromkeys(found) if folder not in own]
    if name == "CFLAGS":  # the one line of the three that make reads anew for each object
        # What begins with _ is for the C library, whose headers nearly everything includes.
        kept += [word for word in words if re.match("-D[^_]", word)]
        words = ["$(GIVEN)", *(word for word in words if word not in kept)]
    return f"{name}=" + " ".join(words), kept


def named(text: str, names: Iterable[str]) -> str:
    """Return config.asm with the macros of these names; NASM stops at the value of another."""
    names = set(names)
    lines = [line.split() for line in text.splitlines()]
    kept = [words for words in lines if words[:1] != ["%define"] or words[1] in names]
    return "\n".join(map(" ".join, kept)) + "\n"


@dataclass(frozen=True)
class Said:
    """What a file says: the macros it names, whole or their beginnings, and its includes."""

    names: frozenset[str]
    beginnings: frozenset[str]
    """Of names that are put together: `CONFIG_ ## x`."""
    includes: tuple[str, ...]
    computed: bool
    """Whether it includes what a macro says."""


class Naming:
    """Finds the macros that a text names, in comments and as a part of longer names as well."""

    def __init__(self, macros: Sequence[str]) -> None:
        """Take the macros that are looked for besides those of the families."""
        names = "|".join((rf"(?:{FAMILIES})_\w*", *macros))
        self.pattern = re.compile(f"({names}){_BEGINS}".encode())
        self.starts = [f"{family}_".encode() for family in FAMILIES.split("|")]
        self.starts += [macro.encode() for macro in macros]

    def found(self, text: bytes) -> Iterator[tuple[str, bool]]:
        """Find each, and whether something is put behind it.

        The pattern alone, tried at every byte, takes ten times as long.
        """
        for start in self.starts:
            at = text.find(start)
            while at >= 0 and (match := self.pattern.match(text, at)):
                yield match[1].decode(), bool(match[2])
                at = text.find(start, match.end(1))


def read(path: str, naming: Naming) -> Said:
    """Read what a file says."""
    text = b"\n" + Path(path).read_bytes()
    found = set(naming.found(text))
    includes = _INCLUDE.findall(text)
    return Said(
        frozenset(name for name, _ in found),
        frozenset(name for name, begins in found if begins),
        tuple(dict.fromkeys(name.decode() for _, name in includes if name)),
        any(not name for _, name in includes),
    )


class Tree:
    """Sources, and all that they may include."""

    def __init__(self, paths: Iterable[str], folders: Iterable[str], naming: Naming) -> None:
        """Take the sources, the folders in which includes are looked for, and what finds macros."""
        self.naming = naming
        self.folders = {one: set(os.listdir(one)) for one in folders if os.path.isdir(one)}  # noqa: PTH112, PTH208
        self.said: dict[str, Said] = {}
        self.places: dict[str, dict[str, str]] = {}
        self.edges: dict[str, set[str]] = {}
        self.used: dict[str, set[str]] = {}
        """The folders that a file's includes are found in."""
        left = list(paths)
        while left:
            path = left.pop()
            if path not in self.edges:
                self._read(path)
                left += self.edges[path]

    def _read(self, path: str) -> None:
        """Find every file that an include may mean, first and later ones alike."""
        self.said[path] = read(path, self.naming)
        self.edges[path], self.used[path] = set(), set()
        for name in self.said[path].includes:
            if name.rpartition("/")[2] in HEADERS:
                continue
            beside = _file(path.rpartition("/")[0], name)
            self.edges[path] |= {*self._found(name).values(), *([beside] if beside else [])}
            self.used[path] |= self._found(name).keys()

    def _found(self, name: str) -> dict[str, str]:
        if name not in self.places:
            first = name.partition("/")[0]
            found = {
                folder: _file(folder, name)
                for folder, names in self.folders.items()
                if first in names or first.startswith(".")
            }
            self.places[name] = {folder: place for folder, place in found.items() if place}
        return self.places[name]

    def masks(self, of: Callable[[Said, set[str]], int]) -> dict[str, int]:
        """Return for each file the bits of all that it reaches."""
        bits = {path: of(said, self.used[path]) for path, said in self.said.items()}
        above: dict[str, list[str]] = {path: [] for path in bits}
        for path, edges in self.edges.items():
            for edge in edges:
                above[edge].append(path)
        left = list(bits)
        while left:
            path = left.pop()
            for one in above[path]:
                if bits[path] & ~bits[one]:
                    bits[one] |= bits[path]
                    left.append(one)
        return bits


def _file(folder: str, name: str) -> str:
    place = os.path.normpath(f"{folder}/{name}")
    return place if os.path.isfile(place) else ""  # noqa: PTH113 # many


def gccs() -> list[str]:
    """Return the folders that gcc looks into by itself."""
    said = subprocess.run(
        ["gcc", "-E", "-v", "-x", "c", "/dev/null"], capture_output=True, text=True, check=True
    ).stderr
    listing = said.partition("search starts here:\n")[2].partition("End of search")[0]
    return [line.strip() for line in listing.splitlines() if line.startswith(" ")]


def makefiles(source: str) -> list[str]:
    """Return the folders of the tree that its makefiles have some objects look into."""
    found = []
    for path in Path(source).rglob("[Mm]akefile"):
        text = path.read_text(errors="replace")
        found += re.findall(r"-I\$\(SRC_\w+\)/([\w./-]+)", text)
    return [f"{source}/{folder}" for folder in found]


def macros(text: str) -> dict[str, str]:
    """Return the lines of a header of configure's by the macro that each defines."""
    return {line.split()[1]: line for line in text.splitlines() if line.startswith("#define ")}


def divide(source: str, given: Sequence[str], own: Sequence[str]) -> str:
    """Write the copies; return the lines of make that give each object its own.

    `given` are folders and flags (-DMACRO, -DMACRO=VALUE) that some objects need.
    """
    headers = {name: macros(Path(name).read_text()) for name in HEADERS}
    # What gives a folder, or a macro that is not in the headers.
    flags = {
        word[2:].partition("=")[0] if word.startswith("-D") else word: word
        if word.startswith("-D")
        else f"-I{word}"
        for word in given
    }
    folders = [word for word in flags if word.startswith("/")]
    names = [*flags, *(name for lines in headers.values() for name in lines)]
    bit = {name: 1 << at for at, name in enumerate(names)}
    family = tuple(f"{word}_" for word in FAMILIES.split("|"))
    always = sum(bit[name] for name in bit if name not in flags and not name.startswith(family))
    whole = 1 << len(names)

    @cache
    def beginning(word: str) -> int:
        return sum(bit[name] for name in bit if name.startswith(word))

    def bits(said: Said, used: set[str]) -> int:
        found = whole if said.computed else 0
        for word in said.beginnings:
            found |= beginning(word)
        for name in (*said.names, *used):
            found |= bit.get(name, 0)
        return found

    @cache
    def copy(mask: int) -> Path:
        wanted = [name for name in bit if mask & bit[name]]
        folder = Path("config", sha256(" ".join(wanted).encode()).hexdigest()[:12])
        folder.mkdir(parents=True)
        for header, lines in headers.items():
            text = "".join(f"{lines[name]}\n" for name in wanted if name in lines)
            (folder / header).write_text(text)
        return folder

    paths = [str(path) for path in Path(source).rglob("*.[ch]")]
    places = [".", source, *makefiles(source), *folders, *own]
    naming = Naming([name for name in flags if name not in folders])
    masks = Tree(paths, places, naming).masks(bits)
    lines = [f"GIVEN = {' '.join(flags.values())}"]
    for path in paths:
        if path.endswith(".c") and not (mask := masks[path]) & whole:
            words = [flag for name, flag in flags.items() if mask & bit[name]]
            words.insert(0, f"-iquote{copy(mask & ~sum(map(bit.__getitem__, flags)) | always)}")
            lines.append(f"{path[len(source) + 1 : -2]}.o: GIVEN = {' '.join(words)}")
    return "\n".join(lines) + "\n"


def main(source: str) -> None:
    """Change configure's files in the working folder."""
    path = Path("ffbuild/config.mak")
    own = gccs()
    real = [os.path.realpath(folder) for folder in own]
    lines, given = [], []
    for line in path.read_text().splitlines():
        new, found = canonical(line, real)
        lines.append(new)
        given += found
    divided = divide(source, list(dict.fromkeys(given)), own)
    path.write_text("\n".join(lines) + "\n" + divided)
    path = Path("config.asm")
    if path.exists():
        assembly = (one.read_text(errors="replace") for one in Path(source).rglob("*.asm"))
        words = {word for text in assembly for word in re.findall(r"\w+", text)}
        path.write_text(named(path.read_text(), words))


if __name__ == "__main__":
    main(sys.argv[1])
