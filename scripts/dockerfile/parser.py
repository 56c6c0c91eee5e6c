"""Dockerfiles, read with BuildKit's own parser, down to the mounts of each RUN."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property

import dockerfile as buildkit

from scripts.core.console import UserError
from scripts.dockerfile import shell

_DIRECTIVE = re.compile(r"^#\s*(\w+)\s*=\s*(\S.*?)\s*$")
_ALLOW = re.compile(
    r"^\s*#\s*policy:\s*allow\s+(?P<rules>[\w-]+(?:,\s*[\w-]+)*)\s*(?::\s*(?P<reason>.*\S))?\s*$"
)


@dataclass(frozen=True)
class Mount:
    """A `RUN --mount`: its words by name; a bare word such as `ro` has an empty value."""

    options: Mapping[str, str]

    def get(self, *names: str) -> str:
        """Return the first of these options that is given, or nothing."""
        return next((self.options[name] for name in names if name in self.options), "")

    @property
    def kind(self) -> str:
        """`bind` where none is given, as BuildKit has it."""
        return self.options.get("type", "bind")

    @property
    def target(self) -> str:
        """The folder or file inside the step."""
        return self.get("target", "dst", "destination").rstrip("/")

    @property
    def source(self) -> str:
        """What is mounted, relative to its origin."""
        return self.get("source", "src").removeprefix("./").rstrip("/")


@dataclass(frozen=True)
class Instruction:
    """One instruction with its flags taken apart."""

    name: str
    words: tuple[str, ...]
    flags: tuple[tuple[str, str], ...]
    file: str
    line: int
    last_line: int
    source: str
    """The lines as they stand in the file."""
    script: shell.Script | None = None
    """What a RUN runs."""

    @cached_property
    def mounts(self) -> tuple[Mount, ...]:
        """The mounts of a RUN."""
        return tuple(
            Mount(dict(_pair(option) for option in value.split(",")))
            for name, value in self.flags
            if name == "mount"
        )

    def flag(self, name: str) -> str:
        """Return a flag's value, or nothing."""
        return next((value for flag, value in self.flags if flag == name), "")

    def pairs(self) -> dict[str, str]:
        """Read the words of ENV (`A B` and `A=B`) or ARG, which may have no value."""
        if self.name == "ARG":
            return dict(_pair(word) for word in self.words)
        return dict(zip(self.words[::2], map(_bare, self.words[1::2]), strict=True))


@dataclass(frozen=True)
class Stage:
    """A FROM and what follows it."""

    name: str
    base: str
    start: Instruction
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Exemption:
    """`# policy: allow RULE[, RULE]: reason`, beside the line it is for."""

    rule: str
    reason: str
    file: str
    line: int
    lines: range
    """The lines of the file that it speaks for."""


@dataclass(frozen=True)
class Dockerfile:
    """A parsed file."""

    path: str
    text: str
    syntax: str
    """The frontend that the first lines name, or nothing."""
    arguments: tuple[Instruction, ...]
    """The ARGs before the first FROM."""
    stages: tuple[Stage, ...]
    exemptions: tuple[Exemption, ...] = field(default=())

    def comment_above(self, line: int) -> list[str]:
        """Return the comment lines that end right above a line."""
        lines = self.text.splitlines()
        first = line - 1
        while first > 0 and lines[first - 1].lstrip().startswith("#"):
            first -= 1
        return lines[first : line - 1]


@cache
def read(text: str, path: str) -> Dockerfile:
    """Parse a Dockerfile.

    Raises:
        UserError: BuildKit's parser refuses it; the message has its reason.
    """
    try:
        commands = buildkit.parse_string(text)
    except buildkit.GoParseError as error:
        raise UserError(
            "cannot read a Dockerfile",
            f"{path}:{_blamed(text, str(error))}: {error}",
            f"`docker buildx build --check --file {path} .` says more, with a newer buildx.",
        ) from None
    head = [m for line in text.splitlines()[:5] if (m := _DIRECTIVE.match(line))]
    directives = {m[1].lower(): m[2] for m in head}
    arguments: list[Instruction] = []
    stages: list[tuple[Instruction, list[Instruction]]] = []
    all_lines = text.splitlines()
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
            "cannot read a Dockerfile", f"{path}:1: it has no FROM", "Give it a stage, or drop it."
        )
    defaults = {name: value for one in arguments for name, value in one.pairs().items()}
    return Dockerfile(
        path=path,
        text=text,
        syntax=directives.get("syntax", ""),
        arguments=tuple(arguments),
        stages=tuple(
            Stage(_alias(start, number), expanded(start.words[0], defaults), start, tuple(rest))
            for number, (start, rest) in enumerate(stages)
        ),
        exemptions=exemptions(text, path, [(c.start_line, c.end_line) for c in commands]),
    )


def exemptions(
    text: str, path: str, spans: list[tuple[int, int]] | None = None
) -> tuple[Exemption, ...]:
    """Find the exemptions in a file's comments.

    One speaks for the instruction that it stands in or above; in a script,
    where `spans` is None, for the next line that is no comment.

    Raises:
        UserError: one has no reason.
    """
    found = []
    lines = text.splitlines()
    for number, content in enumerate(lines, start=1):
        if not (match := _ALLOW.match(content)):
            continue
        if not match["reason"]:
            raise UserError(
                "cannot read an exemption from the policy",
                f"{path}:{number}: it gives no reason",
                f"Write `# policy: allow {match['rules']}: why it is right here`.",
            )
        if spans is None:
            after = number
            while after < len(lines) and lines[after].lstrip().startswith("#"):
                after += 1
            first, last = after + 1, after + 1
        else:
            first, last = next((s for s in spans if s[1] >= number), (number, number))
            first = 1 if first == spans[0][0] else first  # what is said of a file is on its line 1
        found += [
            Exemption(rule.strip(), match["reason"], path, number, range(first, last + 1))
            for rule in match["rules"].split(",")
        ]
    return tuple(found)


def _blamed(text: str, error: str) -> int:
    """Return the line that the parser complains of, 1 where it names none."""
    if match := re.search(r"line (\d+)", error):
        return int(match[1])
    if "heredoc" in error:
        opened = [n for n, line in enumerate(text.splitlines(), 1) if "<<" in line]
        return opened[-1] if opened else 1
    return 1


def _instruction(command: buildkit.Command, all_lines: list[str], path: str) -> Instruction:
    name, words = command.cmd.upper(), command.value
    lines = all_lines[command.start_line - 1 : command.end_line]
    flags = tuple(_pair(flag.removeprefix("--")) for flag in command.flags)
    script = None
    inner = (command.sub_cmd or "").upper() if name == "ONBUILD" else name
    if inner == "RUN":
        script = _script(command, lines, path)
    return Instruction(
        name=inner,
        words=tuple(words),
        flags=flags,
        file=path,
        line=command.start_line,
        last_line=command.end_line,
        source="\n".join(lines),
        script=script,
    )


def _script(command: buildkit.Command, lines: list[str], path: str) -> shell.Script:
    """Return the script of a RUN, its lines counted as in the file."""
    if command.json:
        return shell.read(" ".join(map(_quoted, command.value)), path, command.start_line)
    if command.heredocs and command.value[0].lstrip().startswith("<<"):
        return shell.read(command.heredocs[0].content, path, command.start_line + 1)
    # A comment inside a continued line is dropped by BuildKit; to the shell it would be an end.
    text = "\n".join("\\" if line.lstrip().startswith("#") else line for line in lines)
    before = re.match(
        r"(?:\s*ONBUILD\b)?\s*RUN\b"
        + r"(?:\s|\\\n)*--[\w.]+(?:=(?:\"[^\"]*\"|[^\s\"])*)?" * len(command.flags),
        text,
        re.IGNORECASE,
    )
    head = before[0] if before else ""
    blank = "\\\n" * head.count("\n")
    return shell.read(blank + text[len(head) :], path, command.start_line)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _bare(word: str) -> str:
    return word.strip("\"'")


def _pair(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name, _bare(value)


def expanded(word: str, values: Mapping[str, str]) -> str:
    """Put values in the place of variables: `rocm-${ROCM}`; one without a value stays."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda m: values.get(m[1] or m[2]) or m[0], word)


def _alias(start: Instruction, number: int) -> str:
    named = len(start.words) == 3 and start.words[1].upper() == "AS"  # noqa: PLR2004
    return start.words[2].lower() if named else str(number)
