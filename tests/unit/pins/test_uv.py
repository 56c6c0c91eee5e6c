"""Asking the package index with uv."""

from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.console import UserError
from scripts.pins import uv


def answer(monkeypatch: pytest.MonkeyPatch, status: int, out: str = "", err: str = "") -> list[str]:
    """Replace uv by an answer; return the command that is run."""
    commands: list[str] = []

    def run(*command: str, **_: object) -> process.CompletedProcess[str]:
        commands.extend(command)
        return process.CompletedProcess(command, status, out, err)

    monkeypatch.setattr(process, "run", run)
    return commands


def test_versions_are_read_by_normal_name() -> None:
    """Extras, markers, digests and comments are no part of a version."""
    text = """\
# nox -s update -- x==9
CycloneDX_python.lib[json]==11.12.0
dockerfile==3.4.0 ; sys_platform == 'linux'
cloudpickle==3.1.2 \\
    --hash=sha256:7fda
    # via joblib==1
six==1.17.0;python_version<'4'
"""
    assert uv.versions(text) == {
        "cyclonedx-python-lib": "11.12.0",
        "dockerfile": "3.4.0",
        "cloudpickle": "3.1.2",
        "six": "1.17.0",
    }


def test_text_is_the_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A text is passed on the standard input, a path as an argument."""
    commands = answer(monkeypatch, 0, "a==1\n")
    assert uv.lock("a", "--no-deps", cwd=tmp_path) == "a==1\n"
    assert commands[-2:] == ["--no-deps", "-"]
    uv.lock(Path("a.in"), cwd=tmp_path)
    assert commands[-1] == "a.in"


def test_no_solution_and_a_silent_index_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The exit status of uv says whether it had an answer; the message is on one line."""
    answer(monkeypatch, 1, err="warning: x\nerror: No solution found\n  cause: a needs b\n")
    with pytest.raises(uv.NoSolutionError, match=r"^No solution found; a needs b$"):
        uv.lock("a", cwd=tmp_path)
    answer(monkeypatch, 2, err="error: Request failed after 3 retries\n")
    with pytest.raises(uv.UnreachableError, match=r"^Request failed after 3 retries$"):
        uv.lock("a", cwd=tmp_path)
    answer(monkeypatch, process.TIMED_OUT)
    with pytest.raises(uv.UnreachableError, match="uv ends with status 124"):
        uv.lock("a", cwd=tmp_path)


def test_missing_uv_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without uv, the message names the session that installs it."""
    answer(monkeypatch, 1, err="/usr/bin/python: No module named uv\n")
    with pytest.raises(UserError, match=r"uv is not installed\nRun `nox -s update`"):
        uv.lock("a", cwd=tmp_path)
