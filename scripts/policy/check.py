"""Apply the rules and the exemptions from them."""

from collections.abc import Iterator
from dataclasses import replace

from scripts.core.console import UserError
from scripts.dockerfile.parser import Exemption, exemptions
from scripts.dockerfile.project import Project
from scripts.policy.rule import UNUSED, Finding
from scripts.policy.rules import RULES


def check(project: Project) -> list[Finding]:
    """Return what breaks a rule, in the order of files and lines; `allowed` where exempt.

    Raises:
        UserError: an exemption names no rule, or gives no reason.
    """
    exempt = list(_exemptions(project))
    used: set[Exemption] = set()
    found: set[Finding] = set()
    for rule in RULES.values():
        for finding in rule.check(project):
            match = next((e for e in exempt if _covers(e, finding)), None)
            used |= {match} if match else set()
            found.add(replace(finding, allowed=match.reason) if match else finding)
    for one in exempt:
        if one not in used:
            message = f"nothing here breaks {one.rule} any more: drop the exemption"
            found.add(Finding(UNUSED, one.file, one.line, message))
    return sorted(found, key=lambda f: (f.file, f.line, f.rule, f.message))


def _exemptions(project: Project) -> Iterator[Exemption]:
    """Yield the exemptions of all Dockerfiles and of the recipes that they run."""
    scripts = {s.file for step in project.steps for s in step.scripts} - set(project.files)
    found = [one for file in project.files.values() for one in file.exemptions]
    found += [one for path in sorted(scripts) for one in exemptions(project.texts[path], path)]
    for one in found:
        if one.rule not in RULES:
            raise UserError(
                "cannot read an exemption from the policy",
                f"{one.file}:{one.line}: there is no rule `{one.rule}`",
                f"The rules are: {', '.join(sorted(RULES))}.",
            )
    return iter(found)


def _covers(exemption: Exemption, finding: Finding) -> bool:
    """Whether an exemption speaks for the line of the fault, or for the RUN that comes to it."""
    if exemption.rule != finding.rule:
        return False
    here = range(finding.line, max(finding.last_line, finding.line) + 1)
    in_file = exemption.file == finding.file and any(n in here for n in exemption.lines)
    in_recipe = finding.via is not None and (
        exemption.file == finding.via[0] and finding.via[1] in exemption.lines
    )
    return in_file or in_recipe
