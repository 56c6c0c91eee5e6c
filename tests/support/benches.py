"""Runs of the rebuild bench, as files for tests of the report."""

import json
from pathlib import Path
from typing import Any


def write_run(directory: Path, *results: dict[str, Any]) -> None:
    """Write a history with one run to a directory."""
    run = {"when": "2026-11-23T01:00:00Z", "revision": "abc", "machine": {"cores": 2}}
    (directory / "performance.json").write_text(json.dumps([{**run, "results": results}]))


def result(contender: str, *seconds: float, scenario: str = "cold") -> dict[str, Any]:
    """Return the result of a contender."""
    return {"scenario": scenario, "contender": contender, "target": "cpu", "seconds": seconds}
