"""Each rule of the policy finds its own fault, and no other rule does."""

from collections import Counter
from collections.abc import Callable

import pytest

from scripts.dockerfile import project
from scripts.policy.check import check
from scripts.policy.rules import RULES
from tests.mutants.policy import EDITS, Edit
from tests.support.buildx import needs_buildx

pytestmark = needs_buildx


@pytest.mark.parametrize(
    "edit", [pytest.param(e, id="-".join(filter(None, (e.rule, e.name)))) for e in EDITS]
)
def test_rule_finds_its_mutant(edit: Edit, record_property: Callable[[str, object], None]) -> None:
    """Exactly the rule meant is broken; its words name the fault."""
    text = project.of_repository().texts.get(edit.file, "")
    faulty = project.of_repository({edit.file: edit.applied(text)})
    faults = [one for one in check(faulty) if not one.allowed]
    assert {one.rule for one in faults} == {edit.rule}
    said = [one.message for one in faults if edit.says in one.message]
    assert said, [one.message for one in faults]
    record_property("caught", (edit.rule, f"edit of {edit.file}", said[0]))


def test_the_repository_keeps_its_own_rules() -> None:
    """What every mutant is an edit of has no fault, so that what it shows is its own."""
    assert [one for one in check(project.of_repository()) if not one.allowed] == []


def test_every_rule_has_a_mutant() -> None:
    """A rule that nothing has ever broken may be one that cannot find anything."""
    assert set(RULES) == {edit.rule for edit in EDITS}


def test_mutants_of_a_rule_are_told_apart() -> None:
    """Two of one id would hide each other in the table."""
    assert max(Counter((edit.rule, edit.name) for edit in EDITS).values()) == 1
