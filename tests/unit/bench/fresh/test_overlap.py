"""Tests of scripts/bench/fresh/overlap.py, without builds."""

from pathlib import Path

import pytest

from scripts.bench.fresh import overlap
from scripts.buildkit.records import StageRecord, StepRecord
from scripts.core import process
from scripts.core.console import UserError


def test_steps_that_ran_are_counted() -> None:
    """Cached steps do not count, and neither do copies, exports or base images."""
    stages = [
        StageRecord(
            "toolchain",
            steps={
                "1/3 FROM debian:trixie-slim": StepRecord(1.0, cached=False),
                "2/3 RUN apt.sh install": StepRecord(40.0, cached=False),
                "3/3 RUN ccache --version": StepRecord(0.0, cached=True),
            },
        ),
        StageRecord("(export)", steps={"exporting to docker image": StepRecord(2.0, cached=False)}),
    ]
    assert overlap.ran(stages) == 1


def fake(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Run a shell script in the place of docker."""
    start = process.start
    monkeypatch.setattr(process, "start", lambda *_command: start("sh", "-c", script))


def test_other_build_runs_meanwhile_and_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other build holds the base image until the builds beside it have ended."""
    log = tmp_path / "log"
    trap, line = f"trap 'echo ended >{log}; exit' TERM", f"echo '#5 [2/2] {overlap.STEP}'"
    fake(monkeypatch, f"{trap}; {line}; sleep 60 >/dev/null & wait")
    with overlap.running(tmp_path):
        assert not log.exists()
    assert log.read_text() == "ended\n"


def test_other_build_that_fails_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the other build, nothing would be measured."""
    fake(monkeypatch, "echo no such builder; exit 1")
    with pytest.raises(UserError, match="no such builder"), overlap.running(tmp_path):
        pass
