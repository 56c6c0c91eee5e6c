"""`nox -s update`: its report and its status."""

import pytest

from scripts.cli import update as cli
from scripts.cli.options import parse
from scripts.core.console import UserError
from scripts.lock import update
from scripts.lock.offers import Offers
from scripts.lock.plan import Plan, plan
from scripts.lock.sources_lock import Lock
from tests.unit.lock.samples import LOCK, offers

NEWER = offers("cuda13", nvcc="13.6.1")
GONE = offers("hip6", "libhip-6")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Use the sample lock; return the parts that are written."""
    parts: list[str] = []
    monkeypatch.setattr(Lock, "read", lambda: LOCK)
    monkeypatch.setattr(update, "require_committed", lambda: None)

    def write(planned: Plan) -> int:
        parts.extend(found.part for found in planned.findings if found.changes)
        return len(parts)

    monkeypatch.setattr(update, "write", write)
    return parts


def run(monkeypatch: pytest.MonkeyPatch, arguments: str, *changed: Offers) -> int:
    """Run the verb with offers that differ from the locked files."""

    def ask(lock: Lock, parts: list[str], _: object) -> Plan:
        others = {next(iter(of.files)).partition("/")[0]: of for of in changed}
        everything = {part: others.get(part, offers(part)) for part in lock.parts}
        return plan(lock, everything, parts, "20261205T235959Z")

    monkeypatch.setattr(update, "ask", ask)
    return cli.run(parse(["update", *arguments.split()], ("update",)))


@pytest.mark.parametrize(
    ("arguments", "changed", "status"),
    [
        ("--check", [], 0),
        ("--check", [NEWER], 1),
        ("--check", [GONE], 1),
        ("--check libvmaf", [NEWER, GONE], 0),
        ("--check libvmaf hip6", [NEWER, GONE], 1),
    ],
)
def test_check_tells_by_its_status(
    monkeypatch: pytest.MonkeyPatch,
    written: list[str],
    arguments: str,
    changed: list[Offers],
    status: int,
) -> None:
    """The status of --check is 1 if a chosen part is behind or gone; nothing is written."""
    monkeypatch.setattr(update, "require_committed", lambda: pytest.fail("--check needs no commit"))
    assert run(monkeypatch, arguments, *changed) == status
    assert not written


def test_update_writes_what_is_newer(
    monkeypatch: pytest.MonkeyPatch, written: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The newer part is written; the report has each part, and why one stays."""
    newer = offers("exp", exp="1.0-1")
    assert run(monkeypatch, "", NEWER, GONE, newer) == 0
    assert written == ["cuda13", "exp"]
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[:2] == ["cuda13 13.5.37 to 13.6.1", "  nvcc 13.5.37 to 13.6.1"]
    assert lines[2:4] == ["ffmpeg9.0 9.0.2: testing has nothing newer", "hip6 6.4.3-5: stays"]
    assert lines[4].startswith("  testing no longer has libhip-6; a person must decide")
    assert "of 5 parts, 2 have newer releases, and 1 need a person's decision" in printed.err
    assert "Debian's archive stays that of 2026-11-27, which has the locked files of hip6" in (
        printed.err
    )


def test_edited_lock_is_refused_before_an_origin_is_asked(
    monkeypatch: pytest.MonkeyPatch, written: list[str]
) -> None:
    """An update of a lock with changes ends at once."""

    def refuse() -> None:
        raise UserError("cannot update", "it has changes", "")

    monkeypatch.setattr(update, "require_committed", refuse)
    monkeypatch.setattr(update, "ask", lambda *_: pytest.fail("an origin was asked"))
    with pytest.raises(UserError, match="it has changes"):
        cli.run(parse(["update"], ("update",)))
    assert not written
