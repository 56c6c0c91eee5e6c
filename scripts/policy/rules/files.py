"""Rules on complete files."""

import ast
import re
from collections.abc import Iterator

from scripts.dockerfile import shell
from scripts.dockerfile.project import Project
from scripts.policy.rule import Fault, Scope, rule


@rule("Older frontends lack the mounts that the files use.", Scope.PROJECT)
def syntax_line(project: Project) -> Iterator[Fault]:
    """The first line names `docker/dockerfile`, 1.7 or newer, by an exact release."""
    for path, file in project.files.items():
        release = re.fullmatch(
            r"docker/dockerfile:(\d+)\.(\d+)(?:\.\d+)?(?:@sha256:\w+)?", file.syntax
        )
        if not file.syntax:
            yield (path, 1), "there is no `# syntax=docker/dockerfile:1.7` line"
        elif not release or (int(release[1]), int(release[2])) < (1, 7):
            yield (
                (path, 1),
                f"the syntax line names {file.syntax}, not docker/dockerfile:1.7 or newer",
            )


@rule("A Dockerfile without a target is not built, tested or checked.", Scope.PROJECT)
def listed(project: Project) -> Iterator[Fault]:
    """Every Dockerfile of the checkout is in a bake file."""
    for path in project.texts:
        name = path.rsplit("/", 1)[-1]
        is_dockerfile = re.fullmatch(r"(.*\.)?(Dockerfile|Containerfile)(\..*)?", name)
        if is_dockerfile and path not in project.files:
            yield (path, 1), "no target of docker-bake.hcl is built from it"


@rule("The purpose of a stage is not obvious from its instructions.", Scope.PROJECT)
def stage_comment(project: Project) -> Iterator[Fault]:
    """A comment directly above each FROM begins with the stage's name and describes the stage."""
    for reference, stage in project.stages():
        above = project.files[reference.file].comment_above(stage.start.line)
        start = re.compile(rf"\s*#\s*{re.escape(stage.name)}\s", re.IGNORECASE)
        if not stage.is_named:
            yield stage.start, f"{stage.label} has no name, which a comment could describe"
        elif not any(map(start.match, above)):
            yield stage.start, f"no comment above it begins with `{stage.name}` and describes it"


@rule("The option also empties the cache mounts; use `--no-cache-filter`.", Scope.PROJECT)
def keeps_caches(project: Project) -> Iterator[Fault]:
    """No script, workflow or bake file builds with `--no-cache`."""
    for path, text in project.texts.items():
        for line in _uses(path, text, "--no-cache"):
            yield (path, line), "--no-cache empties the cache mounts; use --no-cache-filter"
    for name, target in project.targets.items():
        if target.no_cache:
            yield ("docker-bake.hcl", 1), f"target {name} sets no-cache, which empties cache mounts"


def _uses(path: str, text: str, option: str) -> Iterator[int]:
    """Yield the lines that pass an option to a program."""
    if option not in text:
        return
    if path.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and node.value == option and _runs_builds(path):
                yield node.lineno
    elif path.endswith((".yml", ".yaml")):
        pattern = re.compile(rf"(?<![\w-]){re.escape(option)}(?![\w-])")
        yield from (n for n, line in enumerate(text.splitlines(), 1) if pattern.search(line))
    elif path.endswith(".sh") or text.startswith("#!/bin/"):
        for command in shell.read(text, path).commands:
            if option in command.argv:
                yield command.line


def _runs_builds(path: str) -> bool:
    """Whether a Python file may run builds; the policy and its tests only name the option."""
    return not path.startswith(("scripts/policy/", "tests/unit/", "tests/mutants/"))


@rule("An unused exemption would hide the next violation on its line.", Scope.ANY)
def exemption_used(_project: Project) -> Iterator[Fault]:
    """Each exemption is needed.

    scripts/policy/check.py applies this rule, after all others.
    """
    yield from ()
