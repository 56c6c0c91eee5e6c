"""Tests of the options of the faults."""

import pytest

from scripts.cli import faults
from scripts.cli.options import parse
from scripts.core.console import UserError
from scripts.faults.faults import FAULTS


def test_faults_are_listed_without_docker(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--list` prints each fault, and needs no program."""
    monkeypatch.setenv("PATH", "")
    assert faults.run(parse(["faults", "--list"])) == 0
    listed = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in listed] == [fault.name for fault in FAULTS]


def test_unknown_fault_is_refused() -> None:
    """A name that no fault has is an error before anything is built."""
    with pytest.raises(UserError, match="no such fault"):
        faults.run(parse(["faults", "kiled"]))
