"""Each rule of the policy reports its mutants, and no other rule does."""

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
    """Return the findings without an exemption in the project with an edit of `EDITS`."""
    edit = EDITS[edit_id]
    text = project.of_repository().texts.get(edit.file, "")
    findings = check(project.of_repository({edit.file: edit.apply(text)}))
    return [finding for finding in findings if not finding.allowed]


@by_edit
def test_rule_reports_its_mutant(
    edit: Edit, record_property: Callable[[str, object], None]
) -> None:
    """The edit breaks this rule and no other, and a finding names the fault."""
    findings = messages(EDITS.index(edit))
    assert {finding.rule for finding in findings} == {edit.rule}
    matches = [one.message for one in findings if edit.expected_failure in one.message]
    assert matches, [finding.message for finding in findings]
    record_property("caught", (edit.rule, f"{edit.name} ({edit.file})", matches[0]))


@by_edit
def test_expected_failure_names_the_fault(edit: Edit) -> None:
    """An expected failure is in no message about another fault, nor in the text of the rule.

    One that is would accept a finding for another reason.
    """
    assert edit.expected_failure
    rule = RULES[edit.rule]
    texts = {rule.id: f"{rule.id}: {rule.requirement} {rule.reason}"}
    for number, other in enumerate(EDITS):
        if other.expected_failure != edit.expected_failure:
            texts[f"{other.rule}-{other.name}"] = "\n".join(one.message for one in messages(number))
    assert [name for name, text in texts.items() if edit.expected_failure in text] == []


def test_the_project_has_no_finding() -> None:
    """The files that the mutants edit have no findings, so each finding is the mutant's."""
    assert [one for one in check(project.of_repository()) if not one.allowed] == []


def test_every_rule_has_a_mutant() -> None:
    """Every rule has a mutant, as a rule that never reported anything may be unable to."""
    assert set(RULES) == {edit.rule for edit in EDITS}


def test_mutants_have_different_names() -> None:
    """Two mutants of a rule have different names, so that their rows in the table differ."""
    assert max(Counter((edit.rule, edit.name) for edit in EDITS).values()) == 1
