"""Findings are reported with their exemptions; a foreign Dockerfile gets the rules for any."""

from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.dockerfile import project
from scripts.policy.check import applicable, check
from scripts.policy.rule import Scope
from scripts.policy.rules import RULES
from tests.support.dockerfiles import findings, foreign_project

BEFORE = "tests/unit/policy/fixtures/before-adr.dockerfile"


def rules(directory: Path, text: str) -> list[tuple[int, str, str]]:
    """Return the line, the rule and the message of each finding."""
    return [(one.line, one.rule, one.message) for one in findings(directory, text)]


def test_every_rule_checks_the_state_before_the_adr() -> None:
    """The faults that the ADR lists are found in a Dockerfile that was written without it."""
    before = project.of_files([BEFORE])
    reported = sorted({(f.line, f.rule) for rule in RULES.values() for f in rule.check(before)})
    assert reported == [
        (1, "image-alias-once"),
        (1, "stage-comment"),
        (1, "syntax-line"),
        (1, "user-numeric"),
        (2, "arg-used"),
        (3, "arg-late"),
        (4, "apt-mounts"),
        (8, "compile-launcher"),
        (8, "compile-mount"),
        (10, "compile-launcher"),
        (10, "compile-mount"),
        (10, "ffmpeg-launchers"),
    ]


def test_foreign_dockerfile_gets_the_rules_for_any_dockerfile() -> None:
    """A foreign Dockerfile is not checked against the project's conventions or unused ccache."""
    assert [(one.line, one.rule) for one in check(project.of_files([BEFORE]))] == [
        (3, "arg-late"),
        (4, "apt-mounts"),
        (4, "apt-mounts"),
    ]


def test_rules_on_ccache_apply_where_a_foreign_dockerfile_uses_it(tmp_path: Path) -> None:
    """A foreign Dockerfile gets findings on ccache only if it uses ccache."""
    plain = "FROM debian:13 AS a\nRUN make\n"
    assert rules(tmp_path, plain) == []
    with_ccache = f"{plain}RUN ccache gcc -c a.c\n"
    assert {(line, rule) for line, rule, _ in rules(tmp_path, with_ccache)} == {
        (2, "compile-launcher"),
        (2, "compile-mount"),
        (3, "compile-mount"),
    }


def test_rules_on_cache_mounts_apply_to_foreign_dockerfiles(tmp_path: Path) -> None:
    """Missing ids, owners and differences of sharing are found in any Dockerfile."""
    text = (
        "FROM debian:13 AS a\n"
        "RUN --mount=type=cache,target=/a true\n"
        "RUN --mount=type=cache,id=b,target=/b,sharing=locked true\n"
        "RUN --mount=type=cache,id=b,target=/b true\n"
        "USER 1000:1000\n"
        "RUN --mount=type=cache,id=c,target=/c,mode=0777 true\n"
        "RUN --mount=type=cache,id=d,target=/d,uid=1000 true\n"
        "RUN --mount=type=cache,id=e-$ARCH,target=/e,uid=1000,gid=1000 true\n"
    )
    assert {(line, rule) for line, rule, _ in rules(tmp_path, text)} == {
        (2, "mount-id"),
        (4, "mount-agrees"),
        (7, "mount-owner"),
        (8, "mount-id"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "FROM golang\nRUN go build ./...\n",
        "FROM debian AS a\nCOPY setup.sh /usr/local/bin/setup\nRUN setup\n",
        "FROM debian\nFROM debian\nONBUILD RUN make\n",
        'FROM debian\nRUN ["/run.sh"]\nCOPY ["a b", "/c d/"]\n',
        "ARG V=1\nFROM debian:$V\nFROM ${MISSING}\nRUN true\n",
        "FROM --platform=$BUILDPLATFORM debian AS a\nFROM a\nCOPY --from=0 / /\n",
        "FROM debian\nRUN <<EOF\nset -e\nif true; then\n  make\nfi\nEOF\n",
        "FROM debian\nCOPY <<EOF /a\nx\nEOF\nRUN bash -c 'cd / && ./a'\n",
        'FROM debian\nSHELL ["/bin/bash", "-c"]\nRUN echo $\'a\\n\' > /x; : ${A:=b}\n',
        "FROM debian\nENV A b c\nENV B=1 C=2\nLABEL x=y\nVOLUME /v\nSTOPSIGNAL 9\n",
        "FROM mcr.microsoft.com/windows\nRUN powershell -Command Install-It\n",
        "# escape=`\nFROM windows\nRUN dir `\n  c:\\\n",
        "FROM debian\nUSER $UNKNOWN\nRUN --mount=type=cache,target=/c make\n",
        "FROM debian\nWORKDIR $HOME/x\nRUN --mount=type=bind,target=. ./x\n",
        "FROM debian\nADD a.tar b.tar ./\nADD git@example.org:a.git /a\nRUN ./configure && make\n",
    ],
)
def test_any_dockerfile_can_be_checked(text: str, tmp_path: Path) -> None:
    """The policy reads every syntax of Dockerfiles, missing scripts and unknown variables."""
    read = foreign_project(tmp_path, text)
    for rule in RULES.values():
        list(rule.check(read))
    assert {one.rule for one in check(read)} <= set(applicable(read))


def test_project_gets_every_rule() -> None:
    """Only foreign Dockerfiles are exempt from the policy's rules for the project."""
    foreign = project.of_files([BEFORE])
    spared = set(RULES) - set(applicable(foreign))
    assert spared == {rule.id for rule in RULES.values() if rule.scope is Scope.PROJECT}


def test_exemption_is_for_each_rule_that_it_names(tmp_path: Path) -> None:
    """An exemption above an instruction gives its reason to the findings of each named rule."""
    text = (
        "FROM scratch AS a\n"
        "USER 1:1\n"
        "# policy: allow mount-id, mount-owner: the tests need both\n"
        "RUN --mount=type=cache,target=/a true\n"
    )
    allowed = {(one.rule, one.allowed) for one in findings(tmp_path, text)}
    assert allowed == {
        ("mount-id", "the tests need both"),
        ("mount-owner", "the tests need both"),
    }


def test_exemption_is_for_the_next_instruction_only(tmp_path: Path) -> None:
    """An exemption above another instruction has no effect, and is reported as unused."""
    text = (
        "FROM scratch AS a\n"
        "# policy: allow mount-id: x\n"
        "RUN true\n"
        "RUN --mount=type=cache,target=/a true\n"
    )
    reported = [(one.line, one.rule, one.allowed) for one in findings(tmp_path, text)]
    assert reported == [(2, "exemption-used", ""), (4, "mount-id", "")]


def test_exemption_in_a_script_is_for_its_next_command(tmp_path: Path) -> None:
    """A finding in a script can be exempted beside the command, not beside every RUN."""
    text = "FROM scratch AS a\nCOPY b.sh /\nRUN /b.sh\n"
    script = "#!/bin/sh\n# policy: allow pip-mount: once only\npip install x\n"
    (finding,) = findings(tmp_path, text, {"b.sh": script})
    assert (finding.rule, finding.line, finding.allowed) == ("pip-mount", 3, "once only")


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# policy: allow arg-used", r"Dockerfile:2: it gives no reason"),
        ("# policy: allow arg-usd: x", r"Dockerfile:2: there is no rule `arg-usd`"),
    ],
)
def test_invalid_exemption_is_an_error_with_its_line(
    comment: str, message: str, tmp_path: Path
) -> None:
    """An exemption without a reason, or for a rule that does not exist, is an error."""
    with pytest.raises(UserError, match=message):
        findings(tmp_path, f"FROM scratch\n{comment}\nARG A\n")
