"""Tests of scripts/bench/flood/results.py and table.py."""

from pathlib import Path

import pytest

from scripts.bench.flood import results, run, table
from scripts.bench.flood.results import Row, Run
from scripts.core.console import UserError


def small_run() -> Run:
    """Return a run of two rounds, in which the best number of clients differs."""

    def rows(few: int, more: int, flood: int) -> list[Row]:
        return [
            Row("paths", 2, 10, {"200": few}, 40.0, 0.1),
            Row("paths", 8, 10, {"200": more, "closed": 1}, 41.0, 0.2),
            Row("paths", 200, 10, {"200": flood, "429": 1000, "503": 2}, 50.4, 0.25),
        ]

    machine = {"cpus": 2}
    return Run(
        "2026-11-28T00:00:00Z",
        "0123456789abcdef",
        machine,
        own_core=True,
        rounds=[rows(300, 200, 270), rows(100, 400, 320)],
    )


def test_ratio_compares_the_flood_with_the_best_of_its_round() -> None:
    """The ratio is the median over the rounds; each compares with its own best clients."""
    assert small_run().ratio("paths") == pytest.approx((0.9 + 0.8) / 2)


def test_table_has_a_row_for_each_load() -> None:
    """A row has the medians, the other responses and the slowest health check."""
    lines = table.table(small_run()).splitlines()
    assert lines[2:] == ["| paths | 2/8 | 35.0 | 200 | 29.5 | 0.85 | 100 | 5 | 0.25 s |"]
    assert len({line.count("|") for line in lines}) == 1


def test_summary_states_cores_and_memory() -> None:
    """The summary states who ran on which core, and the memory before and after the flood."""
    text = " ".join(table.generated(small_run()).split())
    assert "one core for the server and one for the clients, the median of 2 rounds of 10 s" in text
    assert "41 MiB in the first round with few clients, 50 MiB at the end" in text


def test_update_stores_the_newest_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest run goes to docs/ and into the page; text outside of the markers stays."""
    stored, page = tmp_path / "flood.json", tmp_path / "server.md"
    monkeypatch.setattr(run, "FILES", tmp_path)
    monkeypatch.setattr(results, "STORED", stored)
    monkeypatch.setattr(table, "PAGE", page)
    page.write_text(f"before\n{table.BEGIN}\nold\n<!-- end -->\nafter\n")
    with pytest.raises(UserError, match="no run of the flood"):
        run.update_docs()
    newest = small_run()
    for name, revision in (("20261127t000000z", "old"), ("20261128t000000z", "new")):
        newest.revision = revision
        (tmp_path / f"{name}.json").write_bytes(results.encode(newest))
    run.update_docs()
    assert results.decode(stored).revision == "new"
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert table.table(newest) in text


def test_page_shows_the_stored_run() -> None:
    """docs/server.md has the table of docs/flood.json."""
    assert table.generated(results.decode(results.STORED)) in table.PAGE.read_text()
