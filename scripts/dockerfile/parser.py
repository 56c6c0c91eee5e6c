"""Parse Dockerfiles with BuildKit's parser, including the mounts of each RUN."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import dockerfile as buildkit

from scripts.core.console import UserError
from scripts.dockerfile import shell

_DIRECTIVE = re.compile(r"^#\s*(\w+)\s*=\s*(\S.*?)\s*$")


@dataclass(frozen=True)
class Mount:
    """A `RUN --mount`."""

    options: Mapping[str, str]
    """The options by name; the value is empty for options such as `ro`."""

    def get(self, *names: str) -> str:
        """Return the value of the first of these options that is set, or an empty string."""
        return next((self.options[name] for name in names if name in self.options), "")

    @property
    def type(self) -> str:
        """The type of the mount, `bind` by default."""
        return self.options.get("type", "bind")

    @property
    def target(self) -> str:
        """The path inside the step."""
        return self.get("target", "dst", "destination").rstrip("/")

    @property
    def source(self) -> str:
        """The path of the mounted files in the build context, stage or image."""
        return self.get("source", "src").removeprefix("./").rstrip("/")


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile."""

    name: str
    """The name in capitals; for ONBUILD, the name of the instruction after it."""
    arguments: tuple[str, ...]
    flags: tuple[tuple[str, str], ...]
    file: str
    line: int
    last_line: int
    source: str
    """The lines of the file."""
    script: shell.Script | None = None
    """The shell commands of a RUN."""

    @cached_property
    def mounts(self) -> tuple[Mount, ...]:
        """The mounts of a RUN."""
        return tuple(
            Mount(dict(_split_pair(option) for option in value.split(",")))
            for name, value in self.flags
            if name == "mount"
        )

    def flag(self, name: str) -> str:
        """Return the value of a flag, or an empty string."""
        return next((value for flag, value in self.flags if flag == name), "")

    def pairs(self) -> dict[str, str]:
        """Return the variables of ENV or ARG; an ARG without a default has an empty value."""
        if self.name == "ARG":
            return dict(_split_pair(argument) for argument in self.arguments)
        names, values = self.arguments[::2], self.arguments[1::2]
        return dict(zip(names, map(_unquoted, values), strict=True))


@dataclass(frozen=True)
class Stage:
    """A FROM and the instructions after it."""

    name: str
    """The name in lower case; the number of the stage if it has no name."""
    is_named: bool
    base: str
    start: Instruction
    instructions: tuple[Instruction, ...]

    @property
    def label(self) -> str:
        """The description of the stage in messages."""
        return f"stage `{self.name}`" if self.is_named else f"the stage at line {self.start.line}"


@dataclass(frozen=True)
class Dockerfile:
    """A parsed Dockerfile."""

    path: str
    text: str
    syntax: str
    """The frontend that the `# syntax=` line names, or an empty string."""
    arguments: tuple[Instruction, ...]
    """Each ARG before the first FROM."""
    stages: tuple[Stage, ...]

    @property
    def instructions(self) -> Iterator[Instruction]:
        """Every instruction in the order of the file."""
        yield from self.arguments
        for stage in self.stages:
            yield stage.start
            yield from stage.instructions

    def comment_above(self, line: int) -> list[str]:
        """Return the comment lines directly above a line."""
        lines = self.text.splitlines()
        first = line - 1
        while first > 0 and lines[first - 1].lstrip().startswith("#"):
            first -= 1
        return lines[first : line - 1]


@cache
def read(text: str, path: str) -> Dockerfile:
    """Parse a Dockerfile.

    Raises:
        UserError: BuildKit's parser rejects the file.
    """
    try:
        commands = buildkit.parse_string(text)
    except buildkit.GoParseError as error:
        raise UserError(
            "cannot read a Dockerfile",
            f"{path}:{_error_line(text, str(error))}: {error}",
            f"`docker buildx build --check --file {path} .` of a newer buildx explains the error.",
        ) from None
    all_lines = text.splitlines()
    directives = {m[1].lower(): m[2] for line in all_lines[:5] if (m := _DIRECTIVE.match(line))}
    arguments: list[Instruction] = []
    stages: list[tuple[Instruction, list[Instruction]]] = []
    for command in commands:
        instruction = _instruction(command, all_lines, path)
        if instruction.name == "FROM":
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif instruction.name == "ARG":
            arguments.append(instruction)
        else:
            raise UserError(
                "cannot read a Dockerfile",
                f"{path}:{instruction.line}: `{instruction.name}` before the first FROM",
                "Only ARG may come before it.",
            )
    if not stages:
        raise UserError(
            "cannot read a Dockerfile", f"{path}:1: it has no FROM", "Add a FROM to it."
        )
    defaults = {name: value for argument in arguments for name, value in argument.pairs().items()}
    return Dockerfile(
        path=path,
        text=text,
        syntax=directives.get("syntax", ""),
        arguments=tuple(arguments),
        stages=tuple(
            _stage(number, start, tuple(rest), defaults)
            for number, (start, rest) in enumerate(stages)
        ),
    )


def _stage(
    number: int,
    start: Instruction,
    instructions: tuple[Instruction, ...],
    defaults: Mapping[str, str],
) -> Stage:
    base, *alias = start.arguments
    is_named = len(alias) == 2 and alias[0].upper() == "AS"  # noqa: PLR2004 - `AS name`
    name = alias[1].lower() if is_named else str(number)
    return Stage(name, is_named, expanded(base, defaults), start, instructions)


def _error_line(text: str, error: str) -> int:
    """Return the line of an error of the parser; 1 if the error has no line."""
    if match := re.search(r"line (\d+)", error):
        return int(match[1])
    if "heredoc" in error:
        heredocs = [n for n, line in enumerate(text.splitlines(), 1) if "<<" in line]
        return heredocs[-1] if heredocs else 1
    return 1


def _instruction(command: buildkit.Command, all_lines: list[str], path: str) -> Instruction:
    name = command.cmd.upper()
    inner = (command.sub_cmd or "").upper() if name == "ONBUILD" else name
    lines = all_lines[command.start_line - 1 : command.end_line]
    return Instruction(
        name=inner,
        arguments=tuple(command.value),
        flags=tuple(_split_pair(flag.removeprefix("--")) for flag in command.flags),
        file=path,
        line=command.start_line,
        last_line=command.end_line,
        source="\n".join(lines),
        script=_script(command, lines, path) if inner == "RUN" else None,
    )


def _script(command: buildkit.Command, lines: list[str], path: str) -> shell.Script:
    """Return the shell commands of a RUN, with the line numbers of the Dockerfile."""
    if command.json:
        return shell.read(" ".join(map(_quoted, command.value)), path, command.start_line)
    if command.heredocs and command.value[0].lstrip().startswith("<<"):
        return shell.read(command.heredocs[0].content, path, command.start_line + 1)
    # BuildKit removes comment lines inside a continued command. A shell would end the command.
    text = "\n".join("\\" if line.lstrip().startswith("#") else line for line in lines)
    before = re.match(
        r"(?:\s*ONBUILD\b)?\s*RUN\b"
        + r"(?:\s|\\\n)*--[\w.]+(?:=(?:\"[^\"]*\"|[^\s\"])*)?" * len(command.flags),
        text,
        re.IGNORECASE,
    )
    head = before[0] if before else ""
    blank_lines = "\\\n" * head.count("\n")
    return shell.read(blank_lines + text[len(head) :], path, command.start_line)


def _quoted(argument: str) -> str:
    return "'" + argument.replace("'", "'\\''") + "'"


def _unquoted(value: str) -> str:
    return value.strip("\"'")


def _split_pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, _unquoted(value)


def expanded(text: str, values: Mapping[str, str]) -> str:
    """Replace variables by their values: `rocm-${ROCM}`; others are unchanged."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda m: values.get(m[1] or m[2]) or m[0], text)
