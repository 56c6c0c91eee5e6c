"""`nox -s update`: write the newest releases of the sources into the lock, a commit a part."""

import os
from argparse import Namespace

from scripts.core.console import say
from scripts.lock import update
from scripts.lock.plan import Finding, Plan, day
from scripts.lock.sources_lock import Lock


def report(finding: Finding) -> list[str]:
    """Return the lines that describe a part: its state, and indented details."""
    if finding.problem:
        state = f"{finding.title}: stays"
    elif finding.changes:
        state = finding.title
    else:
        state = f"{finding.title}: {finding.source} has nothing newer"
    details = (finding.problem, *finding.details, *finding.notes)
    return [state, *(f"  {line}" for line in dict.fromkeys(details) if line)]


def conclusion(planned: Plan) -> str:
    """Return one line on the state of the lock."""
    newer = sum(bool(finding.changes) for finding in planned.findings)
    problems = sum(bool(finding.problem) for finding in planned.findings)
    total = len(planned.findings)
    if not newer + problems:
        return f"the lock is what the origins have: {total} of {total} parts"
    return f"of {total} parts, {newer} have newer releases, and {problems} need a person's decision"


def run(options: Namespace) -> int:
    """Print what is newer and, without --check, write it to the lock and commit it.

    With --check, the status is 1 if a part is not what its origin has now.

    Raises:
        UserError: the lock is damaged or was edited, a part is unknown, an origin cannot be asked,
            a signature is not valid, or git cannot commit.
    """
    lock = Lock.read()
    parts = update.choose(lock, options.parts)
    if not options.check:
        update.require_committed()
    planned = update.ask(lock, parts, os.environ)
    for finding in planned.findings:
        print("\n".join(report(finding)))
    say(conclusion(planned))
    if options.check:
        return int(any(finding.is_behind for finding in planned.findings))
    if update.write(planned) and planned.holding:
        say(
            f"Debian's archive stays that of {day(lock.archive)}, which has the locked files of "
            f"{', '.join(planned.holding)}; it may not have the new files"
        )
    return 0
