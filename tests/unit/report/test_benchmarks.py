"""Tests of scripts/report/benchmarks.py."""

import json
from pathlib import Path

import pytest

from scripts.report import benchmarks
from tests.support.bench import result, write_run


def test_newest_run_may_be_outside_the_history(tmp_path: Path) -> None:
    """The report uses a run in build/bench/ that is newer than the history and has results."""
    write_run(tmp_path, result("project", 50))
    directory = tmp_path / "bench"
    directory.mkdir()
    for hour, results in ((2, [result("project", 70)]), (3, [result("project")])):
        run = {"revision": "abc", "machine": {}, "when": f"2026-11-23T0{hour}:00:00Z"}
        (directory / f"{hour}-run.json").write_text(json.dumps({**run, "results": results}))
    run_found = benchmarks.newest_run()
    assert run_found
    assert benchmarks.rebuilds(run_found)[0].seconds == {"project": 70}


@pytest.mark.parametrize("text", ["", "{}", "3", '[{"when": 3}]', '[{"results": [1]}]'])
def test_invalid_file_is_ignored_with_a_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    """A file that is not a history, or not the figures of a bench, is named in a message."""
    (tmp_path / "performance.json").write_text(text)
    directory = tmp_path / "bench"
    directory.mkdir()
    (directory / "x-server.json").write_text(text)
    assert benchmarks.newest_run() is None
    assert benchmarks.newest_figures() == {}
    printed = capsys.readouterr().err
    assert "performance.json, which is not a history of the rebuild bench" in printed
    assert "x-server.json, which is not the figures of a bench" in printed


def test_newest_figures_of_a_bench_are_used(tmp_path: Path) -> None:
    """Of several runs of a bench, the report uses the newest one."""
    directory = tmp_path / "bench"
    directory.mkdir()
    for stamp, value in (("20261122T1", 1.0), ("20261122T2", 20.04)):
        figure = {"name": "speed", "value": value, "unit": "frames/s", "samples": [18.5, 22.0]}
        (directory / f"{stamp}-server.json").write_text(json.dumps([figure]))
    ((figure_found,),) = benchmarks.newest_figures().values()
    assert (figure_found.value, figure_found.samples) == (20.04, [18.5, 22.0])
