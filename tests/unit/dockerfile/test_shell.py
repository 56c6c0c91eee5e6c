"""Shell scripts are read as the shell reads them."""

import pytest

from scripts.dockerfile import shell


@pytest.mark.parametrize(
    ("script", "programs"),
    [
        ("a && b || c; d | e", ["a", "b", "c", "d", "e"]),
        ("if a; then b; else c; fi", ["a", "b", "c"]),
        ("f() { make -j4; }", ["make"]),
        ("x=$(make)", ["make"]),
        ("case $1 in build) make ;; esac", ["make"]),
        ("env -i A=b make", ["env", "make"]),
        ("xargs -r apt-get install <list", ["xargs", "apt-get"]),
        ("timeout 60 make", ["timeout", "make"]),
        ("timeout --kill-after=5 1h env A=b make", ["timeout", "env", "make"]),
        ("sh -c 'cd /src && make'", ["sh", "cd", "make"]),
        ("bash <<end\nmake\nend", ["bash", "make"]),
        ("cat <<end\nmake\nend", ["cat"]),
        ("echo make # make", ["echo"]),
    ],
)
def test_read_finds_commands_in_every_construct(script: str, programs: list[str]) -> None:
    """A script's commands are found in functions, substitutions, wrappers and heredocs."""
    assert [command.program for command in shell.read(script, "s.sh").commands] == programs


def test_read_keeps_assignments_for_one_command_apart() -> None:
    """The assignment in `A=b make` is make's only; `A=b` on its own is for later commands too."""
    script = shell.read("CC=gcc make\nexport CXX=g++\n", "s.sh")
    assert script.commands[0].assignments == {"CC": "gcc"}
    assert script.assignments == {"CXX": "g++"}


def test_chain_numbers_commands_that_operators_join() -> None:
    """Shell commands joined by operators are one chain, also over two lines."""
    first, second, third = shell.read("./configure \\\n  && make\nmake install", "s.sh").commands
    assert first.chain == second.chain != third.chain
