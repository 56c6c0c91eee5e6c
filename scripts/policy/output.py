"""Findings as text, JSON, SARIF 2.1.0, and annotations of GitHub Actions."""

import json
from collections.abc import Callable, Iterator, Sequence

from scripts.policy.rule import Finding
from scripts.policy.rules import RULES

PAGE = "docs/policy.md"
"""Where each rule is explained, a heading a rule."""


def text(findings: Sequence[Finding]) -> str:
    """Return lines for people: where, what, what the rule is for; exemptions after them."""
    return "\n".join([*_faults(findings), *_exempt(findings)])


def _faults(findings: Sequence[Finding]) -> Iterator[str]:
    for one in findings:
        if not one.allowed:
            yield f"{one.file}:{one.line}: {one.rule}: {one.message}"
            yield f"    {RULES[one.rule].reason}: {PAGE}#{one.rule}"


def _exempt(findings: Sequence[Finding]) -> Iterator[str]:
    for one in findings:
        if one.allowed:
            yield f"{one.file}:{one.line}: {one.rule}: allowed, {one.allowed}"


def as_json(findings: Sequence[Finding]) -> str:
    """Return a list of objects, a finding each; `allowed` is null where it is a fault."""
    return json.dumps(
        [
            {
                "rule": one.rule,
                "file": one.file,
                "line": one.line,
                "message": one.message,
                "reason": RULES[one.rule].reason,
                "help": f"{PAGE}#{one.rule}",
                "allowed": one.allowed or None,
            }
            for one in findings
        ],
        indent=2,
    )


def sarif(findings: Sequence[Finding]) -> str:
    """Return SARIF 2.1.0, exemptions as suppressed results."""
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.reason},
            "helpUri": f"{PAGE}#{rule.id}",
        }
        for rule in RULES.values()
    ]
    results = [
        {
            "ruleId": one.rule,
            "level": "error",
            "message": {"text": one.message},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": one.file},
                        "region": {"startLine": one.line},
                    }
                }
            ],
            "suppressions": [{"kind": "inSource", "justification": one.allowed}]
            if one.allowed
            else [],
        }
        for one in findings
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
    """Return the lines that GitHub Actions turns into annotations of the files."""
    return "\n".join(
        f"::error file={one.file},line={one.line},title={one.rule}::{one.message}"
        for one in findings
        if not one.allowed
    )


FORMATS: dict[str, Callable[[Sequence[Finding]], str]] = {
    "text": text,
    "json": as_json,
    "sarif": sarif,
}
