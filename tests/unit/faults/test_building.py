"""Tests of builds in child processes, with other work than a build."""

import os
import time
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.faults import building
from scripts.faults.building import Request, Running
from scripts.images import build


def request(directory: Path) -> Request:
    """Return a request whose log is in a directory."""
    return Request("cpu", "x:cpu", directory, "warm", directory / "logs" / "build.log")


def succeed(_request: Request) -> tuple[str, bool]:
    """Print something, and succeed."""
    print("step 1 done", flush=True)
    return "", True


def fail(_request: Request) -> tuple[str, bool]:
    """Fail with a message that is longer than a pipe."""
    return "no space left" * 100_000, True


def die(_request: Request) -> tuple[str, bool]:
    """End without an answer."""
    os._exit(7)


def hang(_request: Request) -> tuple[str, bool]:
    """Never end."""
    time.sleep(600)
    return "", True


def test_build_that_succeeds(tmp_path: Path) -> None:
    """A build has no error, and what it prints is in its log."""
    built = Running(request(tmp_path), succeed).result()
    assert built.succeeded
    assert (tmp_path / "logs" / "build.log").read_text() == "step 1 done\n"


def test_build_that_fails(tmp_path: Path) -> None:
    """A build that fails has the message of its error."""
    built = Running(request(tmp_path), fail).result()
    assert not built.succeeded
    assert built.in_words
    assert "no space left" in built.error


def test_build_that_dies(tmp_path: Path) -> None:
    """A build whose process ends without an answer has an error that is not for users."""
    built = Running(request(tmp_path), die).result()
    assert (built.error, built.in_words) == ("the build ended with status 7", False)


def test_build_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that does not end within its time is ended, which is an error."""
    monkeypatch.setattr(building, "TIMEOUT_SECONDS", 0.1)
    running = Running(request(tmp_path), hang)
    time.sleep(0.2)
    assert running.ended
    built = running.result()
    assert "did not end" in built.error
    assert not built.in_words


def test_builds_end_with_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this process is interrupted, such as by SIGTERM, it ends the builds first."""
    started: list[Running] = []

    class Hanging(Running):
        def __init__(self, wanted: Request) -> None:
            super().__init__(wanted, hang)
            started.append(self)

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(building, "Running", Hanging)
    with pytest.raises(KeyboardInterrupt):
        building.together([request(tmp_path), request(tmp_path)], interrupt)
    assert [running.ended for running in started] == [True, True]


@pytest.mark.parametrize(
    ("error", "answer", "in_words"),
    [
        (None, "", True),
        (UserError("the build failed", "EOF", "Build again."), "the build failed: EOF", True),
        (ValueError("no such stage"), "ValueError: no such stage", False),
    ],
)
def test_errors_for_users_are_told_from_others(
    error: Exception | None,
    answer: str,
    in_words: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer has the message of an error for users, or a traceback."""
    given: dict[str, object] = {}

    def build_image(targets: list[str], **options: object) -> None:
        given.update(options, targets=targets)
        if error:
            raise error

    monkeypatch.setattr(build, "build", build_image)
    text, is_for_users = building.run_build(request(tmp_path))
    assert answer in text
    assert bool(text) == bool(answer)
    assert is_for_users == in_words
    assert given["tags"] == {"cpu": "x:cpu"}
    assert given["namespace"] == "warm"
