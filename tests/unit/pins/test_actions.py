"""The actions of workflows, which are pinned by commit."""

from pathlib import Path

import pytest

from scripts.core import process
from scripts.pins import actions
from scripts.pins.actions import Actions, compare, edit, list_tags, tags
from scripts.pins.proposal import Finding, Proposal
from tests.support.checkouts import run_git
from tests.unit.pins.conftest import Commit

A, B, C, D = (letter * 40 for letter in "abcd")
CI, NIGHTLY = Path(".github/workflows/ci.yml"), Path(".github/workflows/nightly.yml")
SETUP = Path(".github/actions/setup/action.yml")
FILES = {
    CI: f"""\
on: push
jobs:
  lint:
    uses: octo/shared/.github/workflows/lint.yml@{C} # v1.0.0
  build:
    steps:
      # - uses: octo/old@v1
      - uses: actions/checkout@{A} # v4.2.0
        with: {{ persist-credentials: false }}
      - name: uses nothing
        run: echo "uses: none/none@{A} # v1.0.0"
      - uses: ./.github/actions/setup
      - name: upload
        uses: 'github/codeql-action/upload-sarif@{B}' # v3.1.0; hold: 3.2 needs another token
""",
    NIGHTLY: f"jobs:\n  x:\n    steps:\n      - uses: actions/checkout@{A} # v4.2.0\n",
    SETUP: f"runs:\n  steps:\n    - uses: github/codeql-action/init@{B} # v3.1.0\n",
}
CURRENT = {
    "octo/shared": {"v1.0.0": C, "v1": C},
    "actions/checkout": {"v4.1.9": D, "v4.2.0": A, "v4": A},
    "github/codeql-action": {"v3.1.0": B, "v3.2.0": C, "codeql-bundle-v2.20.0": D},
}
NEWER = {**CURRENT["actions/checkout"], "v4.10.0": D, "v4.9.0": C, "v4": D, "v5.0.0-beta": C}


def ask(
    root: Path, monkeypatch: pytest.MonkeyPatch, **changed: dict[str, str] | str
) -> tuple[dict[str, Finding], Proposal]:
    """Ask for all actions of the files; `changed` are other answers, as `owner_repository`."""
    answers = {**CURRENT, **{name.replace("_", "/"): answer for name, answer in changed.items()}}
    monkeypatch.setattr(actions, "list_tags", lambda action: answers[action])
    for home, text in FILES.items():
        (root / home).parent.mkdir(parents=True, exist_ok=True)
        (root / home).write_text(text)
    kind = Actions(root, list(FILES))
    proposal = kind.ask(list(kind.parts()))
    return {one.part: one for one in proposal.findings}, proposal


def test_parts_are_the_repositories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Actions of the checkout, comments and scripts are no pins; a repository is one part."""
    found, proposal = ask(tmp_path, monkeypatch)
    assert list(found) == ["octo/shared", "actions/checkout", "github/codeql-action"]
    assert found["actions/checkout"].home == f"{CI} and 1 more"
    assert found["github/codeql-action"].held == "3.2 needs another token"
    assert not proposal.steps
    assert not any(one.is_behind for one in found.values())


def test_planted_old_pin_is_found_and_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit and the version change in all files; the message says from and to."""
    found, proposal = ask(tmp_path, monkeypatch, actions_checkout=NEWER)
    assert [part for part, one in found.items() if one.is_behind] == ["actions/checkout"]
    (step,) = proposal.steps
    assert step.message == f"actions: actions/checkout v4.2.0 to v4.10.0\n\n{A} to {D}"
    changed = {
        home: text.replace(f"{A} # v4.2.0\n", f"{D} # v4.10.0\n")
        for home, text in FILES.items()
        if home != SETUP
    }
    changed[CI] = changed[CI].replace(f"checkout@{A} # v4.2.0", f"checkout@{D} # v4.10.0")
    assert step.files == changed


def test_second_run_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The edited files are what the repository has."""
    text = edit(FILES[CI], "actions/checkout", D, "v4.10.0")
    monkeypatch.setitem(FILES, CI, text)
    monkeypatch.setitem(FILES, NIGHTLY, edit(FILES[NIGHTLY], "actions/checkout", D, "v4.10.0"))
    _, proposal = ask(tmp_path, monkeypatch, actions_checkout=NEWER)
    assert not proposal.steps


def test_edit_keeps_quotes_paths_and_comments() -> None:
    """Only the commit and the version of a use change."""
    text = edit(FILES[CI], "github/codeql-action", D, "v3.2.0")
    line = f"        uses: 'github/codeql-action/upload-sarif@{D}' # v3.2.0; hold: 3.2 needs"
    assert line in text
    assert text.replace(D, B).replace("v3.2.0", "v3.1.0") == FILES[CI]


def test_later_steps_contain_the_earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second commit to a file has the change of the first."""
    shared = {"v1.0.0": C, "v1.1.0": B}
    _, proposal = ask(tmp_path, monkeypatch, actions_checkout=NEWER, octo_shared=shared)
    first, second = proposal.steps
    assert f"lint.yml@{B} # v1.1.0" in first.files[CI]
    assert NIGHTLY not in first.files
    assert f"lint.yml@{B} # v1.1.0" in second.files[CI]
    assert f"checkout@{D} # v4.10.0" in second.files[CI]


def test_new_major_version_needs_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A major version is a note with its commit, which is what the file would need."""
    answer = {**CURRENT["actions/checkout"], "v5.0.1": D}
    found, proposal = ask(tmp_path, monkeypatch, actions_checkout=answer)
    note = f"v5.0.1 ({D}) is a new release, which needs a person's decision"
    assert found["actions/checkout"].notes == (note,)
    assert not found["actions/checkout"].is_behind
    assert not proposal.steps


@pytest.mark.parametrize(
    ("listed", "why"),
    [
        ({"v4.2.0": D}, f"has {D} as v4.2.0, and the commit is {A}"),
        ({"v4.1.0": A, "v4.3.0": D}, "has no tag v4.2.0"),
    ],
)
def test_tag_that_is_another_commit_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: dict[str, str], why: str
) -> None:
    """A tag that was moved or removed needs a person, as it may be an attack."""
    found, proposal = ask(tmp_path, monkeypatch, actions_checkout=listed)
    assert why in found["actions/checkout"].problem
    assert not proposal.steps


def test_silent_origin_concerns_its_action_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An action whose repository does not answer has the reason; the others go on."""
    shared = {"v1.0.0": C, "v1.1.0": B}
    found, proposal = ask(
        tmp_path, monkeypatch, actions_checkout="Could not resolve host", octo_shared=shared
    )
    assert (found["actions/checkout"].asked, found["octo/shared"].asked) == (False, True)
    assert found["actions/checkout"].problem.endswith("does not answer: Could not resolve host")
    assert len(proposal.steps) == 1


@pytest.mark.parametrize(
    ("uses", "why"),
    [
        ([(A, "")], f"no comment names the version of {A}"),
        ([("v4", "v4.2.0")], "v4 is no commit; the form is `uses: x/y@COMMIT # vVERSION`"),
        ([(A, "v4.2.0"), (B, "v4.3.0")], f"its uses differ: v4.2.0 ({A}) and v4.3.0 ({B})"),
    ],
)
def test_use_in_another_form_is_a_problem(uses: list[tuple[str, str]], why: str) -> None:
    """A use without a commit or a version cannot be updated, and is reported."""
    given = [actions.Use(CI, commit, version) for commit, version in uses]
    finding, commit = compare("x/y", given, {"v4.2.0": A})
    assert why in finding.problem
    assert not commit


def test_tags_of_annotated_tags_are_peeled() -> None:
    """The commit of an annotated tag is in the line that ends in ^{}, whichever is first."""
    listed = (
        f"{A}\trefs/tags/v1.0.0\n{B}\trefs/tags/v1.0.0^{{}}\n"
        f"{C}\trefs/tags/v1.1.0^{{}}\n{D}\trefs/tags/v1.1.0\n{D}\trefs/tags/v1\n"
    )
    assert tags(listed) == {"v1.0.0": B, "v1.1.0": C, "v1": D}


def test_git_is_asked_without_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository that needs a password must not wait for one; git's reason is the answer."""
    environments: list[dict[str, str]] = []

    def run(*_: str, env: dict[str, str], **__: object) -> process.CompletedProcess[str]:
        environments.append(env)
        return process.CompletedProcess((), 128, "", "fatal: Could not resolve host: x\nmore\n")

    monkeypatch.setattr(process, "run", run)
    assert list_tags("x/y") == "Could not resolve host: x"
    assert environments[0]["GIT_TERMINAL_PROMPT"] == "0"


def test_git_itself_lists_the_tags(commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a repository in a directory, a planted old commit is found and edited."""
    text = "steps:\n  - uses: octo/action@{0} # {1}\n"
    origin = commit({"action.yml": "name: x\n"})
    old = run_git(origin, "rev-parse", "HEAD")
    run_git(origin, "tag", "v1.0.0")
    run_git(origin, "commit", "--quiet", "--allow-empty", "--message=second")
    new = run_git(origin, "rev-parse", "HEAD")
    run_git(origin, "tag", "--annotate", "--message=x", "v1.1.0")
    run_git(origin, "tag", "v2.0.0-rc.1")
    root = origin.with_name("octo") / "workflows"
    root.mkdir(parents=True)
    (root / "ci.yml").write_text(text.format(old, "v1.0.0"))
    origin.rename(root.with_name("action"))
    monkeypatch.setattr(actions, "ORIGIN", f"{root.parents[1]}/")
    proposal = Actions(root, [Path("ci.yml")]).ask(["octo/action"])
    (step,) = proposal.steps
    assert step.message == f"actions: octo/action v1.0.0 to v1.1.0\n\n{old} to {new}"
    assert step.files == {Path("ci.yml"): text.format(new, "v1.1.0")}
    assert proposal.findings[0].notes == ()
