"""Tests of scripts/bench/session.py."""

import json

import pytest

from scripts.bench import contenders, session
from scripts.bench.contenders import CONTENDERS, LIMIT_CONTENDER, PROJECT_CONTENDER
from scripts.bench.results import Result
from scripts.bench.session import Session
from scripts.core.console import UserError
from scripts.images import bases


@pytest.fixture
def written(bench: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Return a session that was written to its file, of inputs that did not change since."""
    monkeypatch.setattr(bases, "choose", lambda: "registry")
    monkeypatch.setattr(contenders, "digest", lambda: "abc")
    bench.run.inputs = "abc"
    bench.run.results = [Result("cold", "project", "cpu", [80.0]), Result("base", "project", "cpu")]
    bench.write()
    return bench


@pytest.mark.usefixtures("written")
def test_resume_continues_the_newest_run() -> None:
    """A resumed run of the bench has the results that were measured before."""
    again = session.begin(resume=True, quick=False, cold_runs=3)
    result = Result("cold", "project", "cpu", [80.0])
    assert again.run.by_scenario() == {"cold": {"project": result}}
    assert again.cold_runs == 3


@pytest.mark.usefixtures("written")
def test_resume_rejects_changed_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bench does not resume a run after the files that it builds have changed."""
    monkeypatch.setattr(contenders, "digest", lambda: "def")
    with pytest.raises(UserError, match="have changed since"):
        session.begin(resume=True, quick=False)


def test_resume_rejects_a_run_without_caches(written: Session) -> None:
    """The bench does not resume a run whose cache mounts were removed."""
    written.run.closed = True
    written.write()
    with pytest.raises(UserError, match="are removed"):
        session.begin(resume=True, quick=False)


def test_write_replaces_the_file_at_once(bench: Session) -> None:
    """Writing a run of the bench leaves no partial file behind."""
    bench.run.results = [Result("cold", "project", "cpu", [80.0])]
    bench.write()
    assert json.loads(bench.path.read_text())["results"][0]["seconds"] == [80.0]
    assert list(bench.path.parent.glob("*.part")) == []


def test_limit_uses_the_projects_cache_mounts(bench: Session) -> None:
    """The limit uses the project's cache mounts; no other contenders share theirs."""
    namespaces = {
        contender.name: bench.state(contender).namespace for contender in CONTENDERS.values()
    }
    assert len(set(namespaces.values())) == len(CONTENDERS)
    assert bench.state(LIMIT_CONTENDER).namespace == bench.state(PROJECT_CONTENDER).namespace
