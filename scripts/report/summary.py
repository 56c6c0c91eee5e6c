"""Print the summary at the end of a build, with warnings about hit rates that fell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.filesize import decimal
from rich.table import Table

from scripts.buildkit.measurements import COMPILER_CACHES, Remote
from scripts.buildkit.records import FEWEST_LOOKUPS, SHOWN, BuildRecord, StageRecord
from scripts.core.console import console, say

DROP = 0.10
"""The largest difference to the best earlier hit rate that causes no warning."""
NOT_LOADED = "the caches were not loaded before this build"
"""The start of the warning that an archive of the caches was refused."""
EMPTY = 0.02
"""The hit rate up to which a stage counts as built with an empty cache."""


@dataclass(frozen=True)
class HitRateDrop:
    """A drop of the hit rate of a stage, compared with earlier builds."""

    stage: str
    before: float
    now: float
    cache: str = "ccache"

    def __str__(self) -> str:
        """Return the warning, with the cause of the drop."""
        return (
            f"{self.cache}: the hit rate of {self.stage} fell from {self.before:.0%} to "
            f"{self.now:.0%}: its compile flags or headers no longer match those in the cache "
            "(docs/caching.md)"
        ).replace("%", " %")


def comparable(build: BuildRecord, other: BuildRecord) -> bool:
    """Return whether two builds used the same compiler cache, according to their records.

    Each namespace, platform and builder has its own cache. A builder that lost its data or its
    cache mounts between the builds counts as another builder.
    """
    if build.platform != other.platform:
        return False
    return (build.namespace, build.builder) == (other.namespace, other.builder)


def hit_rate_drops(latest: BuildRecord, earlier: Iterable[BuildRecord]) -> list[HitRateDrop]:
    """Return the hit rates that are more than `DROP` below the best of comparable earlier builds.

    Failed builds are skipped. A stage without an earlier hit rate is cold and is not reported.
    Nothing is reported if the cache was empty.
    """
    if cache_was_empty(latest):
        return []
    best: dict[str, float] = {}
    for build in earlier:
        if (
            build.outcome == "built"
            and build.started < latest.started
            and comparable(build, latest)
        ):
            for stage in build.stages:
                if (rate := stage.hit_rate) is not None:
                    best[stage.name] = max(rate, best.get(stage.name, 0.0))
    return [
        HitRateDrop(stage.name, best[stage.name], rate, stage.main_cache)
        for stage in latest.stages
        if (rate := stage.hit_rate) is not None and best.get(stage.name, 0.0) - rate > DROP
    ]


def cache_was_empty(build: BuildRecord) -> bool:
    """Return whether a build compiled with a compiler cache that was empty at its start.

    This is the case if the builder created the cache mount during the build. If the record has no
    creation time, the cache counts as empty if almost no lookup in any stage was a hit.
    """
    if not build.lookups.total:
        return False
    if created := build.builder.cache_created:
        spans = (step.spans for stage in build.stages for step in stage.steps.values())
        return created >= min(
            (start for times in spans for start, _ in times), default=build.started
        )
    counts = [count for stage in build.stages for count in stage.lookups.values()]
    return all(hits <= EMPTY * total for hits, total in counts)


def _cell(hits: int, total: int) -> str:
    return f"{hits} of {total}, {hits / total:.0%}".replace("%", " %") if total else ""


def _remote_cell(stage: StageRecord) -> str:
    remote = stage.measurements.remote
    return _cell(*remote.lookups) if remote else ""


def _remote_summary(remote: Remote | None) -> None:
    """Print the bytes and the faults of the remote cache; in red, that no lookup was a hit.

    That is so for a new store, and otherwise the sign of a wrong address or key.
    """
    if not remote:
        return
    hits, total = remote.lookups
    say(
        f"remote cache: {_cell(hits, total) or 'no lookups'}; {decimal(remote.received)} received, "
        f"{decimal(remote.sent)} sent, {remote.error} errors, {remote.refused} entries refused, "
        f"{remote.dropped} not written in time"
    )
    if total >= FEWEST_LOOKUPS and not hits:
        console.print(
            f"the remote cache had none of {total} entries: it is new, or this address or key is "
            "not the one that filled it",
            style="bold red",
            markup=False,
            soft_wrap=True,
        )


def _has(build: BuildRecord, cache: str) -> bool:
    return any(cache in stage.lookups for stage in build.stages)


TEXT_COLUMNS = frozenset({"stage", "targets", "cause"})
"""The headings of the columns that are no numbers."""


def shown_stages(build: BuildRecord) -> list[StageRecord]:
    """Return the stages that have a row in the table of a build."""
    return [stage for stage in build.stages if stage.seconds >= SHOWN or stage.lookups]


def stage_rows(latest: BuildRecord, causes: Mapping[str, str] | None) -> list[list[str]]:
    """Return the headings and then the rows of the table of a build."""
    headings = ["stage", "targets", "time", "steps cached"]
    caches = [name for name in COMPILER_CACHES if name != "sccache" or _has(latest, name)]
    headings += [f"{name} hits" for name in caches]
    headings += ["remote hits"] if latest.remote else []
    headings += ["cause"] if causes else []
    rows = [headings]
    for stage in shown_stages(latest):
        cached = sum(step.cached for step in stage.steps.values())
        # A stage of a target that other targets depend on is listed under the requested targets.
        requested = [name for name in stage.targets if name in latest.targets]
        rows.append(
            [
                stage.name,
                " ".join(requested or stage.targets),
                f"{stage.seconds:.1f} s",
                f"{cached} of {len(stage.steps)}",
                *(_cell(*stage.lookups.get(name, (0, 0))) for name in caches),
                *([_remote_cell(stage)] if latest.remote else []),
                *([causes.get(stage.name, "")] if causes else []),
            ]
        )
    return rows


def _table(headings: Sequence[str], *rows: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        if heading in TEXT_COLUMNS:
            table.add_column(heading, overflow="fold")
        else:
            table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def summary(
    latest: BuildRecord,
    drops: Sequence[HitRateDrop] = (),
    causes: Mapping[str, str] | None = None,
    emulated: Mapping[str, float] | None = None,
) -> None:
    """Print the table of stages, the image sizes, the warnings, and the hit rate drops in red.

    Args:
        latest: the build.
        drops: the hit rates that fell.
        causes: why each stage ran, in a few words; if it is empty, the table has no such column.
        emulated: the seconds of steps that an emulator ran, by stage.
    """
    rows = stage_rows(latest, causes)
    if len(rows) > 1:
        console.print(_table(*rows))
    folded = len(latest.stages) + 1 - len(rows)
    say(f"{latest.outcome} in {latest.seconds:.1f} s, {folded} more stages cached or instant")
    if emulated:
        listed = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in emulated.items())
        say(f"emulated: {sum(emulated.values()):.1f} s ({listed})")
    for tag, size in latest.sizes.items():
        say(f"{tag}  {decimal(size)}")
    _remote_summary(latest.remote)
    for warning in latest.warnings:
        say(f"warning: {warning}")
    if latest.not_loaded:
        text = f"{NOT_LOADED}: {latest.not_loaded}"
        console.print(text, style="bold red", markup=False, soft_wrap=True)
    if cache_was_empty(latest):
        hits, total = latest.lookups
        say(f"the compiler cache was empty: {hits} of {total} lookups were hits")
    for drop in drops:
        console.print(str(drop), style="bold red", markup=False, soft_wrap=True)
