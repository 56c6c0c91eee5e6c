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
    """Only the rule of a policy mutant reports it, and one of its findings names the fault."""
    findings = messages(EDITS.index(edit))
    assert {finding.rule for finding in findings} == {edit.rule}
    matches = [one.message for one in findings if edit.expected_failure in one.message]
    assert matches, [finding.message for finding in findings]
    record_property("caught", (edit.rule, f"{edit.name} ({edit.file})", matches[0]))


@by_edit
def test_expected_failure_names_the_fault(edit: Edit) -> None:
    """The message that a policy mutant expects is in no message about another fault.

    A message of another fault, or the text of the rule, would be accepted for another reason.
    """
    assert edit.expected_failure
    rule = RULES[edit.rule]
    texts = {rule.id: f"{rule.id}: {rule.requirement} {rule.reason}"}
    for number, other in enumerate(EDITS):
        if other.expected_failure != edit.expected_failure:
            texts[f"{other.rule}-{other.name}"] = "\n".join(one.message for one in messages(number))
    assert [name for name, text in texts.items() if edit.expected_failure in text] == []


def test_unedited_files_have_no_finding() -> None:
    """The project's files have no finding of the policy before a mutant edits them."""
    assert [one for one in check(project.of_repository()) if not one.allowed] == []


def test_every_rule_has_a_mutant() -> None:
    """Every rule of the policy has a mutant, as a rule that never reports may be unable to."""
    assert set(RULES) == {edit.rule for edit in EDITS}


def test_mutants_of_a_rule_have_different_names() -> None:
    """The mutants of a policy rule have different names, for different rows in the table."""
    assert max(Counter((edit.rule, edit.name) for edit in EDITS).values()) == 1
