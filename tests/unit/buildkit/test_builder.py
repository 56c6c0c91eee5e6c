"""The identity of the builder, from the output of docker."""

from datetime import UTC, datetime
from textwrap import dedent

import pytest

from scripts.buildkit.builder import Builder, cache_created, identify

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
