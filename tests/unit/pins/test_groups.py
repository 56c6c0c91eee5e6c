"""The versions in the dependency groups of pyproject.toml."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.pins import uv
from scripts.pins.groups import HOME, Groups, Pin, edit, pins
from scripts.pins.proposal import Finding

TEXT = """\
# a==0 is no pin
[dependency-groups]
build = [
  # b==0 is none either
  "dockerfile==3.4.0; sys_platform == 'linux' and platform_machine == 'x86_64'",
  "nox==2026.10.20",
]
policy = [{ include-group = "build" }, "dockerfile==3.4.0"]
sbom = ["cyclonedx_python.lib[json-validation]==11.12.0", 'lz4==4.4.5'] # two
test = [
  "grpcio-reflection==1.85.1",
  "grpcio-tools==1.85.1",
  "pip>=23", # not exact
  "pytest==9.2.0",
  "pytest-timeout==2.4.0",
  "ruff==0.17.5",
  "rich==15.0.0", # hold: 15.1 has a fault
]

[tool.mypy]
python_version = "3.11"
other = ["c==1"]
"""
CURRENT = {name: pin.version for name, pin in pins(TEXT).items()}

Index = Callable[[dict[str, str], dict[str, str]], list[str]]


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    """Return the groups of a checkout that has the text."""
    (tmp_path / HOME).write_text(TEXT)
    return Groups(tmp_path)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    """Return a function that replaces the index; it returns what is required of it.

    Its arguments are the versions that fit, and the newest ones, that differ from the pins.
    """

    def replace(fitting: dict[str, str], newest: dict[str, str]) -> list[str]:
        required: list[str] = []

        def lock(requirements: str, *options: str, **_: object) -> str:
            alone = "--no-deps" in options
            assert "--python-version=3.11" in options
            required.extend([] if alone else requirements.splitlines())
            versions = {**CURRENT, **fitting, **(newest if alone else {})}
            return "".join(f"{name}=={version}\n" for name, version in versions.items())

        monkeypatch.setattr(uv, "lock", lock)
        return required

    return replace


def found(groups: Groups, *parts: str) -> dict[str, Finding]:
    """Return the findings by part."""
    return {one.part: one for one in groups.ask(parts or list(groups.parts())).findings}


def test_pins_are_those_of_the_groups() -> None:
    """Exact versions in groups are pins: in any quotes, with extras, markers and holds."""
    assert pins(TEXT)["cyclonedx-python-lib"] == Pin(
        "cyclonedx-python-lib", "11.12.0", "[json-validation]"
    )
    assert pins(TEXT)["dockerfile"].marker == ""  # a group has it without a marker
    assert pins(TEXT)["rich"].hold == "15.1 has a fault"
    assert set(CURRENT) == {
        *("dockerfile", "nox", "cyclonedx-python-lib", "lz4", "grpcio-reflection"),
        *("grpcio-tools", "pytest", "pytest-timeout", "ruff", "rich"),
    }


def test_pins_of_this_repository_are_found() -> None:
    """Each exact version in pyproject.toml is a pin, and grpcio's packages are one part."""
    assert {"ruff", "uv", "grpcio"} <= set(Groups(ROOT).parts())


def test_planted_old_pin_is_found_and_edited(groups: Groups, index: Index) -> None:
    """A newer version is a commit that says from and to, and changes this line only."""
    index({"ruff": "0.17.6"}, {})
    proposal = groups.ask(list(groups.parts()))
    behind = {one.part: one for one in proposal.findings if one.is_behind}
    assert list(behind) == ["ruff"]
    assert (behind["ruff"].pinned, behind["ruff"].newest) == ("0.17.5", "0.17.6")
    (step,) = proposal.steps
    assert step.message == "pins: ruff 0.17.5 to 0.17.6"
    assert step.files == {HOME: TEXT.replace("ruff==0.17.5", "ruff==0.17.6")}


def test_current_pins_are_no_commit(groups: Groups, index: Index) -> None:
    """If the index has nothing newer, nothing is behind."""
    index({}, {})
    proposal = groups.ask(list(groups.parts()))
    assert not proposal.steps
    assert not any(one.is_behind or one.notes for one in proposal.findings)


def test_later_steps_contain_the_earlier(groups: Groups, index: Index) -> None:
    """Each commit has the changes of the former, and a package changes in all its groups."""
    index({"ruff": "0.18.0", "dockerfile": "3.5.0"}, {})
    first, last = groups.ask(list(groups.parts())).steps
    assert first.message == "pins: dockerfile 3.4.0 to 3.5.0"
    assert first.files[HOME].count("dockerfile==3.5.0") == 2
    assert last.files[HOME] == edit(TEXT, {"dockerfile": "3.5.0", "ruff": "0.18.0"})


def test_packages_of_one_release_are_one_commit(groups: Groups, index: Index) -> None:
    """The packages of grpcio have one version, as each may require that of the others."""
    index({"grpcio-tools": "1.86.0", "grpcio-reflection": "1.86.0"}, {})
    (step,) = groups.ask(["grpcio"]).steps
    assert step.message.splitlines() == [
        "pins: grpcio 1.85.1 to 1.86.0",
        "",
        "grpcio-reflection 1.85.1 to 1.86.0",
        "grpcio-tools 1.85.1 to 1.86.0",
    ]
    assert step.files[HOME].count("==1.86.0") == 2


def test_what_is_required_of_the_index(groups: Groups, index: Index) -> None:
    """A package keeps its first number unless it is a year; a held or unnamed one stays."""
    required = index({}, {})
    groups.ask(["nox", "ruff", "rich", "cyclonedx-python-lib"])
    assert {
        "nox>=2026.10.20",
        "ruff>=0.17.5,==0.*",
        "rich==15.0.0",
        "cyclonedx-python-lib[json-validation]>=11.12.0,==11.*",
        "pytest==9.2.0",
    } <= set(required)


def test_new_major_version_needs_a_person(groups: Groups, index: Index) -> None:
    """A major version is a note, as are versions that do not fit; neither is behind."""
    index({}, {"pytest": "10.0.0", "lz4": "4.5.0", "rich": "15.2.0"})
    notes = {part: one.notes for part, one in found(groups).items() if one.notes}
    assert notes == {
        "pytest": ("pytest 10.0.0 is a new release, which needs a person's decision",),
        "lz4": ("lz4 4.5.0 does not fit the other packages",),
        "rich": ("rich 15.2.0 is a new release, which needs a person's decision",),
    }
    assert found(groups)["rich"].held == "15.1 has a fault"
    assert not any(one.is_behind for one in found(groups).values())


@pytest.mark.parametrize(
    ("error", "asked", "why"),
    [
        (uv.UnreachableError("no route"), False, "the package index does not answer: no route"),
        (uv.NoSolutionError("a needs b"), True, "versions that fit each other: a needs b"),
    ],
)
def test_failure_of_the_index_is_the_problem_of_its_parts(
    groups: Groups, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str, *, asked: bool
) -> None:
    """Without an answer, each part has the reason, and nothing is edited."""

    def fail(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(uv, "lock", fail)
    proposal = groups.ask(["ruff"])
    (finding,) = proposal.findings
    assert (finding.asked, finding.is_behind, proposal.steps) == (asked, True, ())
    assert why in finding.problem


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"lz4==4.4.5"', '"lz4==4.4.5', "read the pins"),
        ("'lz4==4.4.5'", '"dockerfile==3.5.0"', "dockerfile has the versions 3.4.0 and 3.5.0"),
        ("'lz4==4.4.5'", '"lz4 ==4.4.5"', "a package with == is not on a line as `name==version`"),
    ],
)
def test_damaged_file_is_refused(old: str, new: str, why: str) -> None:
    """A file whose pins cannot all be read is an error, so that none is overlooked."""
    text = TEXT.replace(old, new) if old in TEXT else TEXT.replace("'lz4==4.4.5'", new)
    assert text != TEXT
    with pytest.raises(UserError, match=why):
        pins(text)
