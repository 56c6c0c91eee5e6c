"""Create cache mounts and records of builds for tests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from scripts.buildkit.measurements import Measurements
from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.caches.mounts import CacheMount, DeclaredMount
from scripts.dockerfile.parser import Mount
from tests.support.builds import ccache

CCACHE = CacheMount(
    record="r1",
    namespace="",
    id="vmaf-ccache-amd64",
    directory="/ccache",
    size=1000,
    measured=True,
    last_used="2 hours ago",
    uses=3,
)
APT = replace(CCACHE, id="vmaf-apt-cache-trixie-amd64", directory="/var/cache/apt")
DECLARED = (
    DeclaredMount("vmaf-ccache-$TARGETARCH", Mount({"target": "/ccache"})),
    DeclaredMount("vmaf-apt-cache-trixie-${TARGETARCH}", Mount({"target": "/var/cache/apt"})),
    DeclaredMount("vmaf-pip-$TARGETARCH", Mount({"target": "/root/.cache/pip"})),
)


def stage(name: str, seconds: float, identifier: str, measurements: Measurements) -> StageRecord:
    """Return a stage with a step that mounts a cache and that was not cached."""
    text = f"RUN --mount=type=cache,id={identifier},target=/x,sharing=locked make"
    steps = {f"1/1 {text}": StepRecord(seconds, cached=False)}
    return StageRecord(name, [], seconds, cached=False, measurements=measurements, steps=steps)


def compiled(name: str, seconds: float, hits: int, misses: int) -> StageRecord:
    """Return a stage with lookups of ccache."""
    return stage(name, seconds, CCACHE.id, ccache(hits, misses))


def record(
    hour: int,
    *stages: StageRecord,
    namespace: str = "",
    outcome: Literal["built", "failed"] = "built",
) -> BuildRecord:
    """Return the record of a build that started at this hour."""
    started = datetime(2026, 11, 22, hour, tzinfo=UTC)
    return BuildRecord(["cpu"], {}, namespace, started, 1.0, outcome, list(stages), {}, [])
