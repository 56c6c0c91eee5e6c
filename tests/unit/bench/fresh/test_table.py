"""Tests of scripts/bench/fresh/table.py and results.py."""

from pathlib import Path

import pytest

from scripts.bench import charts
from scripts.bench import table as performance
from scripts.bench.fresh import results, table
from scripts.bench.fresh.results import NOTHING, Row, Run, Saved
from scripts.buildkit.measurements import Apt, Ccache, Measurements
from scripts.buildkit.records import StageRecord


def small_run() -> Run:
    """Return a small run whose rows are not in the order of the table."""
    return Run(
        "2026-11-28T00:00:00Z",
        "0123456789abcdef",
        {"cpus": 2, "memory_gb": 8},
        "cpu",
        [NOTHING, "archive", "registry"],
        saves={"registry": Saved(12.0, 900_000_000), "redis": Saved(0.0, 35_000_000)},
        rows=[
            Row("base", "registry", "cpu", [600.0], digests_equal=True, compiled=400.0),
            Row(
                *("libvmaf-c", "archive", "cpu", [60.0], 0.995),
                digests_equal=True,
                load=40.0,
                transferred=10**6,
                compiled=20.0,
            ),
            Row(NOTHING, NOTHING, "cpu", [500.0], 0.0, compiled=400.0),
            Row("libvmaf-c", "registry", "cpu", [50.0], digests_equal=True),
        ],
    )


def test_table_compares_with_nothing() -> None:
    """Rows are in the order of the contenders, with ratios to the machine without caches."""
    lines = table.builds_table(small_run()).splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == [
        *("what changed", "caches", "load", "build", "in all", "faster"),
        *("libvmaf, FFmpeg", "caches transferred", "hits"),
    ]
    commit, base = "a .c file of libvmaf edited", "another base image"
    assert lines[2:] == [
        "| either of these | nothing |  | 500 s | 500 s |  | 400 s |  | 0.0 % |",
        f"| {commit} | registry |  | 50.0 s | 50.0 s | 10x | cached |  |  |",
        f"| {commit} | archive | 40.0 s | 60.0 s | 100 s | 5.0x | 20.0 s, 20x | 1.0 MB | 99.5 % |",
        f"| {base} | registry |  | 600 s | 600 s | 0.8x | 400 s, 1.0x |  |  |",
    ]


def test_saves_have_a_table() -> None:
    """Redis is filled by the build itself, so that its save has no duration."""
    assert table.saves_table(small_run()).splitlines()[2:] == [
        "| registry | 12.0 s | 900.0 MB |",
        "| redis | in the build | 35.0 MB |",
    ]


def test_row_counts_the_compile_steps() -> None:
    """The seconds of compile steps are those of uncached stages that asked a compiler cache."""
    lookups = Measurements(ccache=Ccache(direct_cache_hit=90, cache_miss=10))
    row = Row("base", "archive", "cpu", load=5.0)
    row.measure(
        70.0,
        [
            StageRecord("libvmaf-cpu", seconds=3.0, cached=False, measurements=lookups),
            StageRecord("ffmpeg-cpu", seconds=8.0, cached=True, measurements=lookups),
            StageRecord(
                "toolchain",
                seconds=40.0,
                cached=False,
                measurements=Measurements(apt=Apt(needed=9, fetched=4)),
            ),
        ],
    )
    assert (row.total, row.compiled, row.apt, row.hits) == (75.0, 3.0, 4, 0.9)


def test_update_changes_the_section_and_the_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Updating the page twice gives the same bytes, and other sections stay as they are."""
    page, chart = tmp_path / "performance.md", tmp_path / "performance-fresh.svg"
    page.write_text(f"# Head\n\n{table.BEGIN}\n\nstale\n\n<!-- end -->\n\nfoot\n")
    monkeypatch.setattr(table, "PAGE", page)
    monkeypatch.setattr(charts, "CHARTS", {"fresh": chart})
    monkeypatch.setattr(results, "STORED", tmp_path / "fresh.json")
    results.STORED.write_bytes(results.encode(small_run()))
    table.update()
    text, drawn = page.read_text(), chart.read_bytes()
    assert text.startswith(f"# Head\n\n{table.BEGIN}\n\n`vmaf:cpu`, measured on 2026-11-28")
    assert text.endswith("<!-- end -->\n\nfoot\n")
    assert "equal: 3." in text
    assert b"archive" in drawn
    table.update()
    assert (page.read_text(), chart.read_bytes()) == (text, drawn)


def test_page_shows_the_stored_run() -> None:
    """The section about fresh machines in docs/performance.md is made from docs/fresh.json."""
    text = performance.PAGE.read_text()
    assert text.count(table.BEGIN) == 1
    if results.STORED.exists():
        stored = table.generated(results.decode(results.STORED))
        assert text == performance.page(text, stored, table.BEGIN)
