"""Check the Dockerfiles and their recipes against the cache contract: `nox -s policy`."""

import os
from argparse import Namespace

from scripts.core.console import say
from scripts.dockerfile import project
from scripts.policy import output
from scripts.policy.check import check
from scripts.policy.rules import RULES


def run(options: Namespace) -> int:
    """Print the findings on stdout; return 1 where one is not exempt.

    Raises:
        UserError: a file does not parse, or an exemption is invalid.
    """
    read = project.of_files(options.dockerfile) if options.dockerfile else project.of_repository()
    findings = check(read)
    faults = [finding for finding in findings if not finding.allowed]
    if printed := output.FORMATS[options.format](findings):
        print(printed)
    if os.environ.get("GITHUB_ACTIONS") == "true" and faults:
        say(output.annotations(findings))
    say(
        f"policy: {len(read.files)} Dockerfiles, {len(read.steps)} steps, {len(RULES)} rules: "
        f"{len(faults)} findings, {len(findings) - len(faults)} exemptions"
    )
    return 1 if faults else 0
