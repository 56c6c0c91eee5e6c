"""Check the Dockerfiles and their recipes against the cache contract: `nox -s policy`."""

import os
from collections.abc import Sequence

from scripts.console import say, start
from scripts.options import parse
from scripts.policy import output, project
from scripts.policy.check import check
from scripts.policy.rules import RULES


def main(words: Sequence[str]) -> int:
    """Print the findings on stdout; 1 where one is no exemption.

    Raises:
        UserError: a file does not parse, or an exemption is not what it should be.
    """
    options = parse(words)
    read = project.of_files(options.dockerfile) if options.dockerfile else project.of_repository()
    findings = check(read)
    faults = [one for one in findings if not one.allowed]
    if printed := output.FORMATS[options.format](findings):
        print(printed)
    if os.environ.get("GITHUB_ACTIONS") == "true" and faults:
        say(output.annotations(findings))
    say(
        f"policy: {len(read.files)} Dockerfiles, {len(read.steps)} steps, {len(RULES)} rules: "
        f"{len(faults)} findings, {len(findings) - len(faults)} exemptions"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    start(main)
