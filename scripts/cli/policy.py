"""`nox -s policy`: check the Dockerfiles and their scripts against the cache contract."""

import os
from argparse import Namespace
from pathlib import Path

from scripts.core.console import say
from scripts.core.files import append
from scripts.dockerfile import project
from scripts.policy import output
from scripts.policy.check import applicable, check


def run(options: Namespace) -> int:
    """Print the findings on stdout; return 1 if any finding has no exemption.

    With --output, the file has them in the format, and stdout has them as text.

    Raises:
        UserError: a file does not parse, an exemption is invalid, or the file cannot be written.
    """
    files = options.dockerfile
    checked = project.of_files(files) if files else project.of_repository()
    findings = check(checked)
    faults = [finding for finding in findings if not finding.allowed]
    printed = output.FORMATS[options.format](findings)
    if options.output:
        Path(options.output).unlink(missing_ok=True)
        append(options.output, f"{printed}\n")
        printed = output.text(findings)
    if printed:
        print(printed)
    if os.environ.get("GITHUB_ACTIONS") == "true" and faults:
        say(output.annotations(findings))
    say(
        f"policy: {len(checked.files)} Dockerfiles, {len(checked.steps)} steps, "
        f"{len(applicable(checked))} rules: "
        f"{len(faults)} findings, {len(findings) - len(faults)} exemptions"
    )
    return 1 if faults else 0
