"""Findings, the messages of commits, and holds."""

import pytest

from scripts.pins.proposal import Finding, held, message, series


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('  "ruff==0.17.6", # hold: 0.18 has a fault', "0.18 has a fault"),
        ("go 1.24.0 // hold: Debian 13 has Go 1.24", "Debian 13 has Go 1.24"),
        ("example.org/a v1.0.0 // indirect; hold: a fault", "a fault"),
        ("uses: a/b@0 # v1.2.3; hold: needs a newer runner", "needs a newer runner"),
        ('  "ruff==0.17.6", # a household: it is not held', ""),
        ('  "hold: x"', ""),
        ("go 1.24.0 // hold:", ""),
    ],
)
def test_reason_of_a_hold_is_in_a_comment(line: str, reason: str) -> None:
    """A pin is held by a comment with a reason, and by nothing else."""
    assert held(line) == reason


@pytest.mark.parametrize(
    ("version", "number"),
    [("9.2.0", "9"), ("v4.1.0", "4"), ("0.17.6", "0"), ("2026.10.20", ""), ("edge", "")],
)
def test_series_is_the_first_number_unless_it_is_a_year(version: str, number: str) -> None:
    """A change of the first number needs a person's decision, except for a year."""
    assert series(version) == number


def test_message_has_a_short_subject() -> None:
    """A title that is too long for the subject is in the body, so that nothing is lost."""
    assert message("pins", "a 1 to 2", ("x", "y"), "Then z.") == "pins: a 1 to 2\n\nx\ny\n\nThen z."
    long = f"a 1 to {'2' * 70}"
    assert message("pins", long) == f"pins: update\n\n{long}"


@pytest.mark.parametrize(
    ("finding", "state", "is_behind"),
    [
        (Finding("a", "h", "1"), "current", False),
        (Finding("a", "h", "1", "2"), "newer", True),
        (Finding("a", "h", "1", problem="gone"), "stays", True),
        (Finding("a", "h", "1", problem="silent", asked=False), "not asked", True),
        (Finding("a", "h", "1", held="a reason"), "held", False),
        (Finding("a", "h", "1", notes=("2 is a new release",)), "current", False),
    ],
)
def test_state_and_check_agree(finding: Finding, state: str, *, is_behind: bool) -> None:
    """A part is behind if it has something newer, a problem, or an origin that is silent."""
    assert (finding.state, finding.is_behind) == (state, is_behind)
