"""Tests of the judgement on what followed a fault."""

import io
from collections.abc import Callable

import pytest
from msgspec.structs import replace
from rich.console import Console

from scripts.faults.verdict import Disturbed, Row, table

DIFFERENCE = "/usr/local/bin/vmaf: content, 12 bytes"
KILLED = Row(
    "killed",
    "the daemon is killed",
    errors=("closing transport",),
    planted="after 20 compilers",
    disturbed=[Disturbed(5.0, "the build failed: closing transport\nThe log is x.")],
    next_seconds=30.0,
    verified=True,
)
DAMAGED = Row(
    "objects",
    "objects are damaged",
    planted="24 of 100",
    disturbed=[Disturbed(40.0)],
    next_seconds=30.0,
    verified=True,
)


@pytest.mark.parametrize("row", [KILLED, DAMAGED], ids=lambda row: row.fault)
def test_fault_is_survived(row: Row) -> None:
    """A fault is survived if the build fails as it has to, and the next image is right."""
    assert not row.problems
    assert row.survived


def disturbed(**changes: object) -> Callable[[Row], Row]:
    """Return a change of the disturbed build of a row."""
    return lambda row: replace(row, disturbed=[replace(row.disturbed[0], **changes)])


def changed(**changes: object) -> Callable[[Row], Row]:
    """Return a change of a row."""
    return lambda row: replace(row, **changes)


@pytest.mark.parametrize(
    ("row", "change", "problem"),
    [
        (KILLED, changed(planted=""), "was not planted"),
        (KILLED, changed(disturbed=[]), "no disturbed build"),
        (DAMAGED, changed(without_effect="nothing was read"), "nothing was read"),
        (KILLED, disturbed(error=""), "did not notice the fault"),
        (KILLED, disturbed(error="a compiler is missing"), "failed for another reason"),
        (KILLED, disturbed(in_words=False), "not one for users"),
        (DAMAGED, disturbed(error="lzma error"), "the disturbed build failed: lzma error"),
        (DAMAGED, disturbed(differences=[DIFFERENCE]), "made a wrong image: /usr/local/bin/vmaf"),
        (KILLED, changed(next_error="no such snapshot"), "next build failed: no such snapshot"),
        (KILLED, changed(verified=False), "does not verify"),
        (KILLED, changed(differences=[DIFFERENCE]), "differs from a cold build"),
    ],
)
def test_fault_is_not_survived(row: Row, change: Callable[[Row], Row], problem: str) -> None:
    """Each thing that can be wrong is a problem of its own, and the only one."""
    (found,) = change(row).problems
    assert problem in found
    assert not change(row).survived


def test_many_differences_are_counted() -> None:
    """A problem names some of the files that differ, and the number of the others."""
    (found,) = replace(DAMAGED, differences=[DIFFERENCE] * 8).problems
    assert found.endswith("and 3 more")


def test_table_has_the_reason_of_a_failed_build() -> None:
    """The table shows the line of the error with the expected text, and what was not survived."""
    console = Console(width=400, record=True, file=io.StringIO())
    lost = replace(DAMAGED, differences=[DIFFERENCE], restarted=True)
    console.print(table([KILLED, lost, replace(KILLED, next_error="broken\nbadly")]))
    killed, damaged, broken = console.export_text().strip().splitlines()[2:]
    assert "failed: the build failed: closing transport" in killed
    assert killed.split("|")[-2].strip() == "yes"
    assert "succeeded (40 s), equal (restarted the daemon)" in damaged
    assert "1 files differ" in damaged
    assert damaged.split("|")[-2].strip() == "NO"
    assert "failed: broken " in broken
