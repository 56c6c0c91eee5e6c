"""The records of builds in build/records/, one JSON file for each build."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from scripts.buildkit.builder import Builder
from scripts.buildkit.measurements import Count, Lookups, Measurements, Remote, Seconds
from scripts.buildkit.progress import Outcome
from scripts.buildkit.rawjson import Build, Step
from scripts.core.console import say
from scripts.core.paths import RECORDS

FEWEST_LOOKUPS = 20
"""The number of lookups below which a hit rate is not meaningful."""
SHOWN = 0.1
"""The seconds below which a stage has no row in a table."""

Timestamp = Annotated[datetime, Meta(tz=True)]


class StepRecord(Struct):
    """The cost of one instruction. Duplicates in several targets are one record."""

    seconds: Seconds
    cached: bool
    spans: list[tuple[Timestamp, Timestamp]] = []
    """The intervals in which it ran; empty in records before November 2026."""
    failed: bool = False
    """Whether it failed or was cancelled."""


class StageRecord(Struct):
    """The cost of a stage of a Dockerfile, or of loading contexts or writing images."""

    name: str
    targets: list[str] = []
    seconds: Seconds = 0.0
    cached: bool = True
    measurements: Measurements = field(default_factory=Measurements, name="measures")
    """The sums over its steps."""
    steps: dict[str, StepRecord] = {}
    """By number and instruction: `3/4 RUN make`."""

    @property
    def lookups(self) -> dict[str, Lookups]:
        """The lookups by compiler cache, for the caches that had any."""
        return self.measurements.lookups

    @property
    def main_cache(self) -> str:
        """The compiler cache whose hit rate is watched: sccache in a stage with Rust, or ccache."""
        return "sccache" if "sccache" in self.lookups else "ccache"

    @property
    def hit_rate(self) -> float | None:
        """The hits per lookup of the main cache; None if there were too few lookups."""
        hits, total = self.lookups.get(self.main_cache, Lookups(0, 0))
        return hits / total if total >= FEWEST_LOOKUPS else None

    def add(self, step: Step) -> None:
        """Add a step."""
        self.targets += [name for name in step.targets if name not in self.targets]
        self.seconds += step.seconds
        self.cached = self.cached and step.cached
        position = f"{step.number}/{step.of} " if step.number else ""
        record = self.steps.setdefault(f"{position}{step.text}", StepRecord(0.0, cached=True))
        record.seconds = round(record.seconds + step.seconds, 3)
        record.cached = record.cached and step.cached
        record.spans += step.intervals
        record.failed = record.failed or bool(step.error)
        self.measurements += step.measurements


def stages(build: Build) -> list[StageRecord]:
    """Return the cost of each stage, in the order in which they started."""
    records: dict[str, StageRecord] = {}
    done = (step for step in build.steps.values() if step.done)
    for step in sorted(done, key=lambda step: min(step.spans)):
        records.setdefault(step.stage, StageRecord(step.stage)).add(step)
    return list(records.values())


class BuildRecord(Struct):
    """The record of a build."""

    targets: list[str]
    options: dict[str, Any]
    """The options of the command line that affect the build."""
    namespace: str
    """The namespace of the cache mounts; empty for the default one."""
    started: Timestamp
    seconds: Seconds
    outcome: Literal["built", "failed"]
    stages: list[StageRecord]
    sizes: dict[str, Count]
    """The bytes of each image, by tag."""
    warnings: list[str]
    builder: Builder = field(default_factory=Builder)
    """Empty in records before December 2026."""
    inputs: str = ""
    """The digest of what the build was made from, in build/inputs/; empty in older records."""
    not_loaded: str = ""
    """Why an archive of the caches was refused before the build; empty if none was."""

    @property
    def platform(self) -> str:
        """The platform of the images if it is not the build machine's, such as `linux/arm64`."""
        return str(self.options.get("platform", ""))

    @property
    def lookups(self) -> Lookups:
        """The lookups of all compiler caches in all stages."""
        counts = [count for stage in self.stages for count in stage.lookups.values()]
        return Lookups(sum(hits for hits, _ in counts), sum(total for _, total in counts))

    @property
    def remote(self) -> Remote | None:
        """The sums of the remote cache over all stages; None if none used it."""
        total = sum((stage.measurements for stage in self.stages), Measurements())
        return total.remote

    def write(self) -> None:
        """Write the record to build/records/, for comparison with later builds."""
        stamp = f"{self.started:%Y%m%dT%H%M%S}.{self.started.microsecond // 1000:03}Z"
        path = RECORDS / "records" / f"{stamp}-{'-'.join(self.targets)}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))


def record(  # noqa: PLR0913 (each argument is a field)
    outcome: Outcome,
    *,
    targets: Sequence[str],
    options: Mapping[str, Any],
    namespace: str,
    sizes: Mapping[str, int],
    builder: Builder | None = None,
) -> BuildRecord:
    """Return the record of a build; the values of `options` are stored as text."""
    return BuildRecord(
        targets=list(targets),
        # A path may contain bytes that are not UTF-8, which JSON does not support.
        options={
            name: str(value).encode(errors="replace").decode() for name, value in options.items()
        },
        namespace=namespace,
        started=outcome.started,
        seconds=round(outcome.seconds, 3),
        outcome="failed" if outcome.returncode else "built",
        stages=stages(outcome.build),
        sizes=dict(sizes),
        warnings=outcome.build.warnings,
        builder=builder or Builder(),
    )


def records() -> list[BuildRecord]:
    """Return the records of earlier builds, oldest first; print the files that are skipped."""
    builds = []
    for path in sorted((RECORDS / "records").glob("*.json")):
        try:
            builds.append(msgspec.json.decode(path.read_bytes(), type=BuildRecord))
        except (msgspec.MsgspecError, OSError, RecursionError) as error:
            say(
                f"ignoring {path.relative_to(RECORDS)}, which is not the record of a build: {error}"
            )
    return builds


def lookups_by_stage(builds: Iterable[BuildRecord]) -> dict[str, int]:
    """Return the lookups in the latest compilation of each stage, an estimate of its objects."""
    return {
        stage.name: sum(count.total for count in stage.lookups.values())
        for build in builds
        for stage in build.stages
        if stage.lookups
    }
