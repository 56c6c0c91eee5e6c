"""The rebuild bench compares the project with common alternatives and with a lower bound.

The contenders are built in turns after each change, so that other load on the machine affects all
of them. A run does not change the tags of the project's images.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from scripts.bench import (
    builds,
    cleanup,
    contenders,
    correctness,
    limits,
    registry,
    scenarios,
    table,
)
from scripts.bench import results as bench_results
from scripts.bench import session as sessions
from scripts.bench.contenders import CONTENDERS, PROJECT_CONTENDER, Contender
from scripts.bench.figure import Figure, median_figure
from scripts.bench.results import Result
from scripts.bench.scenarios import Scenario
from scripts.bench.session import DIRECTORY, ROUNDS, Session
from scripts.buildkit import records
from scripts.core.console import UserError, console, say
from scripts.core.paths import ROOT, RUN
from scripts.engine import client
from scripts.images import sizes


def pending_builds(
    session: Session, chosen: Sequence[Scenario], competitors: Sequence[Contender]
) -> Iterator[tuple[Scenario, Contender, Result]]:
    """Yield the builds that are not yet measured, with the contenders in turns."""
    rows = {
        scenario.name: [
            (contender, session.run.result(scenario.name, contender.name, scenario.target))
            for contender in competitors
        ]
        for scenario in chosen
    }
    for scenario in chosen:
        for number in range(max(ROUNDS, session.cold_runs)):
            for contender, result in rows[scenario.name]:
                if len(result.seconds) == number < session.requested(result):
                    yield scenario, contender, result


def sample(session: Session, scenario: Scenario, contender: Contender, result: Result) -> None:
    """Measure a build, check its image, and write the result.

    Raises:
        UserError: the build failed.
    """
    outcome, state = builds.image(session, scenario, contender, len(result.seconds))
    downloaded = bench_results.downloaded(outcome.log)
    result.add(outcome.seconds, records.stages(outcome.build), downloaded)
    markers = correctness.library_markers(builds.tag(contender, scenario.target))
    error = correctness.stale_library(markers, scenario, state)
    if contender is PROJECT_CONTENDER and not error:
        error = correctness.compare_with_cold(scenario, result)
    if error:
        result.note = error
        say(f"STALE: {scenario.name}, {contender.name}: {error}")
    session.write()


def measure(session: Session, chosen: Sequence[Scenario], competitors: Sequence[Contender]) -> None:
    """Measure the builds that have no result yet; write each result immediately.

    Raises:
        UserError: a build failed.
    """
    needed = len(competitors) * sizes.needed_bytes({scenario.target for scenario in chosen})
    sizes.check_disk(client.free_bytes(client.require()), needed)
    builds.build_frontend(session)
    with ExitStack() as stack:
        for scenario, contender, result in pending_builds(session, chosen, competitors):
            if contender.remote and not session.registry:
                directory = DIRECTORY / "registry" / session.run.name
                session.registry = stack.enter_context(registry.serve(directory))
            done = sum(bool(measured.seconds) for measured in session.run.results)
            say(
                f"rebuild: {done} of {len(session.run.results)} done; now {scenario.name} "
                f"({scenario.title}), {contender.name}, build {len(result.seconds) + 1}"
            )
            sample(session, scenario, contender, result)
            say(f"rebuild: {scenario.name}, {contender.name}: {result.seconds[-1]:.1f} s")
    session.registry = None
    if PROJECT_CONTENDER not in competitors:
        return
    for target in dict.fromkeys(scenario.target for scenario in chosen if scenario.bounded):
        if f"ffmpeg-{target}" not in session.run.limits:
            say(f"rebuild: the limit of {target}")
            limits.measure(session, target)
    limits.add(session.run)
    session.write()


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield the medians of a run after all of its builds are measured.

    Raises:
        UserError: an option is invalid, a build failed, or an image is stale.
    """
    if options.update_docs:
        update_docs()
        return
    chosen = scenarios.choose(options.scenario, quick=options.quick)
    competitors = contenders.choose(options.contender, quick=options.quick)
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    if any(contender.remote for contender in competitors):
        registry.programs()
    session = sessions.begin(
        resume=options.resume, quick=options.quick, cold_runs=options.cold_runs
    )
    if omitted := [name for name in CONTENDERS if CONTENDERS[name] not in competitors]:
        say(f"rebuild: not measured: {', '.join(omitted)}")
    try:
        measure(session, chosen, competitors)
    except KeyboardInterrupt:
        say(f"the results so far are in {session.path}; `-- rebuild --resume` continues the run")
        raise
    for result in session.run.results:
        if result.seconds:
            name = f"{result.scenario}, {result.target}, {result.contender}"
            yield median_figure(name, result.seconds, "s")
    for markdown in (table.table, table.compile_table):
        text = markdown(session.run, scenarios.titles())
        console.print(text, markup=False, soft_wrap=True)
    if stale := [result for result in session.run.results if result.note]:
        raise UserError(
            "the bench built a stale image",
            "\n".join(f"{result.scenario}, {result.contender}: {result.note}" for result in stale),
            f"Inspect the images and caches of the run; the results are in {session.path}.",
        )
    if not options.keep_state:
        session.run.closed = True
        session.write()
        cleanup.clean_up(session)


def update_docs() -> None:
    """Add the latest run to docs/; without a run, update the page and charts from the history.

    Raises:
        UserError: there is neither a run on this machine nor a history in docs/.
    """
    if not bench_results.history() or list(DIRECTORY.glob(f"*{RUN}")):
        bench_results.store(bench_results.decode(sessions.newest().read_bytes()))
    table.update(scenarios.titles())
    say(f"updated: {table.PAGE.relative_to(ROOT)} and its charts")
