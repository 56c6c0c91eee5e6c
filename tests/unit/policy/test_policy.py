"""The policy reads Dockerfiles and scripts as BuildKit and the shell do."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.cli.__main__ import main
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.dockerfile import parser, project, shell
from scripts.policy import commands, output
from scripts.policy.check import check
from scripts.policy.commands import Kind
from scripts.policy.rule import Finding
from scripts.policy.rules import RULES

BEFORE = "tests/unit/policy/fixtures/before-adr.dockerfile"


def findings(text: str, tmp_path: Path) -> Sequence[Finding]:
    """Return what is found in a Dockerfile that stands alone."""
    path = tmp_path / "Dockerfile"
    path.write_text(f"# syntax=docker/dockerfile:1.7\n{text}")
    return check(project.of_files([str(path)]))


def kinds(script: str) -> list[tuple[str, Kind | None]]:
    """Return the program and the kind of each command of a script."""
    return [(c.program, commands.kind(c)) for c in shell.read(script, "s.sh").commands]


@pytest.mark.parametrize(
    ("script", "programs"),
    [
        ("a && b || c; d | e", ["a", "b", "c", "d", "e"]),
        ("if a; then b; else c; fi", ["a", "b", "c"]),
        ("f() { make -j4; }", ["make"]),
        ("x=$(make)", ["make"]),
        ("case $1 in build) make ;; esac", ["make"]),
        ("env -i A=b make", ["env", "make"]),
        ("xargs -r apt-get install <list", ["xargs", "apt-get"]),
        ("sh -c 'cd /src && make'", ["sh", "cd", "make"]),
        ("bash <<end\nmake\nend", ["bash", "make"]),
        ("cat <<end\nmake\nend", ["cat"]),
        ("echo make # make", ["echo"]),
    ],
)
def test_commands_are_found_wherever_they_are(script: str, programs: list[str]) -> None:
    """Functions, substitutions, wrappers and heredocs hide nothing."""
    assert [c.program for c in shell.read(script, "s.sh").commands] == programs


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("gcc -c a.c", Kind.COMPILE),
        ("ccache x86_64-linux-gnu-g++-13 -c a.cc", Kind.COMPILE),
        ("gcc --version", None),
        ("gcc -dumpfullversion", None),
        ("ccache --zero-stats", None),
        ("hipcc -fsyntax-only -x hip /dev/null", None),
        ("meson setup build", Kind.COMPILE),
        ("meson --version", None),
        ("cmake --install build", None),
        ("cmake --build build", Kind.COMPILE),
        ("cargo vendor", None),
        ("cargo build", Kind.COMPILE),
        ("apt-get -q update", Kind.APT),
        ("apt-cache show jq", None),
        ("go build ./...", Kind.GO),
        ("go mod download", Kind.GO_FETCH),
        ("go version", None),
        ("python3 -m pip install x", Kind.PIP),
        ("pip --version", None),
    ],
)
def test_what_a_command_is_for(command: str, kind: Kind | None) -> None:
    """What only asks, or links, or unpacks is no compile step."""
    assert kinds(command)[0][1] is kind


def test_lines_are_those_of_the_file() -> None:
    """Through mounts on lines of their own, comments inside, and continuations."""
    text = (
        "FROM scratch AS a\n"
        "RUN --mount=type=cache,id=x,target=/x \\\n"
        "    --network=none \\\n"
        "    # a comment inside\n"
        "    first && \\\n"
        "    second\n"
        "RUN <<end\n"
        "third\n"
        "end\n"
    )
    found = [
        (command.program, command.line)
        for one in parser.read(text, "Dockerfile").stages[0].instructions
        if one.script
        for command in one.script.commands
    ]
    assert found == [("first", 5), ("second", 6), ("third", 8)]


def test_exec_form_and_onbuild_are_read() -> None:
    """No form of RUN gets past."""
    text = 'FROM scratch\nRUN ["make", "-C", "a b"]\nONBUILD RUN make install\n'
    runs = parser.read(text, "Dockerfile").stages[0].instructions
    words = [run.script.commands[0].words for run in runs if run.script]
    assert words == [("make", "-C", "a b"), ("make", "install")]


def test_a_chain_over_two_lines_is_one(tmp_path: Path) -> None:
    """A prefix in front of the first command does not reach the second."""
    found = findings("FROM scratch AS a\nRUN CFLAGS=-O3 ./configure \\\n  && make\n", tmp_path)
    assert [f.message for f in found if f.rule == "env-prefix"] == [
        "CFLAGS=-O3 reaches `configure` and not `make`"
    ]


def test_a_recipe_is_followed_into_the_recipes_it_runs() -> None:
    """libvmaf.sh sources compile.sh: both are what the step runs."""
    text = (
        "FROM scratch AS a\n"
        "RUN --mount=type=bind,source=docker/recipes/compile/libvmaf,target=/r \\\n"
        "    --mount=type=bind,source=docker/recipes/compile/compile.sh"
        ",target=/run/recipes/compile.sh \\\n"
        "    sh /r/libvmaf.sh build\n"
    )
    read = project.Project(
        files={"D": parser.read(text, "D")},
        contexts={},
        images={},
        texts=project.of_files([]).texts,
        targets={},
    )
    assert [script.file for script in read.steps[0].scripts] == [
        "D",
        "docker/recipes/compile/libvmaf/libvmaf.sh",
        "docker/recipes/compile/compile.sh",
    ]


@pytest.mark.parametrize(
    ("copy", "runs"),
    [
        ("COPY .ci/run /usr/local/bin/build-all", "build-all"),
        ("COPY .ci/run /opt/", "/opt/run"),
        ("COPY . /src", "/src/.ci/run"),
        ("WORKDIR /src\nCOPY .ci .", "./run"),
    ],
)
def test_a_copied_script_is_followed(copy: str, runs: str, tmp_path: Path) -> None:
    """A compile step in a script that was copied in is still one."""
    path = tmp_path / "Dockerfile"
    path.write_text(f"FROM scratch AS a\n{copy}\nRUN {runs}\n")
    read = project.of_files([str(path)])
    assert ".ci/run" in [script.file for script in read.steps[0].scripts]


def test_a_base_named_by_an_argument_is_found(tmp_path: Path) -> None:
    """With the argument's default; its user is then that of the stage above it too."""
    text = "ARG A=one\nFROM scratch AS base-one\nUSER 1:1\nFROM base-${A} AS two\nRUN true\n"
    path = tmp_path / "Dockerfile"
    path.write_text(text)
    (step,) = project.of_files([str(path)]).steps
    assert step.user == "1:1"


def test_mounts_are_read_with_their_other_names() -> None:
    """Src, dst, and words without a value."""
    text = "FROM scratch\nRUN --mount=src=./a/,dst=/b/,ro true\n"
    (mount,) = parser.read(text, "D").stages[0].instructions[0].mounts
    assert (mount.kind, mount.source, mount.target) == ("bind", "a", "/b")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("FROM scratch\nRUN <<end\nx\n", r"Dockerfile:3: unterminated heredoc"),
        ("# only a comment\n", r"Dockerfile:1: file with no instructions|no FROM"),
        ("ARG A=1\n", r"Dockerfile:1: it has no FROM"),
        ("<<<<<<< HEAD\nFROM scratch\n", r"Dockerfile:2: `<<<<<<<` before the first FROM"),
        ("FROM scratch\n# policy: allow arg-used\nARG A\n", r"Dockerfile:3: it gives no reason"),
        ("FROM scratch\n# policy: allow arg-usd: x\nARG A\n", r"Dockerfile:3: .*no rule `arg-usd`"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, says: str, tmp_path: Path) -> None:
    """File and line, and no traceback."""
    with pytest.raises(UserError, match=says):
        findings(text, tmp_path)


def test_a_missing_file_is_told() -> None:
    """The path is in the message."""
    with pytest.raises(UserError, match=r"no file nowhere/Dockerfile"):
        project.of_files(["nowhere/Dockerfile"])


def test_an_exemption_is_reported_with_its_reason(tmp_path: Path) -> None:
    """It speaks for the instruction that it stands above, for each rule that it names."""
    text = "FROM scratch AS a\n# policy: allow arg-used, no-secret: the tests want one\nARG TOKEN\n"
    allowed = {f.rule: f.allowed for f in findings(text, tmp_path) if f.line == 4}
    assert allowed == {"arg-used": "the tests want one", "no-secret": "the tests want one"}


def test_an_exemption_of_another_line_does_not_count(tmp_path: Path) -> None:
    """The next ARG has none, and the first one's is of no use."""
    text = "FROM scratch AS a\n# policy: allow arg-used: x\nRUN true\nARG EXTRA\n"
    found = [(f.rule, f.allowed) for f in findings(text, tmp_path)]
    assert ("arg-used", "") in found
    assert ("exemption-used", "") in found


def test_json_and_sarif_say_the_same() -> None:
    """A fault and an exemption; in SARIF the second is suppressed, with its reason."""
    found = [Finding("arg-used", "D", 3, "A"), Finding("no-secret", "D", 4, "B", allowed="why")]
    plain = json.loads(output.as_json(found))
    assert [(one["rule"], one["line"], one["allowed"]) for one in plain] == [
        ("arg-used", 3, None),
        ("no-secret", 4, "why"),
    ]
    (run,) = json.loads(output.sarif(found))["runs"]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == set(RULES)
    assert [one["suppressions"] for one in run["results"]] == [
        [],
        [{"kind": "inSource", "justification": "why"}],
    ]


def test_under_actions_faults_are_annotated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """GitHub shows such a line beside the file's own."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(["policy", "--dockerfile", BEFORE]) == 1
    shown = "".join(capsys.readouterr())
    assert f"::error file={BEFORE},line=2,title=arg-used::NVCC_FLAGS" in shown


def test_docs_show_what_is_found_in_the_state_before_the_adr() -> None:
    """The page quotes the run, and explains every rule under a heading of its own."""
    page = (ROOT / "docs" / "policy.md").read_text()
    faults = check(project.of_files([BEFORE]))
    shown = "\n".join(f"{one.line}: {one.rule}: {one.message}" for one in faults)
    assert f"```\n{shown}\n```" in page
    assert re.findall(r"^### (\S+)$", page, re.MULTILINE) == list(RULES)
