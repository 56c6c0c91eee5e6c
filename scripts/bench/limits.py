"""Measure the lower bound of a rebuild: the work in compile steps that no cache can avoid.

The contender `limit` runs make and ninja through scripts/bench/clock.sh, which prints the duration
of configure and of the links. It uses the caches of the project, so that compilation takes almost
no time.
"""

from scripts.bench.builds import image
from scripts.bench.contenders import LIMIT_CONTENDER
from scripts.bench.results import LIMIT, PROJECT, Run
from scripts.bench.scenarios import SCENARIOS, Scenario
from scripts.bench.session import Session
from scripts.buildkit import records
from scripts.core.console import UserError
from scripts.images import export

KINDS = ("configure", "link", "install")
"""The kinds of work in a compile step that no cache can avoid."""


def measure(session: Session, target: str) -> None:
    """Measure the limit of a target's compile steps.

    Raises:
        UserError: the build failed, or a step printed no durations.
    """
    outcome, _ = image(session, Scenario(LIMIT, "", target), LIMIT_CONTENDER)
    for stage in records.stages(outcome.build):
        project = stage.name.removesuffix(f"-{target}")
        if project in export.SOURCES and (clock := stage.measurements.limit):
            rest = max(step.seconds for step in stage.steps.values()) - clock.until
            session.run.limits[f"{project}-{target}"] = {
                "configure": clock.configure,
                "link": clock.link,
                "install": round(max(rest, 0.0), 2),
            }
    if not all(f"{project}-{target}" in session.run.limits for project in export.SOURCES):
        raise UserError(
            "cannot measure the limit",
            f"the compile steps of {target} did not print the durations of their links",
            f"See scripts/bench/clock.sh and {outcome.log}.",
        )
    session.write()


def add(run: Run) -> None:
    """Add the limit to the results of each scenario for which it can be computed."""
    for name, row in run.by_scenario().items():
        scenario = SCENARIOS[name]
        steps = [run.limits.get(f"{project}-{scenario.target}") for project in scenario.compiles]
        if not scenario.bounded or PROJECT not in row or not all(steps):
            continue
        limit = run.result(name, LIMIT, scenario.target)
        work = {kind: sum(step[kind] for step in steps if step) for kind in KINDS}
        work["export"] = row[PROJECT].export
        limit.stages = {kind: [round(seconds, 2)] for kind, seconds in work.items()}
        limit.seconds = [round(sum(work.values()), 2)]
