"""Tests of the order in which a fault is planted, built with and repaired; without builds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.contents.listing import Entry
from scripts.core.console import UserError
from scripts.faults import artefacts, building, run
from scripts.faults.building import Built, Request
from scripts.faults.faults import FAULTS, Fault
from scripts.faults.victim import Victim


class _Striking(Fault):
    """A fault that strikes, and is repaired."""

    name, what, cold, strikes_after = "striking", "something strikes", True, 2
    errors = ("EOF",)

    def __init__(self, events: list[str]) -> None:
        self.events = events

    def strike(self, victim: Victim) -> str:
        self.events.append(f"strike after {len(victim.compiled)}")
        return "struck"

    def repair(self, victim: Victim) -> None:  # noqa: ARG002
        self.events.append("repair")


class _Planted(Fault):
    """A fault that two builds meet."""

    name, what, every_step, edits = "planted", "something is planted", True, ("a", "b")

    def plant(self, victim: Victim) -> str:  # noqa: ARG002
        return "planted"


class _Idle(Victim):
    """A victim without a builder."""

    def __init__(self, events: list[str]) -> None:
        self.events, self.image, self.compiled = events, "cpu", set()

    def look(self) -> int:
        self.compiled.add(len(self.compiled))
        return len(self.compiled)

    def revive(self) -> bool:
        return False

    def forget_layers(self) -> None:
        self.events.append("no layers")

    def request(self, name: str, namespace: str, edit: str = "") -> Request:
        self.events.append(f"build {name} in {namespace}{edit and f' with {edit}'}")
        return Request(self.image, f"x/{name}:cpu", Path(), namespace, Path())

    def cold(self, edit: str = "") -> dict[str, Entry]:
        return {"/usr/local/x": Entry("file", 0o644, 0, 0, sha256=edit)}


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the builds and images; return what happened."""
    happened: list[str] = []

    def together(requests: list[Request], watch: Callable[[], None]) -> list[Built]:
        for _ in range(4):
            watch()
        happened.append("built")
        return [Built(request, 1.0, ERRORS.get(request.tag, "")) for request in requests]

    def of_image(tag: str) -> dict[str, Entry]:
        edit = tag.partition("-")[2][0]
        sha256 = edit if edit in "ab" else ""
        return {"/usr/local/x": Entry("file", 0o644, 0, 0, sha256=sha256)}

    monkeypatch.setattr(building, "together", together)
    monkeypatch.setattr(artefacts, "of_image", of_image)
    monkeypatch.setattr(run, "verify", lambda _: True)
    return happened


ERRORS = {"x/striking-disturbed:cpu": "the build failed: EOF"}


def test_fault_strikes_once_while_compilers_run(events: list[str]) -> None:
    """The fault strikes when enough compilers ran, and is repaired before the next build."""
    row = run.plant(_Striking(events), _Idle(events))
    assert events == [
        "build striking-disturbed in striking",
        "strike after 2",
        "built",
        "repair",
        "build striking-next in striking",
        "built",
    ]
    assert row.planted == "struck"
    assert row.survived, row.problems


def test_builds_are_compared_with_cold_builds_of_their_edits(events: list[str]) -> None:
    """Builds at once have their edits, and each image is compared with a cold build of its own."""
    victim = _Idle(events)
    row = run.plant(_Planted(), victim)
    assert events[:3] == [
        "no layers",
        "build planted-a in warm with a",
        "build planted-b in warm with b",
    ]
    assert [build.differences for build in row.disturbed] == [[], []]
    assert row.survived, row.problems


def test_wrong_image_is_found(events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An image of another edit than requested is wrong, as is a next image that differs."""
    other = {"/usr/local/x": Entry("file", 0o644, 0, 0, sha256="b")}
    monkeypatch.setattr(artefacts, "of_image", lambda _: other)
    row = run.plant(_Planted(), _Idle(events))
    assert [bool(build.differences) for build in row.disturbed] == [True, False]
    assert row.differences
    assert not row.survived


def test_faults_are_chosen_by_name() -> None:
    """All faults are planted by default; a name that none has is refused with the list."""
    assert run.choose([]) == list(FAULTS)
    assert [fault.name for fault in run.choose(["killed", "clock"])] == ["killed", "clock"]
    with pytest.raises(UserError, match="`killled`") as caught:
        run.choose(["killled"])
    assert "killed, disk-full" in caught.value.todo


def test_faults_have_names_and_say_what_they_plant() -> None:
    """Each fault has a name of its own, and a description."""
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert all(fault.name and fault.what for fault in FAULTS)
