"""Rules on the mounts of a step."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch

from scripts.dockerfile.parser import Mount
from scripts.dockerfile.project import Project, Step
from scripts.policy.rule import Fault, Scope, rule, step_rule

_SHORTEST_PATTERN = 3
"""The minimum length of a file name pattern in a script, without its `*` and `.`."""
_WRITABLE_BY_ALL = 0o002


@step_rule("Without an id, projects with the same path share the mount.", Scope.ANY)
def mount_id(project: Project, step: Step) -> Iterator[Fault]:
    """Each cache mount has an id, whose variables the stage declares."""
    for mount in step.caches():
        if not mount.get("id"):
            yield step.run, f"the cache mount at {mount.target} has no id"
        for name in re.findall(r"\$\{?(\w+)", mount.get("id")):
            if not project.declares(step.stage, step.run, name):
                yield step.run, f"the id `{mount.get('id')}` reads {name}, which no ARG or ENV sets"


@rule("Where options differ, BuildKit may give a step a new, empty cache.", Scope.ANY)
def mount_agrees(project: Project) -> Iterator[Fault]:
    """All cache mounts of one id have the same sharing mode, uid, gid and mode."""
    first_uses: dict[str, tuple[Step, Mount]] = {}
    for step in project.steps:
        for mount in step.caches():
            name = mount.get("id")
            if not name:
                continue
            first_step, first = first_uses.setdefault(name, (step, mount))
            location = f"{first_step.run.file}:{first_step.run.line}"
            for option in ("sharing", "uid", "gid", "mode"):
                here, there = mount.get(option) or "none", first.get(option) or "none"
                if here != there:
                    values = f"{option}={here} here and {option}={there} in {location}"
                    yield step.run, f"`{name}` has {values}"


@step_rule("The step cannot write to the cache of another user.", Scope.ANY)
def mount_owner(_project: Project, step: Step) -> Iterator[Fault]:
    """The cache mounts of a step that does not run as root have its uid and gid."""
    user, _, group = step.user.partition(":")
    if user in {"", "0", "root"}:
        return
    for mount in step.caches():
        if _is_writable_by_all(mount):
            continue
        for option, required in (("uid", user), ("gid", group or user)):
            owner = mount.get(option)
            if not owner or (required.isdigit() and owner != required):
                yield step.run, f"it runs as {step.user}, {mount.target} has {option}={owner or 0}"


def _is_writable_by_all(mount: Mount) -> bool:
    mode = mount.get("mode")
    return bool(re.fullmatch(r"[0-7]+", mode)) and bool(int(mode, 8) & _WRITABLE_BY_ALL)


@step_rule("An edit of an unread file would run the step again.", Scope.PROJECT)
def context_narrow(project: Project, step: Step) -> Iterator[Fault]:
    """A step mounts only files of the checkout that it reads, or directories of them."""
    for mount in step.run.mounts:
        if mount.type != "bind" or mount.get("from") or mount.source in project.texts:
            continue
        directory = f"{mount.source}/" if mount.source not in {"", "."} else ""
        files = [path for path in project.texts if path.startswith(directory)]
        unread = [path for path in files if not _reads(step, path)]
        if not files:
            yield step.run, f"it mounts {mount.source}, which is not in the checkout"
        elif unread or not directory:
            name = (unread or ["every other file"])[0]
            yield step.run, f"it mounts `{directory or '.'}` and does not run or read {name}"


def _reads(step: Step, path: str) -> bool:
    """Whether a step runs a file, or a script names it, directly or by a pattern."""
    if path in {script.file for script in step.scripts}:
        return True
    name = path.rpartition("/")[2]
    patterns = (path.rpartition("/")[2] for path in re.findall(r"[\w.*/-]+", step.text))
    return any(
        fnmatch(name, pattern)
        for pattern in patterns
        if len(pattern.strip("*.")) >= _SHORTEST_PATTERN
    )
