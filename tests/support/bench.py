"""Runs of the rebuild bench for tests, as objects and as files."""

import json
from pathlib import Path
from typing import Any

from scripts.bench.results import Result, Run

TITLES = {"cold": "first build", "libvmaf-c": "a .c file edited"}
WHEN = "2026-11-22T00:00:00Z"


def small_run() -> Run:
    """Return a small run whose results are not in the order of the scenarios."""
    return Run(
        WHEN,
        "0123456789abcdef",
        {"cpus": 2, "memory_gb": 8},
        results=[
            Result("libvmaf-c", "before", "cpu", [500.0]),
            Result("libvmaf-c", "project", "cpu", [4.0, 6.0, 5.0], hits=0.97, digests_equal=True),
            Result("libvmaf-c", "limit", "cpu", [2.5], stages={"link": [2.0], "export": [0.5]}),
            Result("cold", "project", "cpu", [540.0], downloaded_bytes=212_000_000),
            Result("cold", "adr", "cpu"),
        ],
    )


def write_run(directory: Path, *results: dict[str, Any]) -> None:
    """Write a history with one run to a directory."""
    run = {"when": "2026-11-23T01:00:00Z", "revision": "abc", "machine": {"cores": 2}}
    (directory / "performance.json").write_text(json.dumps([{**run, "results": results}]))


def result(contender: str, *seconds: float, scenario: str = "cold") -> dict[str, Any]:
    """Return the result of a contender."""
    return {"scenario": scenario, "contender": contender, "target": "cpu", "seconds": seconds}
