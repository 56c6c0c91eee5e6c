"""The files in sources.lock as a kind of pin."""

from dataclasses import replace

import pytest

from scripts.lock import update
from scripts.lock.plan import Plan, plan
from scripts.lock.sources_lock import Lock
from scripts.pins.proposal import Proposal
from scripts.pins.sources import HOME, Sources
from tests.unit.lock.samples import LOCK, offers

ARCHIVE = "20261205T235959Z"
NEWER = {
    "cuda13": offers("cuda13", nvcc="13.6.1"),
    "exp": offers("exp", exp="1.0-1"),
    "hip6": offers("hip6", "libhip-6"),
}


def ask(monkeypatch: pytest.MonkeyPatch, *newer: str, unasked: tuple[str, ...] = ()) -> Proposal:
    """Ask for all parts of the sample lock, with newer offers of some parts."""

    def of_lock(lock: Lock, parts: list[str], _: object) -> tuple[Plan, dict[str, str]]:
        given = {part: NEWER[part] if part in newer else offers(part) for part in lock.parts}
        asked = [part for part in parts if part not in unasked]
        return plan(lock, given, asked, ARCHIVE), dict.fromkeys(unasked, "it is down")

    monkeypatch.setattr(Lock, "read", lambda: LOCK)
    monkeypatch.setattr(update, "ask", of_lock)
    kind = Sources({})
    assert kind.parts() == dict.fromkeys(LOCK.parts, (HOME,))
    return kind.ask(list(kind.parts()))


def test_each_part_is_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step has the lines of its part; the last one has those of all."""
    proposal = ask(monkeypatch, "cuda13", "exp")
    first, last = proposal.steps
    assert first.message.splitlines()[0] == "lock: cuda13 13.5.37 to 13.6.1"
    lock = Lock.parse(first.files[HOME])
    assert lock.files == {**LOCK.files, "cuda13/nvcc": lock.files["cuda13/nvcc"]}
    lock = Lock.parse(last.files[HOME])
    assert (lock.files["exp"].version, lock.archive) == ("1.0-1", ARCHIVE)
    assert not proposal.remarks


def test_findings_are_those_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer part has its versions and details; one that stays has the reason."""
    proposal = ask(monkeypatch, "cuda13", "exp", "hip6")
    found = {one.part: one for one in proposal.findings}
    assert list(found) == list(LOCK.parts)
    assert (found["cuda13"].pinned, found["cuda13"].newest) == ("13.5.37", "13.6.1")
    assert found["cuda13"].details == ("nvcc 13.5.37 to 13.6.1",)
    assert (found["hip6"].state, found["libvmaf"].state) == ("stays", "current")
    (remark,) = proposal.remarks
    assert remark.startswith("Debian's archive stays that of 2026-11-27, which has the locked")
    assert "hip6" in remark


def test_part_with_another_path_only_is_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that moved in the pool is a change although its version stays."""
    moved = offers("exp")
    file = replace(moved.files["exp"], path="pool/main/e/other/exp_1.0-1~exp1_all.deb")
    monkeypatch.setitem(NEWER, "exp", replace(moved, files={"exp": file}))
    found = {one.part: one for one in ask(monkeypatch, "exp").findings}
    assert (found["exp"].newest, found["exp"].state) == ("other path", "newer")


def test_silent_origin_is_the_problem_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part whose origin does not answer is listed with the reason; the others go on."""
    proposal = ask(monkeypatch, "cuda13", unasked=("exp",))
    found = {one.part: one for one in proposal.findings}
    assert (found["exp"].asked, found["exp"].problem) == (False, "it is down")
    assert len(proposal.steps) == 1
