"""Findings as text, JSON, SARIF 2.1.0 and GitHub annotations; the rules as a Markdown list."""

import json
import textwrap
from collections.abc import Callable, Iterator, Sequence

from scripts.policy.rule import Finding, Scope
from scripts.policy.rules import RULES

PAGE = "docs/policy.md"
"""The page with an anchor for each rule."""


def text(findings: Sequence[Finding]) -> str:
    """Return lines of text: each finding with the reason of its rule, then the exemptions."""
    return "\n".join([*_faults(findings), *_exempt(findings)])


def _faults(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        if not finding.allowed:
            yield f"{finding.file}:{finding.line}: {finding.rule}: {finding.message}"
            yield f"    {RULES[finding.rule].reason} See {_help(finding.rule)}"


def _exempt(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        if finding.allowed:
            yield f"{finding.file}:{finding.line}: {finding.rule}: allowed, {finding.allowed}"


def _help(rule: str) -> str:
    return f"{PAGE}#{rule}"


def as_json(findings: Sequence[Finding]) -> str:
    """Return a list with an object for each finding; `allowed` is null without an exemption."""
    return json.dumps(
        [
            {
                "rule": finding.rule,
                "file": finding.file,
                "line": finding.line,
                "message": finding.message,
                "reason": RULES[finding.rule].reason,
                "help": _help(finding.rule),
                "allowed": finding.allowed or None,
            }
            for finding in findings
        ],
        indent=2,
    )


def sarif(findings: Sequence[Finding]) -> str:
    """Return SARIF 2.1.0; findings with an exemption are suppressed results."""
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.requirement},
            "fullDescription": {"text": rule.reason},
            "helpUri": _help(rule.id),
        }
        for rule in RULES.values()
    ]
    results = [
        {
            "ruleId": finding.rule,
            "level": "error",
            "message": {"text": finding.message},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": finding.file},
                        "region": {"startLine": finding.line},
                    }
                }
            ],
            "suppressions": [{"kind": "inSource", "justification": finding.allowed}]
            if finding.allowed
            else [],
        }
        for finding in findings
    ]
    driver = {"name": "vmaf-images policy", "rules": rules}
    return json.dumps(
        {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{"tool": {"driver": driver}, "results": results}],
        },
        indent=2,
    )


def annotations(findings: Sequence[Finding]) -> str:
    """Return the lines that GitHub Actions shows as annotations of the files."""
    return "\n".join(
        f"::error file={finding.file},line={finding.line},title={finding.rule}::{finding.message}"
        for finding in findings
        if not finding.allowed
    )


def markdown_list() -> str:
    """Return the list of all rules for docs/policy.md, with a heading for each scope."""
    return "\n\n".join(f"### {scope.value}\n\n{_items(scope)}" for scope in Scope)


def _items(scope: Scope) -> str:
    return "\n".join(
        textwrap.fill(
            f'- <a id="{rule.id}"></a>`{rule.id}`: {rule.requirement} {rule.reason}',
            width=99,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for rule in RULES.values()
        if rule.scope is scope
    )


FORMATS: dict[str, Callable[[Sequence[Finding]], str]] = {
    "text": text,
    "json": as_json,
    "sarif": sarif,
}
