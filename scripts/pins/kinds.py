"""All kinds of pins, and what they propose together."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from scripts.core import git
from scripts.core.console import UserError, say
from scripts.core.paths import ROOT
from scripts.pins.actions import DIRECTORIES, Actions
from scripts.pins.crates import Crates
from scripts.pins.groups import Groups
from scripts.pins.modules import Modules
from scripts.pins.proposal import Kind, Proposal
from scripts.pins.sources import Sources
from scripts.pins.workbench import Workbench


def kinds(environment: Mapping[str, str]) -> list[Kind]:
    """Return all kinds of pins of this checkout.

    Args:
        environment: the environment variables of the user.
    """
    workflows = [f".github/{name}/*.{end}" for name in DIRECTORIES for end in ("yml", "yaml")]
    return [
        Groups(ROOT),
        Workbench(ROOT),
        Modules(ROOT, git.tracked("go.mod", "*/go.mod")),
        Actions(ROOT, git.tracked(*workflows)),
        Crates(ROOT, git.tracked("*.md", *workflows), environment),
        Sources(environment),
    ]


def choose(all_kinds: Sequence[Kind], names: Sequence[str]) -> list[tuple[Kind, list[str]]]:
    """Return the chosen parts of each kind, by default all.

    Raises:
        UserError: nothing has the name of a part, or a file with pins is damaged.
    """
    parts = [(kind, list(kind.parts())) for kind in all_kinds]
    known = [part for _, of_kind in parts for part in of_kind]
    if unknown := [name for name in names if name not in known]:
        raise UserError("no such part", ", ".join(unknown), f"Choose: {', '.join(known)}.")
    chosen = [(kind, [part for part in of if part in names or not names]) for kind, of in parts]
    return [(kind, of) for kind, of in chosen if of]


def homes(chosen: Sequence[tuple[Kind, Sequence[str]]]) -> Iterator[Path]:
    """Yield the files that an update of the chosen parts may change."""
    for kind, parts in chosen:
        files = kind.parts()
        for part in parts:
            yield from files[part]


def ask(chosen: Sequence[tuple[Kind, Sequence[str]]]) -> Proposal:
    """Ask for the chosen parts of each kind.

    Raises:
        UserError: no origin answers, a file with pins is damaged, a tool is missing, or an origin
            has something that must not be used.
    """
    proposals = []
    for kind, parts in chosen:
        say(f"asking for {', '.join(parts[:3])}{', ...' if len(parts) > 3 else ''}")  # noqa: PLR2004
        proposals.append(kind.ask(parts))
    findings = tuple(finding for proposal in proposals for finding in proposal.findings)
    if findings and not any(finding.asked for finding in findings):
        reasons = dict.fromkeys(finding.problem for finding in findings)
        raise UserError(
            "cannot ask for newer versions",
            "\n".join(reasons),
            "Nothing was changed. Run `nox -s update` again when the origins can be reached.",
        )
    return Proposal(
        findings,
        tuple(step for proposal in proposals for step in proposal.steps),
        tuple(remark for proposal in proposals for remark in proposal.remarks),
    )
