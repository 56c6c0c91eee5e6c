"""Tests of scripts/report/formatting.py."""

import pytest

from scripts.report import formatting


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (7260, "2 h 01 min")],
)
def test_duration_is_rounded_in_its_smallest_unit(seconds: float, text: str) -> None:
    """A duration is rounded in its smallest unit, so that it never shows 60 seconds."""
    assert formatting.duration(seconds) == text


def test_percent_is_exact_only_at_the_ends() -> None:
    """A share is shown as 0 % or 100 % only for none and all."""
    shares = [formatting.percent(share) for share in (0, 0.001, 0.5, 0.999, 1)]
    assert shares == ["0 %", "1 %", "50 %", "99 %", "100 %"]
