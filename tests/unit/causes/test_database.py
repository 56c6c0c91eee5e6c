"""BuildKit's database of cache keys, from a buildkitd 0.34."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from scripts.causes import database
from scripts.causes.differences import Cause
from scripts.causes.explain import Explanation, Step
from scripts.core.console import UserError
from tests.support.sites import Sites

KEYS = (Path(__file__).parent / "fixtures" / "cache-keys.txt").read_text()


def confirmed(instruction: str, *causes: Cause) -> list[str]:
    """Return the details of the causes of a step with what the database says."""
    steps = [Step("a", "1/1", instruction, 1.0, list(causes))]
    explanation = Explanation(["a"], datetime.now(UTC), 1.0, [], steps, 0)
    return [cause.detail for cause in database.confirm(explanation, KEYS).steps[0].causes]


def test_definitions_are_listed_by_command() -> None:
    """The database has one definition of a RUN, and two of another one."""
    found = database.definitions(KEYS)
    assert {command: len(each) for command, each in found.items()} == {
        ": install gcc": 1,
        "sh /r.sh": 2,
    }


@pytest.mark.parametrize(
    ("instruction", "detail"),
    [
        ("RUN : install gcc", "BuildKit's database has a single definition of it"),
        (
            "RUN --network=none sh /r.sh",
            "BuildKit's database has 2 definitions, which differ in LEVEL",
        ),
        ("RUN make", "BuildKit's database does not have the step"),
        ("COPY a /", ""),
    ],
)
def test_lost_results_are_looked_up(instruction: str, detail: str) -> None:
    """A step without a cause is looked up by its command; the variable that differs is named."""
    assert confirmed(instruction, Cause("cache")) == [detail]


def test_other_causes_remain() -> None:
    """A cause that is recorded is not looked up."""
    assert confirmed("RUN sh /r.sh", Cause("file", "a", "added")) == ["added"]


@pytest.mark.parametrize("address", ["file:///etc/passwd", "http://127.0.0.1:9/"])
def test_database_that_does_not_answer(address: str) -> None:
    """Another scheme, or a port without a server, is an error that says how to start one."""
    with pytest.raises(UserError, match=r"VMAF_CACHE_KEYS is .*\n.*--save-cache-debug"):
        database.fetch(address)


def test_database_is_fetched() -> None:
    """The database is read from its address; an error of the server is reported."""
    sites = Sites()
    try:
        sites.files["/debug/cache/all"] = KEYS.encode()
        assert database.fetch(f"{sites.url}/debug/cache/all") == KEYS
        with pytest.raises(UserError, match="404"):
            database.fetch(f"{sites.url}/debug/cache")
    finally:
        sites.close()
