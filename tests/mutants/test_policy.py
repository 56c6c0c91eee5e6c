"""Each rule of the policy reports its mutants, and no other rule reports them."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

import pytest

from scripts.dockerfile import project
from scripts.policy.check import check
from scripts.policy.rule import Finding
from scripts.policy.rules import RULES
from tests.mutants.policy import EDITS, Edit
from tests.support.buildx import needs_buildx

pytestmark = needs_buildx
by_edit = pytest.mark.parametrize(
    "edit", [pytest.param(edit, id=f"{edit.rule}-{edit.name}") for edit in EDITS]
)


@cache
def messages(edit_id: int) -> Sequence[Finding]:
    """Apply an edit of `EDITS` to the project; return the findings that have no exemption."""
    edit = EDITS[edit_id]
    text = project.of_repository().texts.get(edit.file, "")
    findings = check(project.of_repository({edit.file: edit.apply(text)}))
    return [finding for finding in findings if not finding.allowed]


@by_edit
def test_rule_reports_its_mutant(
    edit: Edit, record_property: Callable[[str, object], None]
) -> None:
    """Only the rule of a policy mutant reports it, and one of its findings names the fault."""
    findings = messages(EDITS.index(edit))
    assert {finding.rule for finding in findings} == {edit.rule}
    texts = [finding.message for finding in findings]
    matches = [text for text in texts if edit.expected_failure in text]
    assert matches, texts
    record_property("caught", (edit.rule, f"{edit.name} ({edit.file})", matches[0]))


@by_edit
def test_expected_failure_names_the_fault(edit: Edit) -> None:
    """The expected failure of a policy mutant does not occur in messages about other faults.

    It also does not occur in the text of the rule, which is part of every message.
    """
    assert edit.expected_failure
    rule = RULES[edit.rule]
    texts = {rule.id: f"{rule.id}: {rule.requirement} {rule.reason}"}
    for number, other in enumerate(EDITS):
        if other.expected_failure != edit.expected_failure:
            texts[f"{other.rule}-{other.name}"] = "\n".join(
                finding.message for finding in messages(number)
            )
    assert [name for name, text in texts.items() if edit.expected_failure in text] == []


def test_unedited_files_have_no_finding() -> None:
    """The policy has no finding in the project's files before a mutant edits them."""
    findings = check(project.of_repository())
    assert [finding for finding in findings if not finding.allowed] == []


def test_every_rule_has_a_mutant() -> None:
    """Every rule of the policy has a mutant, because a rule without one may never report."""
    assert set(RULES) == {edit.rule for edit in EDITS}


def test_mutants_of_a_rule_have_different_names() -> None:
    """The mutants of a policy rule have different names, so that their rows in the table differ."""
    assert max(Counter((edit.rule, edit.name) for edit in EDITS).values()) == 1
