"""All kinds of pins together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.pins import kinds
from scripts.pins.proposal import Finding, Kind, Proposal, Step


@dataclass
class Sample:
    """A kind of pin with an answer for each part."""

    findings: dict[str, Finding]

    def parts(self) -> dict[str, tuple[Path]]:
        """Return the parts."""
        return {part: (Path(f"{part}.lock"),) for part in self.findings}

    def ask(self, parts: Sequence[str]) -> Proposal:
        """Return the answers."""
        findings = tuple(self.findings[part] for part in parts)
        steps = tuple(Step(one.part, {}) for one in findings if one.newest)
        return Proposal(findings, steps, ("remark",))


SILENT = Finding("c", "f", "1", problem="c is down", asked=False)
FIRST = Sample({"a": Finding("a", "f", "1", "2"), "b": Finding("b", "f", "1")})
SECOND = Sample({"c": SILENT})
ALL: list[Kind] = [FIRST, SECOND]


def test_kinds_of_this_repository_have_parts() -> None:
    """Each kind finds its pins here, and no two kinds have a part of the same name."""
    names = [part for kind in kinds.kinds({}) for part in kind.parts()]
    assert len(names) == len(set(names))
    assert {"ruff", "dev/requirements.txt", "server/go.mod", "libvmaf"} <= set(names)


def test_parts_are_chosen_by_name() -> None:
    """Without names, all parts are chosen; a kind without a chosen part is left out."""
    assert kinds.choose(ALL, []) == [(FIRST, ["a", "b"]), (SECOND, ["c"])]
    assert kinds.choose(ALL, ["b"]) == [(FIRST, ["b"])]
    with pytest.raises(UserError, match=r"no such part: d, e\nChoose: a, b, c\."):
        kinds.choose(ALL, ["d", "b", "e"])
    assert list(kinds.homes(kinds.choose(ALL, ["a", "c"]))) == [Path("a.lock"), Path("c.lock")]


def test_silent_origin_does_not_end_the_update() -> None:
    """The parts whose origins answer are proposed; the others have their reason."""
    proposal = kinds.ask(kinds.choose(ALL, []))
    assert [one.state for one in proposal.findings] == ["newer", "current", "not asked"]
    assert [step.message for step in proposal.steps] == ["a"]
    assert proposal.remarks == ("remark", "remark")


def test_no_answer_at_all_is_an_error() -> None:
    """If no origin answers, the error has the reasons."""
    with pytest.raises(UserError, match=r"cannot ask for newer versions: c is down\nNothing was"):
        kinds.ask(kinds.choose(ALL, ["c"]))
