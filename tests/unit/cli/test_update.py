"""`nox -s update`: its table and its status."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.cli import update as cli
from scripts.cli.options import parse
from scripts.core.console import UserError
from scripts.pins import commit, kinds
from scripts.pins.proposal import Finding, Proposal, Step

FINDINGS = {
    "ruff": Finding("ruff", "pyproject.toml", "0.17.6"),
    "lz4": Finding("lz4", "pyproject.toml", "4.4.5", "4.4.6", notes=("5.0 is a new release",)),
    "rich": Finding("rich", "pyproject.toml", "15.0.0", held="15.1 has a fault"),
    "hip6": Finding("hip6", "sources.lock", "6.4.3-5", problem="testing no longer has it"),
    "a/b": Finding("a/b", "x.yml and 1 more", "v1.0.0", problem="it is down", asked=False),
}


class Sample:
    """A kind of pin with these findings."""

    def parts(self) -> dict[str, tuple[Path]]:
        """Return the parts."""
        return {part: (Path(one.home),) for part, one in FINDINGS.items()}

    def ask(self, parts: Sequence[str]) -> Proposal:
        """Return a step for each part that is newer."""
        findings = tuple(FINDINGS[part] for part in parts)
        steps = tuple(Step(one.part, {Path(one.home): ""}) for one in findings if one.newest)
        return Proposal(findings, steps, ("the archive stays",))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Use the sample kind; return the steps that are committed."""
    parts: list[str] = []

    def write(_: Path, steps: Sequence[Step]) -> int:
        parts.extend(step.message for step in steps)
        return len(parts)

    monkeypatch.setattr(kinds, "kinds", lambda _: [Sample()])
    monkeypatch.setattr(commit, "require_committed", lambda *_: None)
    monkeypatch.setattr(commit, "write", write)
    return parts


def run(arguments: str) -> int:
    """Run the verb."""
    return cli.run(parse(["update", *arguments.split()], ("update",)))


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("--check", 1),
        ("--check ruff rich", 0),
        ("--check ruff lz4", 1),
        ("--check hip6", 1),
        ("--check ruff a/b", 1),
    ],
)
def test_check_tells_by_its_status(
    monkeypatch: pytest.MonkeyPatch, written: list[str], arguments: str, status: int
) -> None:
    """The status of --check is 1 if a part is behind, stays or was not asked for."""
    refuse = pytest.fail
    monkeypatch.setattr(commit, "require_committed", lambda *_: refuse("--check needs no commit"))
    assert run(arguments) == status
    assert not written


def test_table_has_each_part(written: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The table has version, newest version and state of each part, and its details below."""
    run("--check")
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "part  pinned   newest  state      file",
        "ruff  0.17.6   -       current    pyproject.toml",
        "lz4   4.4.5    4.4.6   newer      pyproject.toml",
        "  5.0 is a new release",
        "rich  15.0.0   -       held       pyproject.toml",
        "  15.1 has a fault",
        "hip6  6.4.3-5  -       stays      sources.lock",
        "  testing no longer has it",
        "a/b   v1.0.0   -       not asked  x.yml and 1 more",
        "  it is down",
    ]
    assert "5 parts: 1 current, 1 newer, 1 held, 1 stays, 1 not asked" in printed.err
    assert not written


def test_update_writes_what_is_newer(
    written: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The newer part is committed although others stay; remarks follow."""
    assert run("") == 0
    assert written == ["lz4"]
    assert capsys.readouterr().err.splitlines()[-1] == "the archive stays"


def test_edited_file_is_refused_before_an_origin_is_asked(
    monkeypatch: pytest.MonkeyPatch, written: list[str]
) -> None:
    """An update of a file with changes ends at once; files of other parts do not matter."""
    checked: list[Path] = []

    def refuse(_: Path, paths: Sequence[Path]) -> None:
        checked.extend(paths)
        raise UserError("cannot update", "it has changes", "")

    monkeypatch.setattr(commit, "require_committed", refuse)
    monkeypatch.setattr(kinds, "ask", lambda *_: pytest.fail("an origin was asked"))
    with pytest.raises(UserError, match="it has changes"):
        run("hip6")
    assert checked == [Path("sources.lock")]
    assert not written
