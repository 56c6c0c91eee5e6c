"""`nox -s report`: write build/report.html."""

from argparse import Namespace

from scripts.buildkit import records
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS
from scripts.report import html


def run(_options: Namespace) -> int:
    """Write the page.

    Raises:
        UserError: no build has left a record yet.
    """
    builds = sorted(records.records(), key=lambda build: records.read_time(build.started))
    if not builds:
        raise UserError(
            "cannot write a report",
            f"no build has left a record in {RECORDS / 'records'}",
            "Run a build first: `nox -s build-cpu`, or another of `nox -l`.",
        )
    html.PAGE.write_text(html.render(html.gather(builds)), encoding="utf-8", errors="replace")
    say(f"report written: {html.PAGE}")
    say(f"open it in a browser: {html.PAGE.as_uri()}")
    return 0
