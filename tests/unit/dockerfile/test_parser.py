"""Dockerfiles are read as BuildKit reads them."""

import pytest

from scripts.core.console import UserError
from scripts.dockerfile import parser


def test_lines_are_those_of_the_file() -> None:
    """Commands have their line in the Dockerfile, also after mounts, comments, continuations."""
    text = (
        "FROM scratch AS a\n"
        "RUN --mount=type=cache,id=x,target=/x \\\n"
        "    --network=none \\\n"
        "    # a comment inside\n"
        "    first && \\\n"
        "    second\n"
        "RUN <<end\n"
        "third\n"
        "end\n"
    )
    lines = [
        (command.program, command.line)
        for instruction in parser.read(text, "Dockerfile").stages[0].instructions
        if instruction.script
        for command in instruction.script.commands
    ]
    assert lines == [("first", 5), ("second", 6), ("third", 8)]


def test_exec_form_and_onbuild_are_read() -> None:
    """The commands of the exec form of RUN, and those of an ONBUILD RUN, are read."""
    text = 'FROM scratch\nRUN ["make", "-C", "a b"]\nONBUILD RUN make install\n'
    runs = parser.read(text, "Dockerfile").stages[0].instructions
    commands = [run.script.commands[0].argv for run in runs if run.script]
    assert commands == [("make", "-C", "a b"), ("make", "install")]


def test_mounts_are_read_with_the_other_names_of_their_options() -> None:
    """Mounts are read with `src`, `dst` and options without a value; bind is the default type."""
    text = "FROM scratch\nRUN --mount=src=./a/,dst=/b/,ro true\n"
    (mount,) = parser.read(text, "D").stages[0].instructions[0].mounts
    assert (mount.type, mount.source, mount.target) == ("bind", "a", "/b")


def test_label_of_a_stage_without_a_name_is_its_line() -> None:
    """A message names a stage without a name by its line, not by its number."""
    named, unnamed = parser.read("FROM scratch AS Base\n\nFROM base\n", "D").stages
    assert named.label == "stage `base`"
    assert unnamed.label == "the stage at line 3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM scratch\nRUN <<end\nx\n", r"Dockerfile:2: unterminated heredoc"),
        ("# only a comment\n", r"Dockerfile:1: file with no instructions|no FROM"),
        ("ARG A=1\n", r"Dockerfile:1: it has no FROM"),
        ("<<<<<<< HEAD\nFROM scratch\n", r"Dockerfile:1: `<<<<<<<` before the first FROM"),
    ],
)
def test_read_rejects_an_invalid_file_with_its_line(text: str, message: str) -> None:
    """An error of BuildKit's parser is an error message with the file and the line."""
    with pytest.raises(UserError, match=message):
        parser.read(text, "Dockerfile")
