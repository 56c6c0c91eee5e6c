"""Create records of builds for tests."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from scripts.buildkit import records
from scripts.buildkit.builder import Builder
from scripts.buildkit.measurements import Ccache, Measurements
from scripts.buildkit.progress import Outcome
from scripts.buildkit.rawjson import Build
from scripts.buildkit.records import BuildRecord, StageRecord

FIXTURES = Path(__file__).parents[1] / "unit" / "buildkit" / "fixtures"
STARTED = datetime(2026, 11, 22, 17, 9, tzinfo=UTC)
BUILDER = Builder("default", "default", "engine-1", STARTED - timedelta(days=1))


class NoRecording:
    """Takes the place of `inputs.Recording` in tests that build nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        """Read nothing."""

    def finish(self, _build: Build) -> str:
        """Return no digest."""
        return ""


def read_fixture(name: str) -> Build:
    """Parse the buildx output in a fixture."""
    build = Build()
    for line in (FIXTURES / name).read_text().splitlines():
        build.feed(line)
    build.close()
    return build


def outcome(name: str, code: int = 0) -> Outcome:
    """Return the outcome of the build in a fixture."""
    return Outcome(read_fixture(name), code, STARTED, 5.5, Path("x.log"))


def record(name: str = "shared.jsonl", code: int = 0) -> BuildRecord:
    """Return the record of the build in a fixture."""
    return records.record(
        outcome(name, code),
        targets=["a", "c"],
        options={"libvmaf": Path("../vmaf")},
        namespace="main",
        sizes={"vmaf:cpu": 312_400_000},
        builder=BUILDER,
    )


def ccache(hits: int, misses: int) -> Measurements:
    """Return the measurements of a step that used ccache."""
    return Measurements(ccache=Ccache(direct_cache_hit=hits, cache_miss=misses))


def measured(
    hits: int,
    misses: int,
    second: int,
    *,
    outcome: Literal["built", "failed"] = "built",
    namespace: str = "main",
) -> BuildRecord:
    """Return a record with one stage and these counts, `second` seconds after `STARTED`."""
    return replace(
        record(),
        started=STARTED + timedelta(seconds=second),
        stages=[StageRecord("ffmpeg", measurements=ccache(hits, misses))],
        outcome=outcome,
        namespace=namespace,
    )
