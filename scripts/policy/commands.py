"""What a command is for: to install packages, to compile, to fetch modules."""

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING

from scripts.dockerfile.shell import Command

if TYPE_CHECKING:
    from scripts.dockerfile.project import Step


class Kind(Enum):
    """The kinds that rules are about."""

    APT = auto()
    COMPILE = auto()
    GO = auto()
    """Go compiles."""
    GO_FETCH = auto()
    """Go downloads modules and no more."""
    PIP = auto()


_APT_VERBS = {
    "build-dep", "dist-upgrade", "download", "full-upgrade", "install", "purge", "remove",
    "reinstall", "source", "update", "upgrade",
}  # fmt: skip
_COMPILER = re.compile(
    r"(?:[\w.]+-)*(?:cc|c\+\+|gcc|g\+\+|clang|clang\+\+|dpcpp|hipcc|icx|icpx|nvcc|tcc)(?:-[\d.]+)?"
)
_SOURCE = re.compile(r".*\.(?:c|cc|cpp|cxx|C|cu|hip|m|S|s|asm)")
_DRIVERS = {"gmake", "make", "ninja", "samu"}
_ASKS = re.compile(r"-[Vv]|--help|--version|-dump\w+|-print-.*|-fsyntax-only|-E")
"""What makes a compiler answer or check, and write no object."""
_CARGO = {"bench", "build", "check", "clippy", "install", "run", "rustc", "test"}
_GO = {"build", "generate", "install", "run", "test", "vet"}
_LAUNCHER = re.compile(r"\b(?:ccache|sccache)\b")


def kind(command: Command) -> Kind | None:
    """Return what a command is for, None where no rule is about it."""
    words, program = command.words, command.program
    verbs = [word for word in words[1:] if not word.startswith("-")]
    verb = verbs[0] if verbs else ""
    if program in {"apt", "apt-get", "aptitude"}:
        return Kind.APT if _APT_VERBS & set(verbs) else None
    if program == "go":
        if verb in _GO:
            return Kind.GO
        return Kind.GO_FETCH if words[1:3] == ("mod", "download") or verb == "get" else None
    if re.fullmatch(r"pip3?|pipx|uv", program):
        return Kind.PIP if {"download", "install", "sync", "wheel"} & set(verbs) else None
    if re.fullmatch(r"python3?", program) and words[1:3] == ("-m", "pip"):
        return Kind.PIP if {"download", "install", "wheel"} & set(verbs) else None
    return Kind.COMPILE if _compiles(command, verb) else None


def _compiles(command: Command, verb: str) -> bool:
    words, program = command.words, command.program
    if program == "ccache":
        return len(words) > 1 and bool(_COMPILER.fullmatch(words[1]))
    if any(map(_ASKS.fullmatch, words[1:])):
        return False
    if program == "meson":
        leaves = {"", "configure", "dist", "introspect", "subprojects", "wrap"}
        return verb not in leaves and not (verb in {"install", "test"} and "-C" in words)
    if program == "cmake":
        return "--build" in words or is_cmake_configure(command)
    if program == "cargo":
        return verb in _CARGO
    is_compiler = bool(_COMPILER.fullmatch(program)) and len(words) > 1
    return is_compiler or program in _DRIVERS or program == "configure"


def first(step: "Step", wanted: Kind) -> Command | None:
    """Return the first command of a kind that a step comes to."""
    return next((command for command in step.commands if kind(command) is wanted), None)


def is_cmake_configure(command: Command) -> bool:
    """Whether cmake configures a tree, rather than builds, installs or answers."""
    others = {"--build", "--install", "--help", "--version", "-E", "-P", "--open", "--workflow"}
    return command.program == "cmake" and len(command.words) > 1 and not others & set(command.words)


def is_ffmpeg_configure(command: Command) -> bool:
    """Whether this configures FFmpeg, told by switches that only FFmpeg has."""
    return command.program == "configure" and any(
        re.match(r"--(enable-(gpl|nonfree|version3|libvmaf|libx26\d)|disable-(ffplay|ffprobe))$", w)
        for w in command.words
    )


def builds_go_tree(command: Command) -> bool:
    """Whether Go compiles the tree at hand, rather than a module by its version."""
    return kind(command) is Kind.GO and not any("@" in word for word in command.words)


def ccache_folder(environment: Mapping[str, str]) -> str:
    """Return where ccache keeps its cache; root's default where nothing says."""
    return environment.get("CCACHE_DIR", "/root/.cache/ccache").rstrip("/")


_READERS = {
    Kind.APT: r"DEBIAN_FRONTEND|DEBCONF_\w+",
    Kind.PIP: r"PIP_\w+|UV_\w+",
    Kind.GO: r"GO\w+|CGO_\w+",
    Kind.COMPILE: (
        r"CC|CXX|CPP|AS|LD|CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|MAKEFLAGS|PKG_CONFIG_\w+|CCACHE_\w+"
        r"|CMAKE_\w+|NVCC_\w+|HIPCC?_\w+|RUSTC_WRAPPER|CARGO_\w+|NINJA_\w+"
    ),
}


def reader(variable: str) -> Kind | None:
    """Return the kind of command that reads a variable."""
    return next((k for k, names in _READERS.items() if re.fullmatch(names, variable)), None)


def lacks_launcher(command: Command, step: "Step") -> bool:
    """Whether a compile is started with no compiler launcher that is named."""
    known = {**step.environment, **command.prefix}
    names_it = [w for w in command.words if _LAUNCHER.search(w)]
    if command.program == "ccache" or names_it or is_ffmpeg_configure(command):
        return False  # FFmpeg's own rule says what its configure must be given
    if _COMPILER.fullmatch(command.program):
        return any(_SOURCE.fullmatch(word) for word in command.words[1:]) or "-c" in command.words
    if command.program == "cargo":
        return "RUSTC_WRAPPER" not in known
    if is_cmake_configure(command):
        return False  # likewise
    if command.program in {"meson", "configure"}:
        return not _LAUNCHER.search(known.get("CC", ""))
    # make, ninja, cmake --build: what configured the tree has said it
    return not (
        _LAUNCHER.search(known.get("CC", ""))
        or any(_LAUNCHER.search(word) for other in step.commands for word in other.words)
        or any("COMPILER_LAUNCHER" in name for name in known)
    )
