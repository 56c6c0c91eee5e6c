"""Read the exemptions from rules: `# policy: allow RULE[, RULE]: reason`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.core.console import UserError
from scripts.dockerfile.parser import Dockerfile
from scripts.dockerfile.shell import Script

_COMMENT = re.compile(
    r"^\s*#\s*policy:\s*allow\s+(?P<rules>[\w-]+(?:,\s*[\w-]+)*)\s*(?::\s*(?P<reason>.*\S))?\s*$"
)


@dataclass(frozen=True)
class Exemption:
    """One rule of an exemption comment."""

    rule: str
    reason: str
    file: str
    line: int
    lines: range
    """The lines of the file that the rule may report."""


def of_dockerfile(dockerfile: Dockerfile) -> Iterator[Exemption]:
    """Yield the exemptions of a Dockerfile.

    An exemption applies to the instruction below the comment, or to the instruction that contains
    it. Above the first instruction it also applies to line 1, where rules on files report.

    Raises:
        UserError: an exemption has no reason.
    """
    spans = [(instruction.line, instruction.last_line) for instruction in dockerfile.instructions]
    for line, rules, reason in _comments(dockerfile.text, dockerfile.path):
        first, last = next((span for span in spans if span[1] >= line), (line, line))
        lines = range(1 if first == spans[0][0] else first, last + 1)
        yield from (Exemption(rule, reason, dockerfile.path, line, lines) for rule in rules)


def of_script(script: Script) -> Iterator[Exemption]:
    """Yield the exemptions of a script; each applies to the next line after the comments.

    Raises:
        UserError: an exemption has no reason.
    """
    all_lines = script.text.splitlines()
    for line, rules, reason in _comments(script.text, script.file):
        target = line + 1
        while target <= len(all_lines) and all_lines[target - 1].lstrip().startswith("#"):
            target += 1
        lines = range(target, target + 1)
        yield from (Exemption(rule, reason, script.file, line, lines) for rule in rules)


def _comments(text: str, path: str) -> Iterator[tuple[int, list[str], str]]:
    """Yield the line, the rules and the reason of each exemption comment."""
    for number, content in enumerate(text.splitlines(), start=1):
        if not (match := _COMMENT.match(content)):
            continue
        if not match["reason"]:
            raise UserError(
                "cannot read an exemption from the policy",
                f"{path}:{number}: it gives no reason",
                f"Write `# policy: allow {match['rules']}: why it is right here`.",
            )
        yield number, [rule.strip() for rule in match["rules"].split(",")], match["reason"]
