"""The identity of the builder, from the output of docker."""

from datetime import UTC, datetime
from textwrap import dedent

import pytest

from scripts.buildkit.builder import Builder, cache_created, identify, inspect, require
from scripts.core import process
from scripts.core.console import UserError

ENGINE = """\
Name:          default
Driver:        docker
Last Activity: 2026-11-27 05:00:33 +0000 UTC

Nodes:
Name:             default
Endpoint:         default
Status:           running
"""
CONTAINER = """\
Name:          ci
Driver:        docker-container

Nodes:
Name:     ci0
Endpoint: unix:///var/run/docker.sock
Labels:
 org.mobyproject.buildkit.worker.executor: oci
 org.mobyproject.buildkit.worker.hostname: 0f3b5c7d9e1a
"""


REMOTE = """\
Name:          far
Driver:        remote

Nodes:
Name:             far0
Endpoint:         tcp://far:1234
Status:           {}
"""


def mount(target: str, identifier: str, created: str) -> str:
    """Return the entry of a cache mount in `docker buildx du --verbose`."""
    return dedent(f"""\
        ID:\t\tr4ixf6cn528vor0uduw0da829
        Created at:\t{created} +0000 UTC
        Size:\t\t482.1MB
        Description:\tcached mount {target} from exec /bin/sh -c make     && make install

        # a command of several lines with id "{identifier}"
        Usage count:\t4
        Type:\t\texec.cachemount

        """)


LISTING = (
    mount("/root/.cache/pip", "/vmaf-pip-amd64", "2026-11-20 01:00:00.5")
    + mount("/ccache", "/vmaf-ccache-arm64", "2026-11-27 04:43:20.656574607")
    + mount("/ccache", "/vmaf-ccache-amd64", "2026-11-26 04:43:20.656574607")
    + mount("/ccache", "trial/vmaf-ccache-amd64", "2026-11-21 00:00:00")
)


def test_cache_created_is_the_time_of_the_oldest_compiler_cache() -> None:
    """The cache's age is the age of the oldest /ccache mount of the given namespace."""
    assert cache_created(LISTING, "") == datetime(2026, 11, 26, 4, 43, 20, 656574, tzinfo=UTC)
    assert cache_created(LISTING, "trial") == datetime(2026, 11, 21, tzinfo=UTC)
    assert cache_created(LISTING, "other") is None
    assert cache_created("", "") is None


@pytest.mark.parametrize(
    ("inspected", "name", "endpoint", "state"),
    [
        (ENGINE, "default", "default", "b7533297-f802"),
        (CONTAINER, "ci", "unix:///var/run/docker.sock", "0f3b5c7d9e1a"),
        ("", "", "", ""),
    ],
    ids=["engine", "container", "no-answer"],
)
def test_identify_returns_name_endpoint_and_state(
    monkeypatch: pytest.MonkeyPatch, inspected: str, name: str, endpoint: str, state: str
) -> None:
    """A builder's state is the engine's ID, or BuildKit's host name for the other drivers."""
    answers = {"inspect": inspected, "info": "b7533297-f802\n", "du": LISTING}

    def output(*command: str) -> str:
        return next(answer for word, answer in answers.items() if word in command)

    monkeypatch.setattr("scripts.core.process.output", output)
    created = cache_created(LISTING, "")
    assert identify() == Builder(name, endpoint, state, created)


def answer(
    monkeypatch: pytest.MonkeyPatch, stdout: str, stderr: str = "", code: int = 0
) -> list[tuple[str, ...]]:
    """Let `docker buildx inspect` print this; return the list of the commands that are run."""
    commands: list[tuple[str, ...]] = []

    def run(*command: str, timeout: float) -> process.CompletedProcess[str]:
        assert timeout > 20  # buildx itself waits 20 s for a node
        commands.append(command)
        return process.CompletedProcess(command, code, stdout, stderr)

    monkeypatch.setattr(process, "run", run)
    return commands


@pytest.mark.parametrize(
    ("inspected", "answers", "in_engine"),
    [
        (ENGINE, True, True),
        (CONTAINER, True, False),
        (REMOTE.format("running"), True, False),
        (REMOTE.format("inactive"), False, False),
        (CONTAINER + "Error: the container is gone\n", False, False),
        ("", False, False),
    ],
    ids=["engine", "container", "remote", "dead-remote", "dead-container", "no-answer"],
)
def test_inspect_tells_whether_a_builder_answers(
    monkeypatch: pytest.MonkeyPatch, inspected: str, *, answers: bool, in_engine: bool
) -> None:
    """A remote node must run; buildx starts the nodes of other drivers when a build begins."""
    commands = answer(monkeypatch, inspected)
    found = inspect()
    assert (found.answers, found.in_engine) == (answers, in_engine)
    assert inspect("far").name == "far"
    assert [command[3:] for command in commands] == [(), ("far",)]


def test_unknown_builder_and_builder_without_answer_have_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message has what buildx printed, or the address at which nothing answers."""
    answer(monkeypatch, "", 'ERROR: no builder "nosuch" found\n', 1)
    with pytest.raises(UserError, match='no builder "nosuch" found') as raised:
        require("nosuch")
    assert "docker buildx ls" in raised.value.todo
    answer(monkeypatch, REMOTE.format("inactive"))
    with pytest.raises(UserError, match="`far` does not answer: no BuildKit runs at tcp://far:123"):
        require("far")
    answer(monkeypatch, REMOTE.format("running"))
    assert require().name == "far"
