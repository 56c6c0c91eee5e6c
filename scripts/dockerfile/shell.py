"""Commands of shell scripts, read with tree-sitter's grammar of bash."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_bash.language()))

_WRAPPERS = {
    "command", "doas", "env", "exec", "nice", "nohup", "runcache.py", "sudo", "time", "xargs",
}  # fmt: skip
"""Programs whose arguments are a command of their own."""
_SHELLS = {"ash", "bash", "dash", "sh"}


@dataclass(frozen=True)
class Command:
    """One simple command of a script."""

    words: tuple[str, ...]
    """The program and its arguments, quotes removed, expansions as written."""
    prefix: Mapping[str, str]
    """Variables assigned for this command alone: `CC=gcc make`."""
    file: str
    line: int
    chain: int
    """Commands joined by `&&`, `||` or `;` on one logical line have one number."""

    @property
    def program(self) -> str:
        """The program's name without its folder."""
        return self.words[0].rpartition("/")[2] if self.words else ""


@dataclass(frozen=True)
class Script:
    """A shell script, or the words of a RUN."""

    text: str
    file: str
    commands: tuple[Command, ...]
    assigned: Mapping[str, str]
    """Variables that the script sets or exports for all that follows."""


@cache
def read(text: str, file: str, first_line: int = 1) -> Script:
    """Parse a script; lines are counted from `first_line` of `file`."""
    root = _PARSER.parse(text.encode()).root_node
    commands: list[Command] = []
    assigned: dict[str, str] = {}
    for node in _walk(root):
        line = first_line + node.start_point.row
        if node.type == "command":
            command = _command(node, file, line)
            commands.append(command)
            commands.extend(_inner(command))
            commands.extend(_fed(node, command, file, first_line))
        elif node.type == "variable_assignment" and not _is_prefix(node):
            name, _, value = _text(node).partition("=")
            assigned[name] = _unquoted(value)
    return Script(text, file, tuple(commands), assigned)


def _walk(node: Node) -> Iterator[Node]:
    """Yield every node, parents before their children, in the order of the text."""
    yield node
    for child in node.children:
        yield from _walk(child)


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _unquoted(word: str) -> str:
    """Drop continuations and quotes; expansions stay as they are written."""
    word = word.replace("\\\n", "")
    return re.sub(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"", lambda m: m[1] or m[2] or "", word)


def _is_prefix(node: Node) -> bool:
    return node.parent is not None and node.parent.type == "command"


def _command(node: Node, file: str, line: int) -> Command:
    words, prefix = [], {}
    for child in node.named_children:
        if child.type == "variable_assignment":
            name, _, value = _text(child).partition("=")
            prefix[name] = _unquoted(value)
        elif not child.type.endswith("redirect"):
            words.append(_unquoted(_text(child)))
    return Command(tuple(words), prefix, file, line, _chain(node))


def _chain(node: Node) -> int:
    """Return a number that the commands of one `a && b` chain share."""
    top = node
    while top.parent is not None and top.parent.type in {
        "list",
        "pipeline",
        "redirected_statement",
        "negated_command",
    }:
        top = top.parent
    return top.start_byte


def _inner(outer: Command) -> Iterator[Command]:
    """Yield the commands that a command runs: after `env`, in `sh -c`."""
    words = outer.words
    if outer.program in _SHELLS and "-c" in words[:-1]:
        yield from read(words[words.index("-c") + 1], outer.file, outer.line).commands
    if outer.program not in _WRAPPERS:
        return
    prefix = dict(outer.prefix)
    rest: Sequence[str] = words[1:]
    while rest and (rest[0].startswith("-") or "=" in rest[0]):
        name, equals, value = rest[0].partition("=")
        if equals and not name.startswith("-"):
            prefix[name] = value
        rest = rest[1:]
    if rest:
        inner = Command(tuple(rest), prefix, outer.file, outer.line, outer.chain)
        yield inner
        yield from _inner(inner)


def _fed(node: Node, command: Command, file: str, first_line: int) -> Iterator[Command]:
    """Yield the commands of a heredoc that a shell reads: `sh <<EOF`."""
    if node.parent is None or command.program not in _SHELLS:
        return
    for inner in _walk(node.parent):
        if inner.type == "heredoc_body":
            yield from read(_text(inner), file, first_line + inner.start_point.row).commands
