"""Rules on the mounts of a step."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from scripts.dockerfile.project import Project, Step
from scripts.policy.rule import Fault, rule, step_rule

if TYPE_CHECKING:
    from scripts.dockerfile.parser import Mount


@step_rule("without one the id is the path, which other files and releases share by accident")
def mount_id(project: Project, step: Step) -> Iterator[Fault]:
    """Each cache mount has an explicit id, of arguments that its stage declares."""
    for mount in step.caches():
        if not mount.get("id"):
            yield step.run, f"the cache mount at {mount.target} has no id"
        for name in re.findall(r"\$\{?(\w+)", mount.get("id")):
            if not project.declares(step.place, step.run, name):
                yield step.run, f"the id `{mount.get('id')}` reads {name}, which no ARG declares"


@rule("BuildKit gives a busy record's second user a new, empty one if they do not agree")
def mount_agrees(project: Project) -> Iterator[Fault]:
    """One id has one sharing mode, owner and mode in all files."""
    seen: dict[str, tuple[Step, Mount]] = {}
    for step in project.steps:
        for mount in step.caches():
            if not mount.get("id"):
                continue
            first_step, first = seen.setdefault(mount.get("id"), (step, mount))
            there = f"{first_step.run.file}:{first_step.run.line}"
            for option in ("sharing", "uid", "gid", "mode"):
                mine, theirs = mount.get(option) or "none", first.get(option) or "none"
                if mine != theirs:
                    where = f"{option}={mine} here and {option}={theirs} in {there}"
                    yield step.run, f"`{mount.get('id')}` has {where}"


@step_rule("a mount that its user cannot write to caches nothing")
def mount_owner(_project: Project, step: Step) -> Iterator[Fault]:
    """The mounts of a step that does not run as root carry its user."""
    user, _, group = step.user.partition(":")
    if user in {"", "0", "root"}:
        return
    for mount in step.caches():
        for option, wanted in (("uid", user), ("gid", group or user)):
            owner = mount.get(option)
            if not owner or (wanted.isdigit() and owner != wanted):
                yield step.run, f"it runs as {step.user}, {mount.target} has {option}={owner or 0}"


@step_rule("an edit of a file that a step never reads would run it anew")
def context_narrow(project: Project, step: Step) -> Iterator[Fault]:
    """A step mounts files of the checkout that it reads, and directories of such files only."""
    for mount in step.run.mounts:
        if mount.kind != "bind" or mount.get("from") or mount.source in project.texts:
            continue
        folder = f"{mount.source}/" if mount.source not in {"", "."} else ""
        files = [path for path in project.texts if path.startswith(folder)]
        unread = [path for path in files if not _reads(step, path)]
        if not files:
            yield step.run, f"it mounts {mount.source}, which is not in the checkout"
        elif unread or not folder:
            name = (unread or ["all the rest"])[0]
            yield step.run, f"it mounts `{folder or '.'}` and does not run or read {name}"


def _reads(step: Step, path: str) -> bool:
    """Whether a step runs a file, or one of its scripts names it, as `Cargo.*` names Cargo.lock."""
    name = path.rpartition("/")[2]
    words = (word.rpartition("/")[2] for word in re.findall(r"[\w.*/-]+", step.text))
    return path in {script.file for script in step.scripts} or any(
        fnmatch(name, word)
        for word in words
        if len(word.strip("*.")) > 2  # noqa: PLR2004
    )
