"""Records of builds for tests."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from scripts.buildkit import records
from scripts.buildkit.progress import Outcome
from scripts.buildkit.rawjson import Build
from scripts.buildkit.records import Record, Stage

FIXTURES = Path(__file__).parents[1] / "unit" / "buildkit" / "fixtures"


def outcome(name: str, code: int = 0) -> Outcome:
    """Return a fixture as a build that ended."""
    build = Build()
    for line in (FIXTURES / name).read_text().splitlines():
        build.feed(line)
    build.close()
    return Outcome(build, code, datetime(2026, 11, 22, 17, 9, tzinfo=UTC), 5.5, Path("x.log"))


def record(name: str = "shared.jsonl", code: int = 0) -> Record:
    """Return the record of a fixture."""
    sizes = {"vmaf:cpu": 312_400_000}
    options = {"libvmaf": Path("../vmaf")}
    return records.record(
        outcome(name, code), targets=["a", "c"], options=options, namespace="main", sizes=sizes
    )


def measured(
    hits: int, misses: int, second: int, *, outcome: str = "built", namespace: str = "main"
) -> Record:
    """Return a record of one stage with these counts."""
    ccache = {"direct_cache_hit": hits, "preprocessed_cache_hit": 0, "cache_miss": misses}
    return replace(
        record(),
        started=f"2026-11-22T17:09:{second:02}.000Z",
        stages=[Stage("ffmpeg", measures={"ccache": ccache})],
        outcome=outcome,
        namespace=namespace,
    )
