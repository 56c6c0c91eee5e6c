"""What a build leaves behind, and the guard over ccache's hit rate."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from scripts.buildkit import failure, records
from scripts.buildkit.rawjson import Build
from scripts.buildkit.records import Record, Stage, stages
from scripts.core import console as consoles
from scripts.report.summary import Drop, hit_rate_drops, summary
from tests.support.builds import measured, outcome, record


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what is shown to people, who have no terminal."""
    text = io.StringIO()
    for module in (consoles, summary):
        monkeypatch.setattr(module, "console", Console(file=text, width=80, highlight=False))
    return text


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep records in a folder of the test's own."""
    monkeypatch.setattr(records, "RECORDS", tmp_path)
    return tmp_path / "records"


def test_stages_add_up_their_steps() -> None:
    """A cached twin in another target is no step of its own and makes nothing cached."""
    found = {stage.name: stage for stage in stages(outcome("shared.jsonl").build)}
    assert list(found) == ["(context)", "base", "shared", "c", "a", "(export)"]
    assert not found["shared"].cached
    assert [step["cached"] for step in found["shared"].steps.values()] == [False]
    assert found["shared"].targets == ["a", "c"]
    assert found["shared"].calls == (2, 7)
    assert found["base"].cached
    assert len(found["a"].steps) == 2


def test_a_step_keeps_when_it_worked() -> None:
    """Two targets wait for the same work, and a cached step did none."""
    found = {stage.name: stage for stage in stages(outcome("shared.jsonl").build)}
    (shared,) = found["shared"].steps.values()
    assert shared["spans"] == [["2026-11-22T17:12:25.620Z", "2026-11-22T17:12:27.924Z"]]
    (base,) = found["base"].steps.values()
    assert base["spans"] == []


def test_measures_of_steps_add_up() -> None:
    """Numbers do; of anything else the later counts."""
    stage = Stage("x")
    for step in outcome("shared.jsonl").build.steps.values():
        step.measures = {"ccache": {"cache_miss": 2}, "bytes": 3, "compiler": step.stage}
        stage.add(step)
    count = len(outcome("shared.jsonl").build.steps)
    assert stage.measures["ccache"] == {"cache_miss": 2 * count}
    assert stage.measures["bytes"] == 3 * count
    assert isinstance(stage.measures["compiler"], str)


def test_the_table_folds_what_cost_nothing(shown: io.StringIO) -> None:
    """Eighty columns, no colours, the sizes below."""
    summary(record())
    lines = shown.getvalue().splitlines()
    firsts = [line.split()[0] for line in lines]
    assert firsts == ["stage", "shared", "c", "a", "built", "vmaf:cpu"]
    assert "2 of 7, 29 %" in lines[1]
    assert "3 more cached or instant" in shown.getvalue()
    assert "312.4 MB" in lines[-1]
    assert max(map(len, lines)) <= 80


def test_the_table_names_the_targets_asked_for(shown: io.StringIO) -> None:
    """A linked target's stages are there for the image that takes them."""
    linked = Stage("parts", ["parts", "image"], 3.0)
    alone = Stage("other", ["other"], 3.0)
    summary(replace(record(), targets=["image"], stages=[linked, alone]))
    rows = [line.split() for line in shown.getvalue().splitlines()]
    assert ["parts", "image", "3.0"] in [row[:3] for row in rows]
    assert ["other", "other", "3.0"] in [row[:3] for row in rows]


def test_a_wholly_cached_build_has_no_table(shown: io.StringIO) -> None:
    """There is nothing to tell."""
    summary(record("cached.jsonl"))
    assert shown.getvalue().startswith("built in 5.5 s")


def test_records_come_back(folder: Path) -> None:
    """Equal to what was written, but for objects that JSON does not have."""
    written = record()
    written.write()
    (path,) = folder.iterdir()
    assert path.name == "20261122T170900.000Z-a-c.json"
    (back,) = records()
    assert back == replace(written, options={"libvmaf": "../vmaf"})


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"stages": [{"name": 3, "novelty": 1}]}', '{"stages": 3}', "\ufeff{"]
)
def test_foreign_files_are_left_out_aloud(folder: Path, shown: io.StringIO, text: str) -> None:
    """They do not hide the good ones."""
    record().write()
    (folder / "00-damaged.json").write_text(text)
    assert len(records()) == 1
    assert shown.getvalue().splitlines() == [
        "records/00-damaged.json is no record of a build and is left out"
    ]


def test_a_drop_is_measured_against_the_best() -> None:
    """Not against the last."""
    earlier = [measured(96, 4, 1), measured(50, 50, 2)]
    (drop,) = hit_rate_drops(measured(5, 95, 3), earlier)
    assert (drop.stage, drop.before, drop.now) == ("ffmpeg", 0.96, 0.05)


@pytest.mark.parametrize(
    ("latest", "earlier"),
    [
        (measured(0, 100, 3), []),
        (measured(87, 13, 3), [measured(96, 4, 1)]),
        (measured(0, 19, 3), [measured(96, 4, 1)]),
        (measured(0, 100, 3), [measured(19, 0, 1)]),
        (measured(0, 100, 3), [measured(96, 4, 1, outcome="failed")]),
        (measured(0, 100, 3), [measured(96, 4, 1, namespace="cold")]),
        (measured(0, 100, 3), [measured(96, 4, 4)]),
        (measured(0, 100, 3), [replace(measured(96, 4, 1), stages=[Stage("other")])]),
    ],
    ids=["first", "small", "few", "few-before", "failed", "namespace", "later", "other-stage"],
)
def test_what_is_no_drop(latest: Record, earlier: list[Record]) -> None:
    """Each differs from a drop in one thing."""
    assert hit_rate_drops(latest, earlier) == []


def test_odd_measures_are_no_hits() -> None:
    """A record may hold anything."""
    assert Stage("x", measures={"ccache": {"cache_miss": "many"}}).hit_rate is None
    assert Stage("x", measures={"ccache": None}).hit_rate is None


def test_a_drop_is_shouted(shown: io.StringIO) -> None:
    """On one line."""
    summary(record(), [Drop("ffmpeg-vulkan", 0.96, 0.05)])
    assert "ccache: ffmpeg-vulkan fell from 96 % to 5 % hits:" in shown.getvalue()
    assert shown.getvalue().splitlines()[-1].endswith("(docs/caching.md)")


def test_a_failure_says_what_where_and_what_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is told with its folder, which that buildx leaves out."""
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "Dockerfile.y").touch()
    monkeypatch.setattr(records, "ROOT", tmp_path)
    error = failure.failure(outcome("failed.rawjson", 1))
    assert error.what == "stage b failed"
    assert error.why.splitlines() == [
        "exit code: 137",
        "  | fail",
        "at docker/Dockerfile.y:9",
        "  RUN sleep 1.2; echo fail; exit 137",
    ]
    assert "x.log" in error.todo
    assert "memory" in error.todo

    (tmp_path / "Dockerfile.y").touch()  # which of the two it is, nobody knows
    assert "at Dockerfile.y:9" in failure.failure(outcome("failed.rawjson", 1)).why.splitlines()


def test_a_failure_shows_the_last_lines_only() -> None:
    """Twenty are enough; the log has the rest."""
    failed = outcome("failed.rawjson", 1)
    assert failed.build.failed
    failed.build.failed.tail.extend(f"line {number}" for number in range(100))
    tail = [line for line in failure.failure(failed).why.splitlines() if line.startswith("  |")]
    assert tail == [f"  | line {number}" for number in range(80, 100)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ERROR: failed to find target nope", "ERROR: failed to find target nope"),
        ("", "buildx ended with code 1, and no word"),
    ],
)
def test_a_failure_without_a_step(line: str, why: str) -> None:
    """Bake failed before anything was built."""
    build = Build()
    if line:
        build.feed(line)
    error = failure.failure(replace(outcome("failed.rawjson", 1), build=build))
    assert (error.what, error.why) == ("the build failed", why)
