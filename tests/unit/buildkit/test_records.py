"""The records of builds: what is in them, and how they are read back."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from scripts.buildkit import records
from scripts.buildkit.builder import Builder
from scripts.buildkit.measurements import Apt, Ccache, Depcache, Measurements
from scripts.buildkit.records import StageRecord, StepRecord, lookups_by_stage, stages
from tests.support.builds import ccache, measured, outcome, read_fixture, record

OLD = {
    "targets": ["cpu"],
    "options": {"bases": "bootstrap", "targets": "['cpu']"},
    "namespace": "",
    "started": "2026-11-27T04:37:42.828Z",
    "seconds": 332.153,
    "outcome": "built",
    "stages": [
        {
            "name": "ffmpeg-cpu",
            "targets": ["cpu"],
            "seconds": 245.390179,
            "cached": False,
            "measures": {
                "apt": {"needed": 51600000, "fetched": 400},
                "depcache": {"hit": 7, "miss": 154, "unsafe": 2, "passed": 1},
                "ccache": {
                    "direct_cache_hit": 1,
                    "preprocessed_cache_hit": 0,
                    "cache_miss": 2201,
                },
                "nasm": {"hits": 3},
            },
            "steps": {
                "1/2 COPY a b": {"seconds": 0.0, "cached": True},
                "2/2 RUN make": {
                    "seconds": 245.383,
                    "cached": False,
                    "spans": [["2026-11-27T04:39:06.305Z", "2026-11-27T04:43:11.688Z"]],
                },
            },
        }
    ],
    "sizes": {"vmaf:cpu": 177},
    "warnings": [],
}
"""A record as it was written until November 2026."""
STEP = {"seconds": 1.0, "cached": False}


def invalid_record(**fields: object) -> str:
    """Return a record with invalid values of some fields."""
    return json.dumps({**OLD, **fields})


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the test's own directory of records."""
    monkeypatch.setattr(records, "RECORDS", tmp_path)
    return tmp_path / "records"


def test_stages_add_up_their_steps() -> None:
    """A cached duplicate of a step in another target does not make its stage cached."""
    costs = {stage.name: stage for stage in stages(read_fixture("shared.jsonl"))}
    assert list(costs) == ["(context)", "base", "shared", "c", "a", "(export)"]
    assert not costs["shared"].cached
    assert [step.cached for step in costs["shared"].steps.values()] == [False]
    assert costs["shared"].targets == ["a", "c"]
    assert costs["shared"].lookups == {"ccache": (2, 7)}
    assert costs["base"].cached
    assert len(costs["a"].steps) == 2


def test_step_has_the_times_of_its_work() -> None:
    """A recorded step has one time for the work of two targets, and none if it was cached."""
    costs = {stage.name: stage for stage in stages(read_fixture("shared.jsonl"))}
    (shared,) = costs["shared"].steps.values()
    ((start, end),) = shared.spans
    assert start.isoformat(timespec="milliseconds") == "2026-11-22T17:12:25.620+00:00"
    assert end.isoformat(timespec="milliseconds") == "2026-11-22T17:12:27.924+00:00"
    (base,) = costs["base"].steps.values()
    assert base.spans == []


def test_step_that_failed_is_marked() -> None:
    """The record tells a step that failed from one that ended."""
    for name, failed in (("failed.rawjson", True), ("shared.jsonl", False)):
        for stage in stages(read_fixture(name)):
            assert {step.failed for step in stage.steps.values()} == {failed}


def test_measurements_of_a_stage_are_the_sums_over_its_steps() -> None:
    """The measurements of a recorded stage are the sums over its steps."""
    build = read_fixture("shared.jsonl")
    stage = StageRecord("x")
    for step in build.steps.values():
        step.measurements = ccache(1, 2)
        stage.add(step)
    count = len(build.steps)
    assert stage.measurements == ccache(count, 2 * count)


def test_record_is_read_back_unchanged(directory: Path) -> None:
    """A build record is named after its start and its targets, and is read back unchanged."""
    written = record()
    written.write()
    (path,) = directory.iterdir()
    assert path.name == "20261122T170900.000Z-a-c.json"
    assert records.records() == [written]
    assert written.options == {"libvmaf": "../vmaf"}
    assert written.builder.state == "engine-1"


def test_path_that_is_not_utf8_is_stored() -> None:
    """A build record replaces the bytes of a path that are not UTF-8."""
    options = {"libvmaf": Path("a\udcffb")}
    made = records.record(
        outcome("shared.jsonl"), targets=["a"], options=options, namespace="", sizes={}
    )
    made.write()
    assert records.records()[0].options == {"libvmaf": "a?b"}


def test_records_until_november_2026_are_read(directory: Path) -> None:
    """Records without a builder, with former names and steps without times, are read."""
    directory.mkdir()
    (directory / "old.json").write_text(json.dumps(OLD))
    (build,) = records.records()
    (stage,) = build.stages
    assert build.started == datetime(2026, 11, 27, 4, 37, 42, 828000, tzinfo=UTC)
    assert build.builder == Builder()
    assert build.inputs == ""
    assert stage.measurements == Measurements(
        ccache=Ccache(1, 0, 2201), depcache=Depcache(7, 154, 2, 1), apt=Apt(51600000, 400)
    )
    assert stage.lookups == {"ccache": (1, 2202), "depcache": (7, 163)}
    copy, make = stage.steps.values()
    assert copy == StepRecord(0.0, cached=True)
    assert make.spans[0][1] - make.spans[0][0] == timedelta(seconds=245.383)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "\ufeff{"),
        invalid_record(seconds=float("nan")),
        invalid_record(seconds="9"),
        invalid_record(started="yesterday"),
        invalid_record(targets=[3]),
        invalid_record(sizes={"vmaf:cpu": None}),
        invalid_record(stages=3),
        invalid_record(stages=[{"name": 3, "novelty": 1}]),
        invalid_record(stages=[{"name": "x", "measures": []}]),
        invalid_record(stages=[{"name": "x", "steps": []}]),
        invalid_record(stages=[{"name": "x", "steps": {"RUN": {"seconds": 1}}}]),
        invalid_record(stages=[{"name": "x", "steps": {"RUN": {"seconds": -1, "cached": True}}}]),
        invalid_record(stages=[{"name": "x", "steps": {"RUN": {**STEP, "spans": [["2026", 5]]}}}]),
    ],
)
def test_other_files_are_ignored_with_a_message(
    directory: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """A file among the build records that is not a record is named, and the others are read."""
    record().write()
    (directory / "00-damaged.json").write_text(text)
    assert len(records.records()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ignoring records/00-damaged.json, which is not the record of a build: ")


def test_hit_rate_is_unknown_with_few_lookups() -> None:
    """The hit rate of a stage is unknown with fewer than 20 lookups in ccache."""
    assert StageRecord("x", measurements=ccache(19, 0)).hit_rate is None
    assert StageRecord("x", measurements=ccache(15, 5)).hit_rate == 0.75
    assert StageRecord("x", measurements=Measurements(depcache=Depcache(hit=50))).hit_rate is None


def test_lookups_by_stage_are_those_of_the_last_build_that_compiled() -> None:
    """A stage's lookups are those of all its caches in the last build that compiled it."""
    first, second = measured(10, 0, 1), measured(90, 8, 2)
    second.stages[0].measurements.depcache = Depcache(hit=1, miss=1)
    idle = replace(measured(0, 0, 3), stages=[StageRecord("ffmpeg")])
    assert lookups_by_stage([first, second, idle]) == {"ffmpeg": 100}
