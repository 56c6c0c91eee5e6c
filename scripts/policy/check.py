"""Apply the rules, and the exemptions from them."""

import re
from collections.abc import Iterator
from dataclasses import replace

from scripts.core.console import UserError
from scripts.dockerfile.project import Project
from scripts.policy import exemptions
from scripts.policy.exemptions import Exemption
from scripts.policy.rule import UNUSED, Finding, Rule, Scope
from scripts.policy.rules import RULES


def check(project: Project) -> list[Finding]:
    """Return the findings, sorted by file and line, with the reasons of their exemptions.

    Raises:
        UserError: an exemption names a rule that does not exist, or gives no reason.
    """
    declared = list(_exemptions(project))
    used: set[Exemption] = set()
    findings: set[Finding] = set()
    rules = applicable(project)
    for rule in rules.values():
        for finding in rule.check(project):
            if not _is_in_scope(rule, finding, project):
                continue
            exemption = next((e for e in declared if _covers(e, finding)), None)
            used |= {exemption} if exemption else set()
            findings.add(replace(finding, allowed=exemption.reason) if exemption else finding)
    for exemption in declared:
        if exemption not in used and exemption.rule in rules:
            message = f"nothing here breaks {exemption.rule}: remove the exemption"
            findings.add(Finding(UNUSED, exemption.file, exemption.line, message))
    return sorted(findings, key=lambda f: (f.file, f.line, f.rule, f.message))


def applicable(project: Project) -> dict[str, Rule]:
    """Return the rules that apply to the project, or to the Dockerfiles of another project."""
    return {
        name: rule
        for name, rule in RULES.items()
        if rule.scope is not Scope.PROJECT or not project.is_foreign
    }


def _is_in_scope(rule: Rule, finding: Finding, project: Project) -> bool:
    """Whether a rule applies to the file of a finding, such as a rule on ccache."""
    if rule.scope is not Scope.CCACHE or not project.is_foreign:
        return True
    scripts = (step.text for step in project.steps if step.run.file == finding.file)
    texts = (project.files[finding.file].text, *scripts)
    return any(re.search("(?<!s)ccache", text) for text in texts)  # sccache is another program


def _exemptions(project: Project) -> Iterator[Exemption]:
    """Yield the exemptions in all Dockerfiles and in the scripts that they run."""
    scripts = {
        script.file: script
        for step in project.steps
        for script in step.scripts
        if script.file not in project.files
    }
    files = project.files.values()
    declared = [exemption for file in files for exemption in exemptions.of_dockerfile(file)]
    for _, script in sorted(scripts.items()):
        declared += exemptions.of_script(script)
    for exemption in declared:
        if exemption.rule not in RULES:
            raise UserError(
                "cannot read an exemption from the policy",
                f"{exemption.file}:{exemption.line}: there is no rule `{exemption.rule}`",
                f"The rules are: {', '.join(sorted(RULES))}.",
            )
    return iter(declared)


def _covers(exemption: Exemption, finding: Finding) -> bool:
    """Whether an exemption covers a finding, by its line in the Dockerfile or the script."""
    if exemption.rule != finding.rule:
        return False
    reported = range(finding.line, max(finding.last_line, finding.line) + 1)
    in_file = exemption.file == finding.file and any(n in reported for n in exemption.lines)
    in_script = finding.via is not None and (
        exemption.file == finding.via[0] and finding.via[1] in exemption.lines
    )
    return in_file or in_script
