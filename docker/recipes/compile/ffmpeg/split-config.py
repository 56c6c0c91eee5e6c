#!/usr/bin/python3
"""Compile each FFmpeg object with only the part of configure's output that it can use.

    split-config.py SOURCE GCC     in the directory where configure ran

Nearly every source includes config.h, which has a macro for every feature. So one feature more
changes the input of every compile, and variants of FFmpeg would share nothing in the compiler
caches. This script gives each object reduced copies of config.h and config_components.h, which
are equal in all variants that do not differ for that object.

Invariant: preprocessing a source with the reduced headers and flags gives the same text as with
the complete ones. It holds because a reduced header has every macro that the source, or any file
that it may include, mentions anywhere, even in a comment; and, if they put names of macros
together, every macro whose name consists of words in these files. A macro that no file mentions
cannot change the text. tests/unit/test_ffmpeg_config.py checks the invariant with gcc.

An example. libavfilter/vf_scale.c has no macro of configure's, and includes "scale_eval.h" and
"config.h"; scale_eval.h has `#if CONFIG_VULKAN`. From configure's

    #define CONFIG_CUDA 1
    #define CONFIG_VULKAN 0
    #define CC_IDENT "gcc"

vf_scale.o gets the copy config/3f2a.../config.h with CONFIG_VULKAN and CC_IDENT, and the makefile
gets the line

    libavfilter/vf_scale.o: OBJECT_FLAGS = -iquoteconfig/3f2a...

It has no CONFIG_CUDA, so that vf_scale.o is the same object in a variant without CUDA.

What is reduced, and how:

1. Headers. A macro of a family (`ARCH_`, `CONFIG_`, `FFMPEG_`, `HAVE_`) is only in the copies of
   the objects that mention it; all other macros, such as CC_IDENT, are in every copy. A name that
   is put together, as in `CONFIG_ ## name`, mentions all macros with that beginning. A source
   that includes a macro's value (`#include HEADER`) may include anything: it keeps the complete
   headers and all flags. Objects with equal copies share a copy, whose path is the digest of its
   macros' names and so the same in all variants.
2. Flags. The directories (-I, -isystem) and macros (-D) that configure found in the libraries' .pc
   files are only passed for objects with an include that is found in the directory, or that mention
   the macro. Each flag is passed once, directories by their real path, and without the directories
   that gcc searches anyway. -MMD becomes -MD, as ccache needs to see the libraries' headers.
3. config.asm, which is part of all assembly, loses the macros that no assembly mentions.
"""

import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

HEADERS = ("config.h", "config_components.h")
FAMILIES = ("ARCH_", "CONFIG_", "FFMPEG_", "HAVE_")
"""How the macros begin that only the objects that mention them get."""
EVERYTHING = "*"
"""A mention of all macros, flags and directories."""

# A macro that begins with _ is for the C library, which nearly everything includes. The other two
# are set in all variants.
_OPTIONAL_MACRO = re.compile(r"-D(?!PIC$|ZLIB_CONST$)[^_]")
_WORD = re.compile(rb"\w+")
_PIECES = 2
"""The number of words after the beginning of a name in `HAVE_ ## x ## y`. A source that may put
more together gets the complete headers."""
_CHAIN = re.compile(rb"(\s*##\s*\w+)*")
# What follows the beginning of a name that is put together: `HAVE_ ## x`, `JOIN(HAVE_, x)`.
_PASTED = r"(\s*##|(?<=_)\s*[,)\n])?"
_INCLUDE = re.compile(rb"\n[ \t]*#[ \t]*include(?:_next)?[ \t]*(?:([\"<])([^\">\n]+)[\">]|\w)")


# --- flags --------------------------------------------------------------------


def split_flags(line: str, searched: Sequence[str]) -> tuple[str, list[str]]:
    """Return a line of config.mak in canonical form, and what is taken out of it.

    Taken out are directories (`/usr/include/x`) and macros (`-DX=1`) that only some objects need.
    `searched` are the directories that gcc searches without a flag.
    """
    line = re.sub(r"-MMD\b", "-MD", line)
    line = re.sub(r"-isystem +(?=/)", "-I", line)  # a directory as the others, if searched later
    variable, _, value = line.partition("=")
    if variable not in {"CPPFLAGS", "CFLAGS", "CXXFLAGS"}:
        return line, []
    flags = list(dict.fromkeys(value.split()))
    paths = [os.path.realpath(flag[2:]) for flag in flags if flag.startswith("-I/")]
    flags = [flag for flag in flags if not flag.startswith("-I/")]
    optional = [path for path in dict.fromkeys(paths) if path not in searched]
    if variable != "CXXFLAGS":
        optional += [flag for flag in flags if _OPTIONAL_MACRO.match(flag)]
        flags = [flag for flag in flags if flag not in optional]
    if variable == "CFLAGS":  # of the three, only this one is evaluated for each object
        flags = ["$(OBJECT_FLAGS)", *flags]
    return f"{variable}=" + " ".join(flags), optional


def gcc_directories(gcc: str) -> list[str]:
    """Return the directories that gcc searches for includes without a flag.

    Args:
        gcc: the compiler, `gcc` or a cross compiler.
    """
    output = subprocess.run(
        [gcc, "-E", "-v", "-x", "c", "/dev/null"], capture_output=True, text=True, check=True
    ).stderr
    listing = output.partition("search starts here:\n")[2].partition("End of search")[0]
    return [line.strip() for line in listing.splitlines() if line.startswith(" ")]


def makefile_directories(source: str) -> list[str]:
    """Return the directories of the tree that its makefiles pass to some objects by -I."""
    names: list[str] = []
    for path in Path(source).rglob("[Mm]akefile"):
        names += re.findall(r"-I\$\(SRC_\w+\)/([\w./-]+)", path.read_text(errors="replace"))
    return [f"{source}/{name}" for name in names]


# --- what files mention -------------------------------------------------------


@dataclass(frozen=True)
class Mentions:
    """The macros and includes that a file mentions."""

    names: frozenset[str]
    beginnings: frozenset[str]
    """Beginnings of names that are put together: `CONFIG_` of `CONFIG_ ## x`."""
    includes: tuple[str, ...]
    has_computed_include: bool
    """Whether it includes the value of a macro."""


class MacroFinder:
    """Finds mentions of macros in a text, also in comments and inside longer names."""

    def __init__(self, macros: Sequence[str]) -> None:
        """Look for these macros and for all of the families."""
        names = "|".join((*(rf"{family}\w*" for family in FAMILIES), *macros))
        self.pattern = re.compile(f"({names}){_PASTED}".encode())
        self.starts = [name.encode() for name in (*FAMILIES, *macros)]

    def find(self, text: bytes) -> Iterator[tuple[str, bool]]:
        """Yield each mention, and whether it is the beginning of a name that is put together.

        Searching for the starts first is ten times as fast as trying the pattern at every byte.
        """
        for start in self.starts:
            at = text.find(start)
            while at >= 0 and (match := self.pattern.match(text, at)):
                yield match[1].decode(), bool(match[2])
                chain = _CHAIN.match(text, match.end(1))
                if chain and chain[0].count(b"##") > _PIECES:
                    yield EVERYTHING, False
                at = text.find(start, match.end(1))


def read(path: str, finder: MacroFinder) -> Mentions:
    """Return what a file mentions."""
    text = b"\n" + Path(path).read_bytes()
    mentions = set(finder.find(text))
    includes = _INCLUDE.findall(text)
    return Mentions(
        frozenset(name for name, _ in mentions),
        frozenset(name for name, is_beginning in mentions if is_beginning),
        tuple(dict.fromkeys(name.decode() for _, name in includes if name)),
        any(not name for _, name in includes),
    )


class IncludeGraph:
    """The sources and all files that they may include.

    If several directories have a file of an included name, all of these files count as included.
    """

    def __init__(
        self, sources: Iterable[str], directories: Iterable[str], finder: MacroFinder
    ) -> None:
        """Read the sources and everything that they include."""
        self.finder = finder
        self.entries = {
            directory: frozenset(os.listdir(directory))  # noqa: PTH208 # names are enough
            for directory in directories
            if os.path.isdir(directory)  # noqa: PTH112 # likewise
        }
        self.mentions: dict[str, Mentions] = {}
        self.included: dict[str, set[str]] = {}
        self.directories: dict[str, set[str]] = {}
        """The directories in which a file's includes are found."""
        self._matches: dict[str, dict[str, str]] = {}
        unread = list(sources)
        while unread:
            path = unread.pop()
            if path not in self.included:
                self._read(path)
                unread += self.included[path]

    def _read(self, path: str) -> None:
        self.mentions[path] = read(path, self.finder)
        self.included[path], self.directories[path] = set(), set()
        for name in self.mentions[path].includes:
            if name.rpartition("/")[2] in HEADERS:
                continue
            matches = self._search(name)
            beside = _file(path.rpartition("/")[0], name)
            self.included[path] |= {*matches.values(), *([beside] if beside else [])}
            self.directories[path] |= matches.keys()

    def _search(self, name: str) -> dict[str, str]:
        """Return the files that an include may mean, by the directory of the search path."""
        if name not in self._matches:
            first = name.partition("/")[0]
            files = {
                directory: _file(directory, name)
                for directory, entries in self.entries.items()
                if first in entries or first.startswith(".")
            }
            self._matches[name] = {directory: path for directory, path in files.items() if path}
        return self._matches[name]

    def closure(self, own: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
        """Return for each file the union of `own` over all files that it reaches."""
        includers: dict[str, list[str]] = {path: [] for path in own}
        for path, included in self.included.items():
            for each in included:
                includers[each].append(path)
        reached = dict(own)
        changed = list(own)
        while changed:
            path = changed.pop()
            for includer in includers[path]:
                if not reached[path] <= reached[includer]:
                    reached[includer] |= reached[path]
                    changed.append(includer)
        return reached

    def words(self, paths: Iterable[str], source: str) -> frozenset[str]:
        """Return the words in files and in what they include of the source tree.

        The headers of libraries differ between variants, and know no name of configure's.
        """
        unread, seen, found = list(paths), set[str](), set[bytes]()
        while unread:
            path = unread.pop()
            if path not in seen and path.startswith(source):
                seen.add(path)
                found.update(_WORD.findall(Path(path).read_bytes()))
                unread += self.included[path]
        return frozenset(word.decode() for word in found)


def is_composed(text: str, words: Collection[str]) -> bool:
    """Return whether a text can be put together from at most `_PIECES` words.

    >>> is_composed("SSE2_EXTERNAL", {"SSE2", "_EXTERNAL"})
    True
    """
    ends = {0}
    for _ in range(_PIECES):
        ends |= {
            end for start in ends for end in range(start, len(text) + 1) if text[start:end] in words
        }
    return len(text) in ends


def _file(directory: str, name: str) -> str:
    """Return the path of a file in a directory, or nothing if there is none."""
    path = os.path.normpath(f"{directory}/{name}")
    return path if os.path.isfile(path) else ""  # noqa: PTH113 # called for many files


# --- reduced headers ----------------------------------------------------------


def macros(text: str) -> dict[str, str]:
    """Return the lines of one of configure's headers by the macro that each defines."""
    return {line.split()[1]: line for line in text.splitlines() if line.startswith("#define ")}


def reduced_asm(text: str, names: Iterable[str]) -> str:
    """Return config.asm with the macros of these names only."""
    names = set(names)
    lines = [line.split() for line in text.splitlines()]
    kept = [line for line in lines if line[:1] != ["%define"] or line[1] in names]
    return "\n".join(map(" ".join, kept)) + "\n"


def split(source: str, optional: Sequence[str], searched: Sequence[str]) -> str:
    """Write the reduced headers; return the makefile's lines that assign them to objects.

    Args:
        source: FFmpeg's tree.
        optional: the directories and macros (-DX, -DX=1) that only some objects need.
        searched: the directories that gcc searches without a flag.
    """
    headers = {name: macros(Path(name).read_text()) for name in HEADERS}
    # Flags by what an object has to mention to get them: a directory, or a macro's name.
    flags = {
        word[2:].partition("=")[0] if word.startswith("-D") else word: word
        if word.startswith("-D")
        else f"-I{word}"
        for word in optional
    }
    directories = [name for name in flags if name.startswith("/")]
    names = list(dict.fromkeys((*flags, *(name for lines in headers.values() for name in lines))))
    known = frozenset(names)
    common = frozenset(n for n in names if n not in flags and not n.startswith(FAMILIES))

    def own(mentions: Mentions, directories: set[str]) -> frozenset[str]:
        """Return the macros, flags and directories that a file itself mentions."""
        found = (mentions.names | directories) & (known | {EVERYTHING})
        for beginning in mentions.beginnings:
            found |= {f"{beginning} ##"}
        return found | {EVERYTHING} if mentions.has_computed_include else found

    @cache
    def reduced_headers(macros: frozenset[str]) -> Path:
        """Write copies of the headers with these macros; return their directory."""
        ordered = [name for name in names if name in macros]
        directory = Path("config", sha256(" ".join(ordered).encode()).hexdigest()[:12])
        directory.mkdir(parents=True)
        for header, lines in headers.items():
            text = "".join(f"{lines[name]}\n" for name in ordered if name in lines)
            (directory / header).write_text(text)
        return directory

    paths = [str(path) for path in Path(source).rglob("*.[ch]")]
    finder = MacroFinder([name for name in flags if name not in directories])
    search_path = [".", source, *makefile_directories(source), *directories, *searched]
    graph = IncludeGraph(paths, search_path, finder)
    reached = graph.closure(
        {path: own(mentions, graph.directories[path]) for path, mentions in graph.mentions.items()}
    )
    # Macros whose names are put together, as far as the words for that are there.
    pasting = {path: [n for n in found if n.endswith("##")] for path, found in reached.items()}
    words = graph.words((path for path, beginnings in pasting.items() if beginnings), source)

    @cache
    def put_together(beginning: str) -> frozenset[str]:
        start = beginning.removesuffix(" ##")
        rest = {name: name.removeprefix(start) for name in names if name.startswith(start)}
        return frozenset(name for name, text in rest.items() if is_composed(text, words))

    for path, beginnings in pasting.items():
        reached[path] = reached[path].union(*map(put_together, beginnings)).difference(beginnings)
    # A source that is not listed keeps the complete headers and all flags.
    lines = [f"OBJECT_FLAGS = {' '.join(flags.values())}"]
    for path in paths:
        if path.endswith(".c") and EVERYTHING not in reached[path]:
            used = [flag for name, flag in flags.items() if name in reached[path]]
            copy = reduced_headers(reached[path].difference(flags) | common)
            target = f"{path[len(source) + 1 : -2]}.o"
            lines.append(f"{target}: OBJECT_FLAGS = {' '.join([f'-iquote{copy}', *used])}")
    return "\n".join(lines) + "\n"


def main(source: str, gcc: str) -> None:
    """Change configure's files in the working directory."""
    config_mak = Path("ffbuild/config.mak")
    searched = gcc_directories(gcc)
    real = [os.path.realpath(directory) for directory in searched]
    lines, optional = [], []
    for line in config_mak.read_text().splitlines():
        canonical, taken = split_flags(line, real)
        lines.append(canonical)
        optional += taken
    assignments = split(source, list(dict.fromkeys(optional)), searched)
    config_mak.write_text("\n".join(lines) + "\n" + assignments)
    config_asm = Path("config.asm")
    if config_asm.exists():
        texts = (path.read_text(errors="replace") for path in Path(source).rglob("*.asm"))
        mentioned = {word for text in texts for word in re.findall(r"\w+", text)}
        config_asm.write_text(reduced_asm(config_asm.read_text(), mentioned))


if __name__ == "__main__":
    main(*sys.argv[1:])
