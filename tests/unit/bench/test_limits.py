"""Tests of scripts/bench/limits.py."""

from scripts.bench import limits
from scripts.bench.results import Result
from scripts.bench.session import Session


def test_limit_is_the_uncacheable_work_of_the_compiled_projects(bench: Session) -> None:
    """A scenario's limit is the uncacheable work of the projects it compiles, and the export."""
    work = {"configure": 1.0, "link": 2.0, "install": 0.5}
    bench.run.limits = {"libvmaf-cpu": work, "ffmpeg-cpu": {**work, "configure": 8.0}}
    bench.run.results = [
        Result(name, "project", "cpu", [30.0], stages={"(export)": [0.7]})
        for name in ("unchanged", "libvmaf-c", "libvmaf-header")
    ]
    limits.add(bench.run)
    rows = bench.run.by_scenario()
    assert rows["libvmaf-c"]["limit"].seconds == [4.2]
    assert rows["libvmaf-header"]["limit"].seconds == [14.7]
    assert "limit" not in rows["unchanged"]
