"""Tests of the closing tables as Markdown."""

from argparse import Namespace
from pathlib import Path

import pytest
from msgspec.structs import replace

from scripts.buildkit import cold
from scripts.buildkit.records import StageRecord
from scripts.cli import report
from scripts.report import markdown
from tests.support.builds import ccache, measured, record


def test_build_has_its_outcome_rates_and_stages() -> None:
    """A build has its duration, the hits of all stages, its sizes, and a row for each stage."""
    lines = markdown.render([record()]).splitlines()
    assert lines[0] == "### a c: built in 5.5 s"
    assert "- compiler caches: 2 of 7 lookups were hits, 29 %" in lines
    assert "- `vmaf:cpu`: 312.4 MB" in lines
    headings = next(line for line in lines if line.startswith("| stage |"))
    rows = [line for line in lines if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == ["| stage", "| ---", "| shared", "| c", "| a"]
    assert {row.count("|") for row in rows} == {headings.count("|")}
    assert "2 of 7, 29 %" in rows[2]


def test_builds_have_the_order_of_their_start() -> None:
    """All builds are shown, each with its outcome."""
    text = markdown.render([measured(1, 1, 1), measured(1, 1, 2, outcome="failed")])
    titles = [line for line in text.splitlines() if line.startswith("###")]
    assert titles == ["### a c: built in 5.5 s", "### a c: failed in 5.5 s"]


def test_cached_build_has_no_table() -> None:
    """A build without work has no table."""
    assert "| stage" not in markdown.render([record("cached.jsonl")])


def test_refused_archive_and_warnings_are_visible() -> None:
    """A refused archive and the warnings of a build are alerts; without them, there is none."""
    build = replace(record(), warnings=["one"], not_loaded="vmaf-ccache is damaged")
    lines = markdown.render([build]).splitlines()
    line = "> the caches were not loaded before this build: vmaf-ccache is damaged"
    assert lines[lines.index(line) - 1] == "> [!WARNING]"
    assert "> one" in lines
    assert "[!WARNING]" not in markdown.render([record()])


def test_refused_archive_before_a_failed_build_is_visible() -> None:
    """A refused archive is visible, too, if no build succeeded or none began."""
    assert "> the caches were not loaded: damaged" in markdown.render([], not_loaded="damaged")
    assert markdown.render([]) == "No image was built.\n\n"


def test_text_is_no_markup() -> None:
    """Names of stages and causes cannot break the table or become markup."""
    build = replace(record(), stages=[StageRecord("a|b<img>_c", measurements=ccache(1, 1))])
    row = markdown.render([build]).splitlines()[-2]
    assert row.startswith(r"| a\|b&lt;img>\_c |")


def test_report_appends_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--output` appends the tables and the refusal to a file; without it, stdout has them."""
    monkeypatch.setattr(cold, "FILE", tmp_path / "cold.json")
    cold.write("", "damaged")
    record().write()
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    assert report.run(Namespace(format="markdown", output=str(file))) == 0
    text = file.read_text()
    assert text.startswith("before\n### a c: built")
    assert text.endswith("> the caches were not loaded: damaged\n\n")
    assert report.run(Namespace(format="markdown", output=None)) == 0
    assert capsys.readouterr().out == text.removeprefix("before\n")
