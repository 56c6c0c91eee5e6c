"""Find the commands of shell scripts with tree-sitter's grammar of bash."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_bash.language()))

_WRAPPERS = {
    "command", "doas", "env", "exec", "nice", "nohup", "runcache.py", "sudo", "time",
    "timeout", "xargs",
}  # fmt: skip
"""Programs whose arguments are another command."""
_SHELLS = {"ash", "bash", "dash", "sh"}
_SHOWN = 3
"""The number of arguments of a command in a message."""


@dataclass(frozen=True)
class Command:
    """One simple command of a script."""

    argv: tuple[str, ...]
    """The program and its arguments, without quotes; expansions are not replaced."""
    assignments: Mapping[str, str]
    """The variables that are set for this command only: `CC=gcc make`."""
    file: str
    line: int
    chain: int
    """A number that the commands joined by `&&`, `||` or `|` share."""

    @property
    def program(self) -> str:
        """The program's name without its directory."""
        return self.argv[0].rpartition("/")[2] if self.argv else ""

    @property
    def shown(self) -> str:
        """The start of the command, in backquotes, for a message."""
        return f"`{' '.join(self.argv[:_SHOWN])}`"


@dataclass(frozen=True)
class Script:
    """A shell script, or the shell commands of a RUN."""

    text: str
    file: str
    commands: tuple[Command, ...]
    assignments: Mapping[str, str]
    """The variables that the script sets or exports for its later commands."""


@cache
def read(text: str, file: str, first_line: int = 1) -> Script:
    """Parse a script; its first line is line `first_line` of `file`."""
    root = _PARSER.parse(text.encode()).root_node
    commands: list[Command] = []
    assignments: dict[str, str] = {}
    for node in _walk(root):
        line = first_line + node.start_point.row
        if node.type == "command":
            command = _command(node, file, line)
            commands.append(command)
            commands.extend(_wrapped(command))
            commands.extend(_in_heredoc(node, command, file, first_line))
        elif node.type == "variable_assignment" and not _is_for_one_command(node):
            name, _, value = _text(node).partition("=")
            assignments[name] = _unquoted(value)
    return Script(text, file, tuple(commands), assignments)


def _walk(node: Node) -> Iterator[Node]:
    """Yield every node in the order of the text, a parent before its children."""
    yield node
    for child in node.children:
        yield from _walk(child)


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _unquoted(text: str) -> str:
    """Remove line continuations and quotes; leave expansions unchanged."""
    text = text.replace("\\\n", "")
    return re.sub(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"", lambda m: m[1] or m[2] or "", text)


def _is_for_one_command(assignment: Node) -> bool:
    return assignment.parent is not None and assignment.parent.type == "command"


def _command(node: Node, file: str, line: int) -> Command:
    argv, assignments = [], {}
    for child in node.named_children:
        if child.type == "variable_assignment":
            name, _, value = _text(child).partition("=")
            assignments[name] = _unquoted(value)
        elif not child.type.endswith("redirect"):
            argv.append(_unquoted(_text(child)))
    return Command(tuple(argv), assignments, file, line, _chain(node))


def _chain(node: Node) -> int:
    """Return the number of a command's chain: the offset at which the chain starts."""
    top = node
    while top.parent is not None and top.parent.type in {
        "list",
        "pipeline",
        "redirected_statement",
        "negated_command",
    }:
        top = top.parent
    return top.start_byte


def _wrapped(outer: Command) -> Iterator[Command]:
    """Yield the commands that a wrapper runs: after `env`, in `sh -c`."""
    argv = outer.argv
    if outer.program in _SHELLS and "-c" in argv[:-1]:
        yield from read(argv[argv.index("-c") + 1], outer.file, outer.line).commands
    if outer.program not in _WRAPPERS:
        return
    assignments = dict(outer.assignments)
    rest: Sequence[str] = argv[1:]
    while rest and (rest[0].startswith("-") or "=" in rest[0]):
        name, equals, value = rest[0].partition("=")
        if equals and not name.startswith("-"):
            assignments[name] = value
        rest = rest[1:]
    if outer.program == "timeout":
        rest = rest[1:]  # the duration
    if rest:
        inner = Command(tuple(rest), assignments, outer.file, outer.line, outer.chain)
        yield inner
        yield from _wrapped(inner)


def _in_heredoc(node: Node, command: Command, file: str, first_line: int) -> Iterator[Command]:
    """Yield the commands of a heredoc that is the input of a shell: `sh <<EOF`."""
    if node.parent is None or command.program not in _SHELLS:
        return
    for inner in _walk(node.parent):
        if inner.type == "heredoc_body":
            yield from read(_text(inner), file, first_line + inner.start_point.row).commands
