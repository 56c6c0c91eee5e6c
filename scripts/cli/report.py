"""`nox -s report`: write build/report.html, or the closing tables of the builds as Markdown."""

from argparse import Namespace

from scripts.buildkit import cold, records
from scripts.core.console import UserError, say
from scripts.core.files import append
from scripts.core.paths import RECORDS
from scripts.report import html, markdown


def run(options: Namespace) -> int:
    """Write the page or, with `--format markdown`, print the tables.

    Raises:
        UserError: there is no record of a build yet, or a file cannot be written.
    """
    builds = sorted(records.records(), key=lambda build: build.started)
    if options.format == "markdown":
        text = markdown.render(builds, not_loaded=cold.read(""))
        if options.output:
            append(options.output, text)
        else:
            print(text, end="")
        return 0
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
