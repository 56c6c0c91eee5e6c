"""Rules on files as a whole."""

import ast
import re
from collections.abc import Iterator

from scripts.dockerfile import shell
from scripts.dockerfile.project import Project
from scripts.policy.rule import Fault, rule


@rule("an older frontend than 1.7 knows other mounts than this one")
def syntax_line(project: Project) -> Iterator[Fault]:
    """The first line names docker/dockerfile, 1.7 or newer, by an exact release."""
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


@rule("a Dockerfile that no bake file names is built, tested and checked by nobody")
def listed(project: Project) -> Iterator[Fault]:
    """Every Dockerfile of the checkout is in a bake file."""
    if not project.targets:
        return
    for path in project.texts:
        name = path.rsplit("/", 1)[-1]
        if (
            re.match(r"(.*\.)?(Dockerfile|Containerfile)(\..*)?$", name)
            and path not in project.files
        ):
            yield (path, 1), "no target of docker-bake.hcl is built from it"


@rule("a reader finds in one line why a stage exists")
def stage_comment(project: Project) -> Iterator[Fault]:
    """A comment right above each FROM begins with the stage's name."""
    for (path, name), stage in project.places():
        above = project.files[path].comment_above(stage.start.line)
        if not any(re.match(rf"\s*#\s*{re.escape(name)}\s", line, re.IGNORECASE) for line in above):
            yield stage.start, f"no comment above it begins with `{name}` and says what it is for"


@rule("an empty cache costs more than the build that asked for it")
def keeps_caches(project: Project) -> Iterator[Fault]:
    """Nothing builds with --no-cache, which empties cache mounts too."""
    for path, text in project.texts.items():
        for line in _passes(path, text, "--no-cache"):
            yield (path, line), "--no-cache empties the cache mounts; use --no-cache-filter"
    for name, target in project.targets.items():
        if target.get("no-cache"):
            yield ("docker-bake.hcl", 1), f"target {name} sets no-cache, which empties cache mounts"


def _passes(path: str, text: str, word: str) -> Iterator[int]:
    """Yield the lines on which a program passes a word to another."""
    if word not in text:
        return
    if path.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and node.value == word and _is_argument(path):
                yield node.lineno
    elif path.endswith((".yml", ".yaml")):
        pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
        yield from (n for n, line in enumerate(text.splitlines(), 1) if pattern.search(line))
    elif path.endswith(".sh") or text.startswith("#!/bin/"):
        for command in shell.read(text, path).commands:
            if word in command.words:
                yield command.line


def _is_argument(path: str) -> bool:
    """Whether a word in this file is passed on: the policy itself only speaks of it."""
    return not path.startswith(("scripts/policy/", "tests/unit/", "tests/mutants/"))


@rule("an exemption that outlives its line hides the next fault")
def exemption_used(_project: Project) -> Iterator[Fault]:
    """Each exemption is needed; scripts.policy.check finds those that are not."""
    yield from ()
