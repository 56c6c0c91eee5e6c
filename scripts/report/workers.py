"""Print the table at the end of a build on several workers."""

from collections.abc import Sequence

from rich.table import Table

from scripts.buildkit.rawjson import CONTEXT, EXPORT
from scripts.core.console import console, say
from scripts.workers.matrix import Result


def summary(results: Sequence[Result], seconds: float) -> None:
    """Print which worker built each image, how long it took, and what came from caches.

    Args:
        results: the results of all images.
        seconds: the duration of the whole run.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("image", "worker", "result"):
        table.add_column(heading, overflow="fold")
    for heading in ("time", "steps cached", "compiler hits"):
        table.add_column(heading, justify="right")
    for result in results:
        moved = f"{result.worker}, for {result.home}"
        table.add_row(
            result.image,
            result.worker if result.worker in ("", result.home) else moved,
            "failed" if result.error else "built",
            f"{result.seconds:.1f} s",
            *_cached(result),
        )
    console.print(table)
    built = [result for result in results if not result.error]
    say(
        f"{len(built)} of {len(results)} images built in {seconds:.1f} s; the builds took "
        f"{sum(result.seconds for result in results):.1f} s together"
    )


def _cached(result: Result) -> tuple[str, str]:
    """Return how many steps were cached, and how many lookups of compilers were hits."""
    if not result.record:
        return "", ""
    stages = [s for s in result.record.stages if s.name not in (CONTEXT, EXPORT)]
    steps = [step for stage in stages for step in stage.steps.values()]
    hits, total = result.record.lookups
    cached = f"{sum(step.cached for step in steps)} of {len(steps)}"
    return cached, f"{hits} of {total}" if total else ""
