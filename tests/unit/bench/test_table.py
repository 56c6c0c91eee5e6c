"""Tests of scripts/bench/table.py and scripts/bench/charts.py."""

from pathlib import Path

import pytest

from scripts.bench import charts, results, scenarios, table
from scripts.bench.results import Result
from tests.support.bench import TITLES, small_run


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory that replaces docs/."""
    monkeypatch.setattr(results, "PERFORMANCE", tmp_path / "performance.json")
    monkeypatch.setattr(table, "PAGE", tmp_path / "performance.md")
    paths = {name: tmp_path / path.name for name, path in charts.CHARTS.items()}
    monkeypatch.setattr(charts, "CHARTS", paths)
    (tmp_path / "performance.md").write_text(
        f"# Head\n\n{table.BEGIN}\n\nstale table\n\n{table.END}\n\nfoot\n"
    )
    return tmp_path


def test_table_has_a_row_for_each_scenario() -> None:
    """The bench's table has its rows in the order of the scenarios, with empty cells for gaps."""
    lines = table.table(small_run(), TITLES).splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == [
        *("what changed", "image", "project", "limit", "project / limit", "others"),
        *("fetched by apt", "hits"),
    ]
    assert lines[2:] == [
        "| first build | cpu | 540 s |  |  |  | 212 MB |  |",
        "| a .c file edited | cpu | 5.0 s | 2.5 s | 2.0x | before 500 s, 100x | 0.0 MB | 97 % |",
    ]


def test_compile_steps_have_a_table_of_their_own() -> None:
    """The compile steps of a build are compared with those of the contender's first build."""
    run = small_run()
    run.results[3].stages = {"libvmaf-cpu": [20.0], "ffmpeg-cpu": [480.0]}
    run.results[1].stages = {"libvmaf-cpu": [4.0]}
    again = {"libvmaf-cpu": [1.0], "ffmpeg-cpu": [23.0, 24.0, 25.0]}
    run.results.append(Result("recompile", "project", "cpu", [30.0], stages=again))
    assert table.compile_table(run, {**TITLES, "recompile": "both"}).splitlines()[2:] == [
        "| first build | cpu |  | 500.0 s |",
        "| both | cpu |  | 25.0 s, 20x |",
    ]


def test_update_changes_the_marked_region_and_the_charts(docs: Path) -> None:
    """Updating docs/performance.md twice gives the same bytes, and other text is unchanged."""
    run = small_run()
    results.store(run)
    table.update(TITLES)
    text = (docs / "performance.md").read_text()
    assert text.startswith(f"# Head\n\n{table.BEGIN}\n")
    assert text.endswith(f"{table.END}\n\nfoot\n")
    assert table.table(run, TITLES) in text
    assert "stale table" not in text
    drawn = {path.name: path.read_bytes() for path in docs.glob("*.svg")}
    assert set(drawn) == {"performance-rebuild.svg", "performance-limit.svg"}
    for name, content in drawn.items():
        assert b"a .c file edited" in content
        assert name in text
    table.update(TITLES)
    assert (docs / "performance.md").read_text() == text
    assert drawn == {path.name: path.read_bytes() for path in docs.glob("*.svg")}


def test_page_shows_the_newest_run() -> None:
    """The generated part of docs/performance.md is made from the newest complete run."""
    text = table.PAGE.read_text()
    runs = results.history()
    assert runs
    assert text == table.page(text, table.generated(table.newest(runs), scenarios.titles()))


def test_quick_run_does_not_replace_a_complete_one() -> None:
    """docs/performance.md shows a quick run only if there is no complete run."""
    complete, quick = small_run(), small_run()
    quick.quick = True
    assert table.newest([complete, quick]) is complete
    assert table.newest([quick]) is quick
