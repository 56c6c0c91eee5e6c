"""`nox -s report`: write build/report.html."""

from argparse import Namespace

from scripts.buildkit import records
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS
from scripts.report import html


def run(_options: Namespace) -> int:
    """Write the page.

    Raises:
        UserError: there is no record of a build yet.
    """
    builds = sorted(records.records(), key=lambda build: build.started)
    if not builds:
        raise UserError(
            "cannot write a report",
            f"there is no record of a build in {RECORDS / 'records'}",
            "Build an image first, such as with `nox -s build-cpu`; `nox -l` lists them.",
        )
    html.PAGE.write_text(
        html.render(html.template_variables(builds)), encoding="utf-8", errors="replace"
    )
    say(f"report written: {html.PAGE}")
    say(f"open it in a browser: {html.PAGE.as_uri()}")
    return 0
