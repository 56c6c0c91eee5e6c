"""The rules: how they are collected, and cases that the mutants do not have."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from scripts.dockerfile import parser
from scripts.dockerfile.project import Project
from scripts.policy import rules
from scripts.policy.rule import Rule
from scripts.policy.rules import RULES, compilers, files, rust
from tests.support.dockerfiles import findings

CARGO = (
    "RUN --mount=type=cache,id=g,target=/root/.cargo/git "
    "--mount=type=cache,id=r,target=/root/.cargo/registry"
)
SCCACHE = "--mount=type=cache,id=s,target=/s"


def test_every_rule_of_every_module_is_listed() -> None:
    """The list of policy rules has every rule of every module."""
    modules = [
        import_module(f"{rules.__name__}.{one.name}") for one in iter_modules(rules.__path__)
    ]
    defined = {
        value.id for module in modules for value in vars(module).values() if isinstance(value, Rule)
    }
    assert defined == set(RULES)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_requirement_and_reason_are_sentences_that_fit_a_table(rule: Rule) -> None:
    """The texts of a policy rule end with a full stop and contain no cell separator."""
    for text in (rule.requirement, rule.reason):
        assert text.endswith(".")
        assert "|" not in text
        assert "\n" not in text


def test_stage_comment_names_a_stage_without_a_name_by_its_line() -> None:
    """The finding on a missing comment names a stage without a name by the line of its FROM."""
    read = Project({"D": parser.read("FROM scratch AS a\n\nFROM a\n", "D")})
    messages = [finding.message for finding in files.stage_comment.check(read)]
    assert messages == [
        "no comment above it begins with `a` and describes it",
        "the stage at line 3 has no name, which a comment could describe",
    ]


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ("", "/build/target", ""),
        ("--target-dir /build/t", "", ""),
        ("--target-dir=/build", "/other", ""),
        ("", "/buildings", "no tmpfs contains the target directory /buildings"),
        ("--target-dir=/t", "/build", "no tmpfs contains the target directory /t"),
        ("", "", "no tmpfs contains the target directory target"),
    ],
)
def test_target_directory_is_an_option_or_a_variable(
    arguments: str, environment: str, message: str
) -> None:
    """The target directory of cargo is that of the option, or else of the variable."""
    variable = f"ENV CARGO_TARGET_DIR={environment}\n" if environment else ""
    run = f"RUN --mount=type=tmpfs,target=/build cargo build {arguments}\n"
    read = Project({"D": parser.read(f"FROM scratch AS a\n{variable}{run}", "D")})
    assert "".join(finding.message for finding in rust.cargo_target.check(read)) == message


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("FROM rust AS c\nRUN meson setup b", True),
        ("FROM plain AS c\nRUN meson setup b\nRUN apt-get install sccache", False),
        ("FROM plain AS c\nRUN apt-get install sccache && meson setup b", True),
        ("FROM plain AS c\nCOPY --from=rust /usr/bin/ /usr/bin/\nRUN meson setup b", True),
        ("FROM plain AS c\nCOPY --from=rust / /\nRUN meson setup b", True),
        ("FROM plain AS c\nCOPY --from=rust /out/ /\nRUN meson setup b", False),
        ("FROM plain AS c\nCOPY --from=plain / /\nRUN meson setup b", False),
        ("FROM plain AS c\nCOPY --from=x /opt/sccache /opt/bin/\nRUN meson setup b", True),
    ],
)
def test_sccache_comes_by_a_parent_or_a_copy(text: str, *, is_found: bool) -> None:
    """Where a parent stage installs sccache, or it is copied from another, it is on PATH."""
    stages = "FROM scratch AS plain\nFROM plain AS rust\nRUN apt-get install sccache=0.10\n"
    read = Project({"D": parser.read(f"{stages}{text}\n", "D")})
    assert bool(list(compilers.no_sccache.check(read))) is is_found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN CFLAGS=-O3 ./configure \\\n  && make", {"env-prefix"}),
        ("RUN rm -rf /var/lib/apt/lists/*", set()),
        ("RUN --mount=type=cache,id=c,target=/root/.cache pip install x", set()),
        ("RUN --mount=type=cache,id=c,target=/root/.cache/uv uv pip install x", set()),
        ("RUN pip install x", {"pip-mount"}),
        ("RUN --mount=type=cache,id=c-$A,target=/c true", {"mount-id"}),
        ("ARG A\nRUN --mount=type=cache,id=c-$A,target=/c true", set()),
        ("ENV A=1\nRUN --mount=type=cache,id=c-${A},target=/c true", set()),
        ("RUN go build ./...", {"go-mounts"}),
        (
            (
                "RUN --mount=type=cache,id=m,target=/go/pkg/mod "
                "--mount=type=cache,id=c,target=/root/.cache go build ./..."
            ),
            set(),
        ),
        (
            (
                "ENV GOPATH=/g GOCACHE=/c\nRUN --mount=type=cache,id=m,target=/g/pkg/mod "
                "--mount=type=cache,id=c,target=/c go build ./..."
            ),
            set(),
        ),
        ("RUN cargo fetch", {"cargo-mounts", "cargo-locked"}),
        ("RUN cargo --version && cargo tree", set()),
        (f"{CARGO} cargo fetch --locked", set()),
        (f"{CARGO} cargo +nightly fetch --frozen", set()),
        (f"{CARGO} cargo build --locked", set()),
        (f"{CARGO} RUSTC_WRAPPER=/usr/bin/sccache cargo build --locked", {"cargo-sccache"}),
        (f"ENV RUSTC_WRAPPER=sccache\n{CARGO} cargo fetch --locked", set()),
        (
            f"ENV SCCACHE_DIR=/s RUSTC_WRAPPER=sccache\n{CARGO} {SCCACHE} cargo build --locked",
            set(),
        ),
        ("ADD https://example.org/a.git#v1 /a", {"add-checksum"}),
        (f"ADD https://example.org/a.git#{'0' * 40} /a", set()),
        (f"ADD --checksum=sha256:{'0' * 64} https://example.org/a /a", set()),
        ("ADD a.tar https://example.org/b /a/", {"add-checksum"}),
        ("COPY --from=debian:13 / /", {"copy-from-alias"}),
        ("RUN --mount=from=debian:13,target=/d true", {"copy-from-alias"}),
    ],
)
def test_rules_report_only_faults(text: str, expected: set[str], tmp_path: Path) -> None:
    """A cache above a tool's directory, a directory set by ENV, and a commit are no faults."""
    found = findings(tmp_path, f"FROM debian:13 AS a\n{text}\n")
    assert {one.rule for one in found} == expected
