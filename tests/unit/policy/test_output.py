"""The findings and the rules are printed for people, programs and the documentation."""

import json
import re
from pathlib import Path

import pytest

from scripts.cli.__main__ import main
from scripts.policy import output
from scripts.policy.rule import Finding, Scope
from scripts.policy.rules import RULES

BEFORE = "tests/unit/policy/fixtures/before-adr.dockerfile"
FINDINGS = [Finding("arg-used", "D", 3, "A"), Finding("arg-late", "D", 4, "B", allowed="why")]


def test_text_has_the_reason_and_the_help_of_a_finding() -> None:
    """A policy finding is printed with its place, reason and page; exemptions come last."""
    assert output.text(FINDINGS).splitlines() == [
        "D:3: arg-used: A",
        f"    {RULES['arg-used'].reason} See docs/policy.md#arg-used",
        "D:4: arg-late: allowed, why",
    ]


def test_json_and_sarif_have_the_same_findings() -> None:
    """JSON and SARIF have the same policy findings, with the reason of each exemption."""
    plain = json.loads(output.as_json(FINDINGS))
    assert [(one["rule"], one["line"], one["allowed"]) for one in plain] == [
        ("arg-used", 3, None),
        ("arg-late", 4, "why"),
    ]
    (run,) = json.loads(output.sarif(FINDINGS))["runs"]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == set(RULES)
    assert [one["ruleId"] for one in run["results"]] == ["arg-used", "arg-late"]
    assert [one["suppressions"] for one in run["results"]] == [
        [],
        [{"kind": "inSource", "justification": "why"}],
    ]


def test_findings_are_annotated_under_github_actions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With GITHUB_ACTIONS, each policy finding is also an annotation of GitHub."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(["policy", "--dockerfile", BEFORE]) == 1
    shown = "".join(capsys.readouterr())
    assert f"::error file={BEFORE},line=3,title=arg-late::FFMPEG_TAG" in shown


def test_findings_in_a_file_are_printed_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --output, the file has only the findings of this run, and stdout has them as text."""
    file = tmp_path / "new" / "policy.sarif"
    for _ in range(2):
        arguments = ["--format", "sarif", "--output", str(file), "--dockerfile", BEFORE]
        assert main(["policy", *arguments]) == 1
    assert json.loads(file.read_text())["runs"][0]["results"]
    assert f"{BEFORE}:3: arg-late" in capsys.readouterr().out


def test_markdown_list_has_an_item_with_an_anchor_for_each_rule() -> None:
    """Each rule has an anchor under the heading of its scope, which the text output links to."""
    sections = output.markdown_list().split("### ")[1:]
    anchors = {
        section.partition("\n")[0]: re.findall(r'^- <a id="(.+?)"', section, re.MULTILINE)
        for section in sections
    }
    assert anchors == {
        scope.value: [rule.id for rule in RULES.values() if rule.scope is scope] for scope in Scope
    }
