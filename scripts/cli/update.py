"""`nox -s update`: find newer versions of everything that is pinned, one commit a part."""

import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence

from scripts.core.console import say
from scripts.core.paths import ROOT
from scripts.pins import commit, kinds
from scripts.pins.proposal import Finding, count


def table(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines of a table of the parts, with indented details below each part."""
    rows = [
        ("part", "pinned", "newest", "state", "file"),
        *((one.part, one.pinned, one.newest or "-", one.state, one.home) for one in findings),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, finding in zip(rows, (None, *findings), strict=True):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        if finding:
            lines = (finding.problem, finding.held, *finding.details, *finding.notes)
            yield from (f"  {line}" for line in dict.fromkeys(lines) if line)


def conclusion(findings: Sequence[Finding]) -> str:
    """Return one line with the number of parts in each state."""
    states = Counter(finding.state for finding in findings)
    numbers = ", ".join(f"{number} {state}" for state, number in states.items())
    return f"{count(len(findings), 'part')}: {numbers}"


def run(options: Namespace) -> int:
    """Print what is newer and, without --check, write it and commit it.

    With --check, the status is 1 if a part is not what its origin has now, or the origin does not
    answer.

    Raises:
        UserError: a file with pins is damaged or was edited, a part is unknown, no origin answers,
            a signature is not valid, or git cannot commit.
    """
    all_kinds = kinds.kinds(os.environ)
    chosen = kinds.choose(all_kinds, options.parts)
    if not options.check:
        commit.require_committed(ROOT, kinds.homes(chosen))
    proposal = kinds.ask(chosen)
    print("\n".join(table(proposal.findings)))
    say(conclusion(proposal.findings))
    if options.check:
        return int(any(finding.is_behind for finding in proposal.findings))
    commit.write(ROOT, proposal.steps)
    for remark in proposal.remarks:
        say(remark)
    return 0
