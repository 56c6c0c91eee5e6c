"""Which bench is run, and what is kept of it."""

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
    """Have benches that yield one figure, and one that yields none; returns which were run."""
    names: list[str] = []

    def figures(name: str, *found: Figure) -> bench.Bench:
        def measure(_options: object) -> list[Figure]:
            names.append(name)
            return list(found)

        return lambda options: iter(measure(options))

    benches = {"rebuild": figures("rebuild"), "server": figures("server", Figure("x", 1.0))}
    monkeypatch.setattr(bench, "BENCHES", benches)
    monkeypatch.setattr(bench, "RECORDS", tmp_path)
    monkeypatch.setattr(client, "require", lambda: None)
    return names


@pytest.mark.parametrize(
    ("words", "which"),
    [
        ([], ["rebuild", "server"]),
        (["server"], ["server"]),
        (["--quick"], ["rebuild"]),
        (["--draw"], ["rebuild"]),
    ],
)
def test_the_options_choose_the_bench(words: list[str], which: list[str], run: list[str]) -> None:
    """Those that only one bench has mean that one; with nothing said it is all."""
    assert main(["bench", *words]) == 0
    assert run == which


def test_figures_are_kept(run: list[str], tmp_path: Path) -> None:
    """Each run in a file of its own, and none where nothing was measured."""
    main(["bench"])
    assert run == ["rebuild", "server"]
    (kept,) = (tmp_path / "bench").iterdir()
    assert json.loads(kept.read_text())[0]["name"] == "x"
    with pytest.raises(UserError, match="`speed`"):
        main(["bench", "speed"])
