"""The closing table of a build, and the warning about falling hit rates."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.filesize import decimal
from rich.table import Table

from scripts.buildkit.records import COMPILER_CACHES, SHOWN, Record
from scripts.core.console import console, say

DROP = 0.10
"""How far a hit rate may fall below its best before somebody is told."""


@dataclass(frozen=True)
class Drop:
    """A stage that ccache serves worse than it once did."""

    stage: str
    before: float
    now: float

    def __str__(self) -> str:
        """One line to shout."""
        return (
            f"ccache: {self.stage} fell from {self.before:.0%} to {self.now:.0%} hits: "
            "its compile flags or headers no longer match what the cache holds (docs/caching.md)"
        ).replace("%", " %")


def hit_rate_drops(latest: Record, earlier: Iterable[Record]) -> list[Drop]:
    """Return the stages whose hit rate is well below the best of earlier builds alike.

    Alike are builds that succeeded, in the same namespace of cache mounts. A
    stage that never was measured before is cold, not a drop.
    """
    best: dict[str, float] = {}
    for old in earlier:
        alike = old.outcome == "built" and old.namespace == latest.namespace
        for stage in old.stages if alike and old.started < latest.started else ():
            if (rate := stage.hit_rate) is not None:
                best[stage.name] = max(rate, best.get(stage.name, 0.0))
    return [
        Drop(stage.name, best[stage.name], rate)
        for stage in latest.stages
        if (rate := stage.hit_rate) is not None and best.get(stage.name, 0.0) - rate > DROP
    ]


def _rate(hits: int, calls: int) -> str:
    """Return hits for people; nothing where nothing was asked."""
    return f"{hits} of {calls}, {hits / calls:.0%}".replace("%", " %") if calls else ""


def summary(latest: Record, drops: Iterable[Drop] = ()) -> None:
    """Print the closing table, the images with their sizes, and any drop in red."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("stage", "for"):
        table.add_column(heading, overflow="fold")
    for heading in ("time", "steps cached", *(f"{name} hits" for name in COMPILER_CACHES)):
        table.add_column(heading, justify="right")
    worth = [stage for stage in latest.stages if stage.seconds >= SHOWN or stage.measures]
    for stage in worth:
        cached = sum(step["cached"] for step in stage.steps.values())
        # Targets that nobody asked for give their stages to those asked for.
        asked = [name for name in stage.targets if name in latest.targets]
        table.add_row(
            stage.name,
            " ".join(asked or stage.targets),
            f"{stage.seconds:.1f} s",
            f"{cached} of {len(stage.steps)}",
            *(_rate(*stage.rates.get(name, (0, 0))) for name in COMPILER_CACHES),
        )
    if worth:
        console.print(table)
    folded = len(latest.stages) - len(worth)
    say(f"{latest.outcome} in {latest.seconds:.1f} s, {folded} more cached or instant")
    for tag, size in latest.sizes.items():
        say(f"{tag}  {decimal(size)}")
    for warning in latest.warnings:
        say(f"warning: {warning}")
    for drop in drops:
        console.print(str(drop), style="bold red", markup=False, soft_wrap=True)
