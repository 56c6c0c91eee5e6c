"""Tests of scripts/cli/bench.py."""

import json
from pathlib import Path

import pytest

from scripts.bench.figure import Figure
from scripts.cli import bench
from scripts.cli.__main__ import main
from scripts.core.console import UserError
from scripts.engine import client


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the benches by one that yields a figure and one that yields none.

    Returns the names of the benches that ran.
    """
    names: list[str] = []

    def measures(name: str, *figures: Figure) -> bench.Bench:
        def measure(_options: object) -> list[Figure]:
            names.append(name)
            return list(figures)

        return lambda options: iter(measure(options))

    benches = {"rebuild": measures("rebuild"), "server": measures("server", Figure("x", 1.0))}
    monkeypatch.setattr(bench, "BENCHES", benches)
    monkeypatch.setattr(bench, "RECORDS", tmp_path)
    monkeypatch.setattr(client, "require", lambda: None)
    return names


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["rebuild", "server"]),
        (["server"], ["server"]),
        (["--quick"], ["rebuild"]),
        (["--update-docs"], ["rebuild"]),
    ],
)
def test_options_choose_the_bench(arguments: list[str], names: list[str], run: list[str]) -> None:
    """All benches run by default; an option of a single bench chooses that bench."""
    assert main(["bench", *arguments]) == 0
    assert run == names


def test_figures_are_written(run: list[str], tmp_path: Path) -> None:
    """The figures of each bench are written to a file; a bench without figures writes none."""
    main(["bench"])
    assert run == ["rebuild", "server"]
    (written,) = (tmp_path / "bench").iterdir()
    assert json.loads(written.read_text())[0]["name"] == "x"


def test_unknown_bench_is_an_error(run: list[str]) -> None:
    """The error for an unknown bench lists the benches."""
    with pytest.raises(UserError, match="`speed`") as caught:
        main(["bench", "speed"])
    assert "rebuild, server" in caught.value.todo
    assert run == []
