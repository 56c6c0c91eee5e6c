"""The causes in the closing table of a build."""

import sys
from argparse import Namespace
from pathlib import Path

import pytest

from scripts.buildkit import cold, records
from scripts.causes import store
from scripts.cli.build import build_and_report
from scripts.images import build
from tests.support.history import LABELS, History, Sources

OPTIONS = Namespace(libvmaf=None, ffmpeg=None, namespace=None)


@pytest.fixture(name="history")
def _history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    """Return a history with a first build; a build is its last one, the others are recorded."""
    monkeypatch.setattr(store, "RECORDS", tmp_path)
    history = History()
    history.build(Sources(), *LABELS)
    monkeypatch.setattr(records, "records", lambda: history.builds[:-1])
    monkeypatch.setattr(build, "build", lambda *_, **__: history.builds[-1])
    return history


def report(history: History, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Report the last build, whose steps take a second each; return the lines."""
    for stage in history.builds[-1].stages:
        stage.seconds = sum(not step.cached for step in stage.steps.values())
    built = build_and_report(["image"], OPTIONS)
    assert built is history.builds[-1]
    return capsys.readouterr().err.splitlines()


def test_closing_table_names_the_causes(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has the cause of each stage that ran."""
    sources = Sources()
    sources.files["docker/libvmaf.sh"] = "644 2"
    history.build(sources, "libvmaf 1/1", "final 1/2")
    lines = report(history, capsys)
    assert [line.split()[-1] for line in lines[:3]] == ["cause", "docker/libvmaf.sh", "libvmaf"]


@pytest.mark.parametrize("forgotten", [False, True])
def test_closing_table_without_causes(
    history: History, capsys: pytest.CaptureFixture[str], *, forgotten: bool
) -> None:
    """A build without work, or without recorded inputs, has no such column."""
    history.build(Sources(), *(LABELS if forgotten else ()))
    if forgotten:
        history.forget_inputs()
    assert not any("cause" in line for line in report(history, capsys))


def test_refused_archive_is_recorded(
    history: History,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The record of the first build after a refused load has the reason; the next one's has not."""
    monkeypatch.setattr(records, "RECORDS", tmp_path)
    monkeypatch.setattr(cold, "FILE", tmp_path / "cold.json")
    cold.write(history.builds[-1].namespace, "damaged")
    for expected in ("damaged", ""):
        history.build(Sources(), "libvmaf 1/1")
        lines = report(history, capsys)
        assert any("were not loaded" in line for line in lines) is bool(expected)
        assert history.builds[-1].not_loaded == expected
    (written,) = (tmp_path / "records").iterdir()
    assert '"not_loaded": "damaged"' in written.read_text()


def test_build_does_not_need_the_parsers(
    history: History, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the parsers, which some platforms lack, a build has its table without causes."""
    history.build(Sources(), "libvmaf 1/1")
    assert "cause" in report(history, capsys)[0]
    monkeypatch.setitem(sys.modules, "scripts.causes.explain", None)
    assert "cause" not in report(history, capsys)[0]


def test_build_without_work_does_not_load_the_parsers(
    history: History, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The causes of a build in which nothing ran are not looked for."""
    explained: list[object] = []
    monkeypatch.setattr("scripts.causes.explain.explain", lambda *of: explained.append(of))
    history.build(Sources())
    report(history, capsys)
    assert not explained
    history.build(Sources(), "libvmaf 1/1")
    report(history, capsys)
    assert explained
