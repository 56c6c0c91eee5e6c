"""`nox -s why`: explain why the steps of the last recorded build ran."""

import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from textwrap import shorten

import msgspec

from scripts.buildkit import records
from scripts.causes import database
from scripts.causes.differences import Cause
from scripts.causes.explain import NOT_RECORDED, Explanation, Step, explain
from scripts.core.console import UserError

_WIDTH = 72
_MOST = 3


def run(options: Namespace) -> int:
    """Print the explanation of the last build of the targets, or of the last build.

    Raises:
        UserError: no build of the targets is recorded, or not what it was made from, or the
            database of cache keys does not answer.
    """
    builds = sorted(records.records(), key=lambda build: build.started)
    targets = [name for name in options.images if name]
    known = [build for build in builds if set(targets) <= set(build.targets)]
    what = " and ".join(targets) or "an image"
    if not known:
        raise UserError(
            f"cannot explain a build of {what}",
            "none is recorded in build/records",
            "Build it, change something, and build it again.",
        )
    explanation = explain(known[-1], builds, targets)
    if explanation is None:
        raise UserError(
            f"there is nothing to compare for {what}",
            "what the last build was made from is not recorded, or no longer",
            "Build again; an unchanged build takes a second.",
        )
    if address := os.environ.get(database.VARIABLE):
        explanation = database.confirm(explanation, database.fetch(address))
    if options.format == "json":
        print(msgspec.json.format(msgspec.json.encode(explanation)).decode())
    else:
        show(explanation)
    return 0


def show(explanation: Explanation) -> None:
    """Print an explanation on stdout: each cause once, with the steps that follow from it."""
    for text in lines(explanation):
        print(text)


def lines(explanation: Explanation) -> Iterator[str]:
    """Yield the lines of an explanation."""
    build = f"{' '.join(explanation.targets)}: built {_moment(explanation.started)}"
    earlier = ", ".join(_moment(moment) for moment in explanation.compared[:_MOST])
    compared = f"compared with {earlier}" if earlier else "no earlier build to compare with"
    yield f"{build} in {explanation.seconds:.1f} s, {compared}"
    ran = explanation.again
    seconds = sum(step.seconds for step in ran)
    yield f"{_count(len(ran))} ran in {seconds:.1f} s, {explanation.cached} cached"
    by_causes: dict[tuple[Cause, ...], list[Step]] = {}
    for step in explanation.steps:
        if step.causes:
            by_causes.setdefault(tuple(step.causes), []).append(step)
    for causes, steps in by_causes.items():
        yield ""
        yield from _group(causes, steps, ran)
    if any(cause.kind == "cache" for causes in by_causes for cause in causes):
        yield ""
        yield f"not recorded: {NOT_RECORDED}"


def _group(causes: Sequence[Cause], steps: Sequence[Step], ran: Sequence[Step]) -> Iterator[str]:
    """Yield the lines for the steps that have the same causes, and for those that follow."""
    first, *others = causes
    yield str(first)
    yield from (f"  also {cause}" for cause in others[:_MOST])
    if len(others) > _MOST:
        yield f"  and {len(others) - _MOST} more, which --format json lists"
    for step in steps:
        time = f"{step.seconds:6.1f} s" if step.ran else "not run"
        yield f"  {time:>8}  {step.label}  {shorten(step.instruction, _WIDTH, placeholder=' ...')}"
    labels = {step.label for step in steps}
    following = [step for step in ran if step.after in labels]
    if following:
        seconds = sum(step.seconds for step in following)
        stages = Counter(step.stage for step in following)
        listed = ", ".join(f"{stage} ({number})" for stage, number in stages.items())
        yield f"  {seconds:6.1f} s  {_count(len(following))} after it: {listed}"


def _count(number: int) -> str:
    return f"{number} step{'s' if number != 1 else ''}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
