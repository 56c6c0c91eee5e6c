"""Check Dockerfiles that tests write."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.dockerfile import project
from scripts.dockerfile.project import Project, Step
from scripts.policy.check import check
from scripts.policy.rule import Finding


def foreign_project(directory: Path, text: str, files: Mapping[str, str] | None = None) -> Project:
    """Write a Dockerfile and other files; parse them as files of another project."""
    for path, content in {"Dockerfile": text, **(files or {})}.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(content)
    return project.of_files([str(directory / "Dockerfile")])


def only_step(directory: Path, text: str, files: Mapping[str, str] | None = None) -> Step:
    """Return the step of a Dockerfile that has one RUN."""
    (step,) = foreign_project(directory, text, files).steps
    return step


def findings(
    directory: Path, text: str, files: Mapping[str, str] | None = None
) -> Sequence[Finding]:
    """Return the findings in a Dockerfile of another project."""
    return check(foreign_project(directory, text, files))
