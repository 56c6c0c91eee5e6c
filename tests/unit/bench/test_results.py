"""Tests of scripts/bench/results.py."""

import json
from pathlib import Path

import pytest

from scripts.bench import results
from scripts.bench.results import Result, Run
from scripts.buildkit.measurements import Ccache, Depcache, Measurements
from scripts.buildkit.records import StageRecord
from tests.support.bench import WHEN, small_run


def test_result_is_the_median_of_its_builds() -> None:
    """A bench result has the median duration, the last hit rate and the largest download."""
    result = Result("libvmaf-c", "project", "cpu")
    for seconds, misses in ((4.0, 10), (9.0, 0), (5.0, 2)):
        measurements = Measurements(
            ccache=Ccache(direct_cache_hit=4, preprocessed_cache_hit=2, cache_miss=misses),
            depcache=Depcache(hit=2, bypassed=7),
        )
        compiled = StageRecord("ffmpeg-cpu", [], 3.0, cached=False, measurements=measurements)
        export = StageRecord("(export)", [], seconds / 10, cached=False)
        result.add(seconds, [compiled, StageRecord("base"), export], 100 * misses)
    assert result.value == 5.0
    assert result.hits == 0.8
    assert result.downloaded_bytes == 1000
    assert result.export == 0.5
    assert set(result.stages) == {"ffmpeg-cpu", "(export)"}


def test_downloaded_bytes_are_read_from_the_log(tmp_path: Path) -> None:
    """The bench counts the bytes that apt fetched, not those that it needed or had cached."""
    log = tmp_path / "x.log"
    log.write_text(
        "[cpu toolchain 1/2] Need to get 0 B/196 MB of archives.\n"
        "[cpu toolchain 1/2] Fetched 231 kB in 0s (1170 kB/s)\n"
        "[cpu ffmpeg-fetch 1/1] Fetched 11.1 MB in 1s (14.1 MB/s)\n"
        "[cpu cuda-devel 1/1] Fetched 1,021 MB in 5s (200 MB/s)\n"
        "[cpu cuda-devel 1/1] Fetched 0 B in 0s (0 B/s)\n"
    )
    assert results.downloaded(log) == 231_000 + 11_100_000 + 1_021_000_000


def test_history_stores_each_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the bench replaces its earlier state in the history, without empty results."""
    monkeypatch.setattr(results, "PERFORMANCE", tmp_path / "performance.json")
    run = small_run()
    results.store(Run("2026-11-21T00:00:00Z", "x", {}))
    results.store(run)
    run.results[0].seconds.append(510.0)
    results.store(run)
    stored = results.history()
    assert [other.when for other in stored] == ["2026-11-21T00:00:00Z", WHEN]
    assert stored[1].by_scenario() == run.by_scenario()
    data = json.loads((tmp_path / "performance.json").read_text())[1]["results"]
    assert len(data) == 4
    assert {"scenario", "contender", "target", "seconds", "hits"} <= set(data[1])
    assert {"downloaded_bytes", "digests_equal", "note"} <= set(data[1])
