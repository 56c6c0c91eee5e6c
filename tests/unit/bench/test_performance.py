"""The rebuild bench's figures: ratios, bytes, the page and its charts."""

import json
from pathlib import Path

import pytest

from scripts.bench import performance, rebuild
from scripts.bench.performance import Result, Run
from scripts.buildkit.records import Stage

TITLES = {"cold": "first build", "libvmaf-c": "a .c file edited"}
WHEN = "2026-11-22T00:00:00Z"


@pytest.fixture
def run() -> Run:
    """Return a small run, its results not in the order of the scenarios."""
    return Run(
        WHEN,
        "0123456789abcdef",
        {"cpus": 2, "memory_gb": 8},
        results=[
            Result("libvmaf-c", "before", "cpu", [500.0]),
            Result("libvmaf-c", "ours", "cpu", [4.0, 6.0, 5.0], hits=0.97, digests_equal=True),
            Result("libvmaf-c", "limit", "cpu", [2.5], stages={"link": [2.0], "export": [0.5]}),
            Result("cold", "ours", "cpu", [540.0], downloaded_bytes=212_000_000),
            Result("cold", "adr", "cpu"),
        ],
    )


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in the place of docs/."""
    monkeypatch.setattr(performance, "PERFORMANCE", tmp_path / "performance.json")
    monkeypatch.setattr(performance, "PAGE", tmp_path / "performance.md")
    charts = {name: tmp_path / path.name for name, path in performance.CHARTS.items()}
    monkeypatch.setattr(performance, "CHARTS", charts)
    (tmp_path / "performance.md").write_text(
        f"# Head\n\n{performance.BEGIN}\n\nstale table\n\n{performance.END}\n\nfoot\n"
    )
    return tmp_path


def test_a_result_is_the_median_of_its_builds() -> None:
    """With the last hit rate, the most that was fetched, and each stage's seconds."""
    result = Result("libvmaf-c", "ours", "cpu")
    for seconds, misses in ((4.0, 10), (9.0, 0), (5.0, 2)):
        measures = {
            "ccache": {"direct_cache_hit": 4, "preprocessed_cache_hit": 2, "cache_miss": misses},
            "depcache": {"hit": 2, "miss": 0, "unsafe": 0, "passed": 7},
        }
        compiled = Stage("ffmpeg-cpu", seconds=3.0, cached=False, measures=measures)
        writing = Stage("(export)", seconds=seconds / 10, cached=False)
        result.add(seconds, [compiled, Stage("base"), writing], 100 * misses)
    assert result.value == 5.0
    assert result.hits == 0.8
    assert result.downloaded_bytes == 1000
    assert result.export == 0.5
    assert set(result.stages) == {"ffmpeg-cpu", "(export)"}


def test_apts_bytes_are_read_from_the_log(tmp_path: Path) -> None:
    """What was fetched, not what is needed or was there."""
    log = tmp_path / "x.log"
    log.write_text(
        "[cpu toolchain 1/2] Need to get 0 B/196 MB of archives.\n"
        "[cpu toolchain 1/2] Fetched 231 kB in 0s (1170 kB/s)\n"
        "[cpu ffmpeg-fetch 1/1] Fetched 11.1 MB in 1s (14.1 MB/s)\n"
        "[cpu cuda-devel 1/1] Fetched 1,021 MB in 5s (200 MB/s)\n"
        "[cpu cuda-devel 1/1] Fetched 0 B in 0s (0 B/s)\n"
    )
    assert performance.downloaded(log) == 231_000 + 11_100_000 + 1_021_000_000


def test_the_table_has_the_ratios(run: Run) -> None:
    """A row a scenario in their own order, empty where nothing was measured."""
    lines = performance.table(run, TITLES).splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == [
        *("what changed", "image", "before", "ours", "limit", "before / ours", "ours / limit"),
        *("ours: fetched by apt", "ours: hits"),
    ]
    assert lines[2:] == [
        "| first build | cpu |  | 540 s |  |  |  | 212 MB |  |",
        "| a .c file edited | cpu | 500 s | 5.0 s | 2.5 s | 100x | 2.0x | 0.0 MB | 97 % |",
    ]


def test_the_compile_steps_have_a_table_of_their_own(run: Run) -> None:
    """Where both ran, compared with the same contender's first build."""
    run.results[3].stages = {"libvmaf-cpu": [20.0], "ffmpeg-cpu": [480.0]}
    run.results[1].stages = {"libvmaf-cpu": [4.0]}
    again = {"libvmaf-cpu": [1.0], "ffmpeg-cpu": [23.0, 24.0, 25.0]}
    run.results.append(Result("recompile", "ours", "cpu", [30.0], stages=again))
    assert performance.compiling(run, {**TITLES, "recompile": "both"}).splitlines()[2:] == [
        "| first build | cpu |  | 500.0 s |",
        "| both | cpu |  | 25.0 s, 20x |",
    ]


def test_the_history_keeps_each_run_once(run: Run, docs: Path) -> None:
    """A later state of a run replaces the earlier one; what has no build is left out."""
    performance.keep(Run("2026-11-21T00:00:00Z", "x", {}))
    performance.keep(run)
    run.results[0].seconds.append(510.0)
    performance.keep(run)
    kept = performance.history()
    assert [one.when for one in kept] == ["2026-11-21T00:00:00Z", WHEN]
    assert kept[1].found() == run.found()
    data = json.loads((docs / "performance.json").read_text())[1]["results"][1]
    assert {"scenario", "contender", "target", "seconds", "hits", "downloaded_bytes"} <= set(data)
    assert {"digests_equal", "note"} <= set(data)


def test_drawing_changes_the_marked_region_and_the_charts(run: Run, docs: Path) -> None:
    """Twice the same gives the same bytes, and what people wrote stays."""
    performance.keep(run)
    performance.draw(TITLES)
    text = (docs / "performance.md").read_text()
    assert text.startswith(f"# Head\n\n{performance.BEGIN}\n")
    assert text.endswith(f"{performance.END}\n\nfoot\n")
    assert performance.table(run, TITLES) in text
    assert "stale table" not in text
    charts = {path.name: path.read_bytes() for path in docs.glob("*.svg")}
    assert set(charts) == {"performance-rebuild.svg", "performance-limit.svg"}
    for name, drawn in charts.items():
        assert b"a .c file edited" in drawn
        assert name in text
    performance.draw(TITLES)
    assert (docs / "performance.md").read_text() == text
    assert charts == {path.name: path.read_bytes() for path in docs.glob("*.svg")}


def test_the_page_says_what_the_history_says() -> None:
    """The table on the page is the one of the newest run that was kept, and not typed."""
    text = performance.PAGE.read_text()
    runs = performance.history()
    if runs:
        content = performance.generated(runs[-1], rebuild.titles())
        assert text == performance.page(text, content)
    assert performance.BEGIN in text
    assert performance.END in text
