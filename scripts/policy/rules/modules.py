"""Rules on steps that download modules: Go and pip."""

import re
from collections.abc import Iterator

from scripts.dockerfile.project import Project, Step
from scripts.policy import commands
from scripts.policy.commands import Purpose
from scripts.policy.rule import Fault, Scope, rule, step_rule

_PIP_CACHE = "/root/.cache/pip"


@step_rule("Without them, Go downloads and compiles everything again.", Scope.ANY)
def go_mounts(_project: Project, step: Step) -> Iterator[Fault]:
    """A step that runs Go has cache mounts for its modules and, if it compiles, its build cache."""
    path = step.environment.get("GOPATH", "/go")
    modules = step.environment.get("GOMODCACHE", f"{path}/pkg/mod")
    objects = step.environment.get("GOCACHE", "/root/.cache/go-build")
    for purpose, directory, verb in (
        (Purpose.GO_DOWNLOAD, modules, "downloads modules"),
        (Purpose.GO_COMPILE, modules, "compiles"),
        (Purpose.GO_COMPILE, objects, "compiles"),
    ):
        command = commands.first(step, purpose)
        if command and not step.has_cache_at(directory):
            yield command, f"go {verb} without a cache mount at {directory}"


@rule("If the step has the sources, every edit downloads the modules again.", Scope.PROJECT)
def go_modules_first(project: Project) -> Iterator[Fault]:
    """`go mod download` runs with go.mod and go.sum only, before the sources are copied."""
    for step in project.steps:
        if not any(map(commands.builds_go_tree, step.commands)):
            continue
        download = _module_download(project, step)
        if not download:
            yield step.run, "go builds a tree, and no step before it downloads its modules"
            continue
        for source in _sources(project, download):
            if not re.search(r"(^|/)(go\.(mod|sum|work|work\.sum)|[\w.-]+\.sh)$", source):
                yield download.run, f"`{source or '.'}` is in the step of `go mod download`"


def _module_download(project: Project, step: Step) -> Step | None:
    """Return the step that downloads the modules for a step, which may be the step itself."""
    earlier = [*project.before(step.stage, step.run), step.run]
    downloads = (
        other
        for other in project.steps
        if any(other.run is run for run in earlier)
        and any(command.argv[1:3] == ("mod", "download") for command in other.commands)
    )
    return next(downloads, None)


def _sources(project: Project, step: Step) -> Iterator[str]:
    """Yield the files of the build context that a step and its earlier instructions use."""
    for instruction in project.before(step.stage, step.run):
        if instruction.name in {"COPY", "ADD"} and not instruction.flag("from"):
            yield from instruction.arguments[:-1]
    for mount in step.run.mounts:
        if mount.type == "bind" and not mount.get("from"):
            yield mount.source


@step_rule("Without it, every build downloads the packages again.", Scope.ANY)
def pip_mount(_project: Project, step: Step) -> Iterator[Fault]:
    """A step that runs pip or uv has a cache mount for it."""
    command = commands.first(step, Purpose.PIP)
    named = any(re.search(r"/(pip|uv)(/|$)", mount.target) for mount in step.caches())
    if command and not named and not step.has_cache_at(_PIP_CACHE):
        yield command, f"{command.shown} runs without a cache mount at pip's directory"
