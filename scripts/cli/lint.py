"""`nox -s lint`: every check that needs no Docker engine.

.pre-commit-config.yaml calls the same command, `python -m scripts.cli lint`.
"""

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core import git, process
from scripts.core.console import UserError, say
from scripts.core.paths import ROOT

DICTIONARY = ".codespell/dictionary.txt"
"""The words that the documents avoid, for codespell, whose built-in dictionary is `-`."""
DOCUMENTS = ("*.md", ":!.github", ":!docs/notes")
SHELL = ("*.sh", ".ci/run")
KUBERNETES = ("docker/kubernetes/*.yaml",)
GO = ("server/*.go",)
GENERATED_GO = (".pb.go",)
WORKFLOWS = (".github/workflows/*.yml",)
ACTIONLINT = ("go", "run", "-C", ".github/tools", "github.com/rhysd/actionlint/cmd/actionlint")
"""The command of actionlint, whose PyPI package fetches the program from elsewhere."""


@dataclass(frozen=True)
class Check:
    """A tool, and the files that it checks."""

    name: str
    command: Sequence[str]
    files: Sequence[Path] | None = None
    """The files to append to the command; None if the tool lists its files itself."""
    required: bool = True
    """Whether the tool must be installed; the nox session installs all required tools."""


def checks() -> list[Check]:
    """Return every check, the quick ones first."""
    shell = git.tracked(*SHELL)
    documents = git.tracked(*DOCUMENTS)
    python = sys.executable
    return [
        Check("ruff", ("ruff", "check")),
        Check("ruff format", ("ruff", "format", "--check")),
        Check("import-linter", ("lint-imports",)),
        Check("mypy", ("mypy",)),
        Check("codespell", ("codespell", "--dictionary=-", f"--dictionary={DICTIONARY}")),
        Check("shellcheck", ("shellcheck", "--external-sources", "--source-path=SCRIPTDIR"), shell),
        Check("shfmt", ("shfmt", "--diff"), shell),
        Check("hadolint", ("hadolint",), git.dockerfiles()),
        Check("pymarkdown", ("pymarkdown", "scan"), documents),
        Check("cog", (python, "-m", "cogapp", "--check", "-P"), _with_generated_tables(documents)),
        Check("kubernetes-validate", ("kubernetes-validate", "--strict"), git.tracked(*KUBERNETES)),
        Check("zizmor", ("zizmor", "--offline", "--quiet", ".")),
        Check("actionlint", ACTIONLINT, _absolute(git.tracked(*WORKFLOWS)), required=False),
        Check("gofmt", ("gofmt", "-l"), _handwritten_go(), required=False),
    ]


def _with_generated_tables(documents: Sequence[Path]) -> list[Path]:
    return [path for path in documents if "[[[cog" in (ROOT / path).read_text()]


def _handwritten_go() -> list[Path]:
    return [path for path in git.tracked(*GO) if not path.name.endswith(GENERATED_GO)]


def _absolute(paths: Sequence[Path]) -> list[Path]:
    """Return the absolute paths of files, for a program that runs in another directory."""
    return [ROOT / path for path in paths]


def failed(check: Check) -> bool:
    """Run a check, print what it reports, and return whether it failed.

    Raises:
        UserError: there is no file to check, or a required tool is missing.
    """
    if check.files is not None and not check.files:
        raise UserError(
            f"{check.name} has nothing to check",
            "git lists no such file",
            "Run `nox -s lint` in the checkout, or remove the check from scripts/cli/lint.py.",
        )
    began = time.monotonic()
    done = process.run(*check.command, *map(str, check.files or ()), cwd=ROOT)
    if done.returncode == process.NOT_FOUND:
        if check.required:
            raise UserError(f"cannot run {check.name}", done.stderr, "Run `nox -s lint`.")
        say(f"{check.name}: skipped, as it is not installed")
        return False
    # gofmt lists the files that it would change, and still exits with 0.
    has_failed = bool(done.returncode) or (check.name == "gofmt" and bool(done.stdout.strip()))
    say(f"{check.name}: {'FAILED' if has_failed else 'clean'} in {time.monotonic() - began:.1f} s")
    if has_failed:
        say(f"{done.stdout}{done.stderr}".rstrip())
    return has_failed


def run(_options: Namespace) -> int:
    """Run every check; return 1 if any fails.

    Raises:
        UserError: a check has no files, or a required tool is missing.
    """
    results = [failed(check) for check in checks()]
    return int(any(results))
