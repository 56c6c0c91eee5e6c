"""Rules on what fetches modules: Go and pip."""

import re
from collections.abc import Iterator

from scripts.dockerfile.project import Project, Step
from scripts.policy import commands
from scripts.policy.commands import Kind
from scripts.policy.rule import Fault, rule, step_rule

_GOMOD, _GOBUILD = "/go/pkg/mod", "/root/.cache/go-build"


@step_rule("Go downloads and compiles everything anew without them")
def go_mounts(_project: Project, step: Step) -> Iterator[Fault]:
    """Go steps have the module cache, and where they compile the build cache."""
    for wanted, folder, words in (
        (Kind.GO_FETCH, _GOMOD, "fetches modules"),
        (Kind.GO, _GOMOD, "compiles"),
        (Kind.GO, _GOBUILD, "compiles"),
    ):
        found = commands.first(step, wanted)
        if found and folder not in {mount.target for mount in step.caches()}:
            yield found, f"go {words} without a cache mount at {folder}"


@rule("with the sources in first, every edit downloads the modules again")
def go_modules_first(project: Project) -> Iterator[Fault]:
    """`go mod download` runs on go.mod and go.sum alone, before the sources come in."""
    for step in project.steps:
        if not any(map(commands.builds_go_tree, step.commands)):
            continue
        earlier = [*project.before(step.place, step.run), step.run]
        fetches = [
            other
            for other in project.steps
            if any(other.run is one for one in earlier)
            and any(c.words[1:3] == ("mod", "download") for c in other.commands)
        ]
        if not fetches:
            yield step.run, "go builds a tree whose modules no step before has downloaded"
            continue
        fetch = fetches[0]
        brought = [
            word
            for one in project.before(fetch.place, fetch.run)
            if one.name in {"COPY", "ADD"} and not one.flag("from")
            for word in one.words[:-1]
        ] + [m.source for m in fetch.run.mounts if m.kind == "bind" and not m.get("from")]
        for source in brought:
            if not re.search(r"(^|/)(go\.(mod|sum|work|work\.sum)|[\w.-]+\.sh)$", source):
                yield fetch.run, f"`{source or '.'}` is in before `go mod download` runs"


@step_rule("wheels are fetched again by every build that has no place to keep them")
def pip_mount(_project: Project, step: Step) -> Iterator[Fault]:
    """Pip and uv have a cache mount."""
    found = commands.first(step, Kind.PIP)
    if found and not any(re.search(r"/(pip|uv)(/|$)", mount.target) for mount in step.caches()):
        yield found, f"`{' '.join(found.words[:3])}` runs without a cache mount at pip's folder"
