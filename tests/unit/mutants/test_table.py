"""The table of `nox -s mutants`, without images."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.mutants.conftest import pytest_terminal_summary
from tests.mutants.mutant import matching_lines

MESSAGE = """`ffmpeg -i a.mp4 b.mkv` ended with 8:
Stream mapping:
[vost#0:0 @ 0x55] Unknown encoder 'libx265'
Error opening output files: Encoder not found"""


@pytest.mark.parametrize(
    ("expected_failure", "lines"),
    [
        ("Unknown encoder", "[vost#0:0 @ 0x55] Unknown encoder 'libx265'"),
        ("ended with 8", "`ffmpeg -i a.mp4 b.mkv` ended with 8:"),
        ("not found$", "Error opening output files: Encoder not found"),
        (r"mapping:\n.*libx265", "Stream mapping:\n[vost#0:0 @ 0x55] Unknown encoder 'libx265'"),
    ],
)
def test_matching_lines_contain_the_expected_failure(expected_failure: str, lines: str) -> None:
    """The complete lines that the expected failure matches are returned, and no others."""
    assert matching_lines(expected_failure, MESSAGE) == lines


def test_table_shows_messages_and_names_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    """The table shows brackets as they are, in a message and in the name of a failed test."""
    message = "[vost#0:0 @ 0x55] Unknown encoder 'libx265'"
    caught = ("caught", ("test_encoders", "no-libx265 (cpu)", message))
    name = "test_property_fails_on_mutant[red]"
    stats = {
        "passed": [SimpleNamespace(user_properties=[caught], nodeid="")],
        "failed": [SimpleNamespace(user_properties=[], nodeid=f"test_mutants.py::{name}")],
    }
    config = SimpleNamespace(getoption=lambda _: True)
    pytest_terminal_summary(cast("Any", SimpleNamespace(stats=stats)), cast("Any", config))
    printed = capsys.readouterr().out
    assert message in printed
    assert name in printed
    assert "not caught" in printed
