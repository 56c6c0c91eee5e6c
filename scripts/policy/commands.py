"""Classify commands by their purpose, such as compiling or downloading modules."""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto

from scripts.dockerfile.project import Step
from scripts.dockerfile.shell import Command


class Purpose(Enum):
    """The purposes of commands that the rules distinguish."""

    APT = auto()
    COMPILE = auto()
    GO_COMPILE = auto()
    GO_DOWNLOAD = auto()
    """Go downloads modules and compiles nothing."""
    PIP = auto()


_APT_VERBS = {
    "build-dep", "dist-upgrade", "download", "full-upgrade", "install", "purge", "remove",
    "reinstall", "source", "update", "upgrade",
}  # fmt: skip
_COMPILER = re.compile(
    r"(?:\$\{\w+\}|\$\w+-)?(?:[\w.]+-)*(?:cc|c\+\+|gcc|g\+\+|clang|clang\+\+|dpcpp|hipcc|icx|icpx|nvcc|tcc)(?:-[\d.]+)?"
)
"""A compiler, also with a variable for the prefix of a cross compiler: `${CROSS}gcc`."""
_SOURCE = re.compile(r".*\.(?:c|cc|cpp|cxx|C|cu|hip|m|S|s|asm)")
_MAKE = {"gmake", "make"}
_DRIVERS = {*_MAKE, "ninja", "samu"}
_MAKE_OPTIONS_WITH_VALUE = {"-C", "-I", "-W", "-f", "-o"}
_CLEAN_TARGETS = re.compile(r"(?:\w+-)?clean|clean-\w+|distclean|mrproper|uninstall|help")
"""Targets of make that compile nothing."""
_INSTALL_TARGETS = re.compile(r"install(?:-\w+)*")
_PRINT_OPTIONS = re.compile(r"-[Vv]|--help|--version|-dump\w+|-print-.*|-fsyntax-only|-E")
"""Options with which a compiler prints or checks something, and writes no object."""
_CARGO = {"bench", "build", "check", "clippy", "install", "run", "rustc", "test"}
_CARGO_FETCHES = {*_CARGO, "fetch", "vendor"}
_GO = {"build", "generate", "install", "run", "test", "vet"}
_LAUNCHER = re.compile(r"\b(?:ccache|sccache)\b")


def purpose(command: Command) -> Purpose | None:
    """Return the purpose of a command; None if no rule is about the command."""
    argv, program = command.argv, command.program
    verbs = [argument for argument in argv[1:] if not argument.startswith("-")]
    verb = verbs[0] if verbs else ""
    if program in {"apt", "apt-get", "aptitude"}:
        return Purpose.APT if _APT_VERBS & set(verbs) else None
    if program == "go":
        if verb in _GO:
            return Purpose.GO_COMPILE
        is_download = argv[1:3] == ("mod", "download") or verb == "get"
        return Purpose.GO_DOWNLOAD if is_download else None
    if re.fullmatch(r"pip3?|pipx|uv", program):
        return Purpose.PIP if {"download", "install", "sync", "wheel"} & set(verbs) else None
    if re.fullmatch(r"python3?", program) and argv[1:3] == ("-m", "pip"):
        return Purpose.PIP if {"download", "install", "wheel"} & set(verbs) else None
    return Purpose.COMPILE if _compiles(command, verb) else None


def _compiles(command: Command, verb: str) -> bool:
    argv, program = command.argv, command.program
    if program == "ccache":
        return len(argv) > 1 and bool(_COMPILER.fullmatch(argv[1]))
    if any(map(_PRINT_OPTIONS.fullmatch, argv[1:])):
        return False
    if program in _DRIVERS:
        return _builds_a_target(program, argv[1:])
    if program == "meson":
        others = {"", "configure", "dist", "introspect", "subprojects", "wrap"}
        return verb not in others and not (verb in {"install", "test"} and "-C" in argv)
    if program == "cmake":
        return "--build" in argv or is_cmake_configure(command)
    is_compiler = bool(_COMPILER.fullmatch(program)) and len(argv) > 1
    return is_compiler or program == "configure" or (program == "cargo" and verb in _CARGO)


def _builds_a_target(program: str, arguments: Sequence[str]) -> bool:
    """Whether make or ninja compiles for its targets.

    `make install` counts as a copy of the results of an earlier command. `ninja install` counts as
    compiling, because the target of Meson and CMake compiles everything first.
    """
    if "-t" in arguments and program not in _MAKE:
        return False  # a tool of ninja, such as `-t clean`
    targets = list(_targets(arguments))
    not_compiled = [_CLEAN_TARGETS, _INSTALL_TARGETS] if program in _MAKE else [_CLEAN_TARGETS]
    others = [t for t in targets if not any(pattern.fullmatch(t) for pattern in not_compiled)]
    return bool(others) or not targets


def _targets(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the targets among the arguments of make or ninja."""
    previous = ""
    for argument in arguments:
        is_value = previous in _MAKE_OPTIONS_WITH_VALUE or (
            re.fullmatch(r"-[jklw]", previous) and argument.isdigit()
        )
        is_job_count = previous == "-j" and argument.startswith(("$", "`"))
        if not (is_value or is_job_count or argument.startswith("-") or "=" in argument):
            yield argument
        previous = argument


def first(step: Step, requested: Purpose) -> Command | None:
    """Return the first command of a step with a purpose."""
    return next((command for command in step.commands if purpose(command) is requested), None)


def is_cmake_configure(command: Command) -> bool:
    """Whether cmake configures a tree, rather than building, installing or printing."""
    others = {"--build", "--install", "--help", "--version", "-E", "-P", "--open", "--workflow"}
    return command.program == "cmake" and len(command.argv) > 1 and not others & set(command.argv)


def is_ffmpeg_configure(command: Command) -> bool:
    """Whether this configures FFmpeg, by options that only FFmpeg has."""
    option = re.compile(
        r"--(?:enable-(?:gpl|nonfree|version3|libvmaf|libx26\d)|disable-(?:ffplay|ffprobe))"
    )
    return command.program == "configure" and any(map(option.fullmatch, command.argv))


def builds_go_tree(command: Command) -> bool:
    """Whether Go compiles the sources in the step, rather than a module of a given version."""
    is_compile = purpose(command) is Purpose.GO_COMPILE
    return is_compile and not any("@" in argument for argument in command.argv)


def runs_cargo(command: Command, *, compiles: bool) -> bool:
    """Whether cargo fetches or compiles crates, or, if `compiles` is true, compiles them."""
    verbs = [argument for argument in command.argv[1:] if not argument.startswith(("-", "+"))]
    return command.program == "cargo" and bool(
        verbs and verbs[0] in (_CARGO if compiles else _CARGO_FETCHES)
    )


def cargo_target(command: Command) -> str:
    """Return the value of cargo's option `--target-dir`; empty without the option."""
    for argument, following in zip(command.argv, [*command.argv[1:], ""], strict=True):
        if argument == "--target-dir":
            return following
        if argument.startswith("--target-dir="):
            return argument.partition("=")[2]
    return ""


def ccache_directory(environment: Mapping[str, str]) -> str:
    """Return the directory of ccache's cache; by default, root's cache directory."""
    return environment.get("CCACHE_DIR", "/root/.cache/ccache").rstrip("/")


_READERS = {
    Purpose.APT: r"DEBIAN_FRONTEND|DEBCONF_\w+",
    Purpose.PIP: r"PIP_\w+|UV_\w+",
    Purpose.GO_COMPILE: r"GO\w+|CGO_\w+",
    Purpose.COMPILE: (
        r"CC|CXX|CPP|AS|LD|CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|MAKEFLAGS|PKG_CONFIG_\w+|CCACHE_\w+"
        r"|CMAKE_\w+|NVCC_\w+|HIPCC?_\w+|RUSTC_WRAPPER|RUSTFLAGS|CARGO_\w+|SCCACHE_\w+|NINJA_\w+"
    ),
}


def reader(variable: str) -> Purpose | None:
    """Return the purpose of the commands that read a variable."""
    return next((p for p, names in _READERS.items() if re.fullmatch(names, variable)), None)


def lacks_launcher(command: Command, step: Step) -> bool:
    """Whether a compile command names no compiler launcher."""
    variables = {**step.environment, **command.assignments}
    if command.program == "ccache" or any(map(_LAUNCHER.search, command.argv)):
        return False
    if is_ffmpeg_configure(command) or is_cmake_configure(command):
        return False  # the rules ffmpeg-launchers and cmake-launchers check these
    if _COMPILER.fullmatch(command.program):
        return "-c" in command.argv or any(map(_SOURCE.fullmatch, command.argv[1:]))
    if command.program == "cargo":
        return "RUSTC_WRAPPER" not in variables
    if command.program in {"meson", "configure"}:
        return not _LAUNCHER.search(variables.get("CC", ""))
    # make, ninja and cmake --build run the compilers that the tree was configured with.
    return not (
        _LAUNCHER.search(variables.get("CC", ""))
        or any(_LAUNCHER.search(argument) for other in step.commands for argument in other.argv)
        or any("COMPILER_LAUNCHER" in name for name in variables)
    )
