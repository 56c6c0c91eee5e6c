"""The fixtures of the tests of scripts/report."""

from pathlib import Path

import pytest

from scripts.buildkit import records
from scripts.images import catalogue
from scripts.report import benchmarks, html
from tests.support.bakefile import small_image


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a temporary directory for records and the page, and no engine.

    The images are cpu and cuda12; neither is built.
    """
    monkeypatch.setattr(records, "RECORDS", tmp_path)
    monkeypatch.setattr(benchmarks, "RECORDS", tmp_path)
    monkeypatch.setattr(benchmarks, "PERFORMANCE", tmp_path / "performance.json")
    monkeypatch.setattr(html, "PAGE", tmp_path / "report.html")
    monkeypatch.setattr(html, "revision", lambda: "0123456789abcdef")
    images = {name: small_image(name) for name in ("cpu", "cuda12")}
    monkeypatch.setattr(catalogue, "images", lambda: images)
    monkeypatch.setattr("scripts.core.process.output", lambda *_, **__: "")
