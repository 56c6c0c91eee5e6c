"""Rules on steps that run apt."""

import re
from collections.abc import Iterator

from scripts.dockerfile.parser import Mount
from scripts.dockerfile.project import Project, Step
from scripts.policy import commands
from scripts.policy.commands import Purpose
from scripts.policy.rule import Fault, Scope, step_rule

_ARCHIVES, _LISTS = "/var/cache/apt", "/var/lib/apt"
_RELEASES = re.compile(
    r"(?<![a-z])(bookworm|bullseye|buster|forky|sid|stable|testing|trixie|unstable"
    r"|focal|jammy|noble|plucky|questing|resolute|(?:debian|ubuntu)-?\d[\d.]*)(?![a-z])"
)
_CLEANED = re.compile(rf"({_LISTS}(/lists)?|{_ARCHIVES}(/archives)?)(/|$)")
_CLEAN_VERBS = {"autoclean", "clean", "distclean"}


def _apt_mounts(step: Step) -> Iterator[Mount]:
    return (mount for mount in step.caches() if mount.target in {_ARCHIVES, _LISTS})


@step_rule("Without them, every build downloads the packages again.", Scope.ANY)
def apt_mounts(_project: Project, step: Step) -> Iterator[Fault]:
    """A step that runs apt has cache mounts at `/var/cache/apt` and `/var/lib/apt`."""
    command = commands.first(step, Purpose.APT)
    if not command:
        return
    for directory in (_ARCHIVES, _LISTS):
        if not step.has_cache_at(directory):
            yield command, f"apt runs without a cache mount at {directory}"


@step_rule("Without the lock, apt fails in steps that run at the same time.", Scope.ANY)
def apt_locked(_project: Project, step: Step) -> Iterator[Fault]:
    """The cache mounts of apt have `sharing=locked`."""
    for mount in _apt_mounts(step):
        if mount.get("sharing") != "locked":
            yield step.run, f"the mount at {mount.target} is not sharing=locked"


@step_rule("Packages of two releases or architectures would replace each other.", Scope.ANY)
def apt_id(project: Project, step: Step) -> Iterator[Fault]:
    """The ids of apt's cache mounts contain the release and the architecture of the stage.

    The architecture is `$BUILDARCH` in a stage with `--platform=$BUILDPLATFORM`, and `$TARGETARCH`
    in others.
    """
    variable = "BUILDARCH" if project.is_on_build_machine(step.stage) else "TARGETARCH"
    for mount in _apt_mounts(step):
        name = mount.get("id")
        if name and not (_RELEASES.search(name) and variable in name):
            yield step.run, f"the id `{name}` does not contain both the release and ${variable}"


@step_rule("Debian's and Ubuntu's images delete downloaded packages by default.", Scope.ANY)
def apt_keeps_packages(project: Project, step: Step) -> Iterator[Fault]:
    """docker-clean is disabled and `Keep-Downloaded-Packages` is set before apt runs on a mount."""
    command = commands.first(step, Purpose.APT)
    if not command or not any(_apt_mounts(step)):
        return
    earlier = project.before(step.stage, step.run)
    text = step.text + "\n".join(instruction.source for instruction in earlier)
    disabled = re.search(r"docker-clean|#clear DPkg::Post-Invoke", text)
    if not disabled or "Keep-Downloaded-Packages" not in text:
        yield step.run, f"`{' '.join(command.argv[:2])}` runs with docker-clean still in place"


@step_rule("Other steps would download the contents again.", Scope.ANY)
def apt_no_cleanup(_project: Project, step: Step) -> Iterator[Fault]:
    """A step with apt's cache mounts neither deletes their contents nor runs `apt-get clean`."""
    if not any(_apt_mounts(step)):
        return
    for command in step.commands:
        deletes = command.program == "rm" and any(map(_CLEANED.match, command.argv))
        cleans = command.program in {"apt", "apt-get"} and _CLEAN_VERBS & set(command.argv)
        if deletes or cleans:
            shown = " ".join(command.argv)
            yield command, f"`{shown}` deletes what the mounts store for the next build"
