"""Rules on apt's steps."""

import re
from collections.abc import Iterator

from scripts.dockerfile.parser import Mount
from scripts.dockerfile.project import Project, Step
from scripts.policy import commands
from scripts.policy.commands import Kind
from scripts.policy.rule import Fault, step_rule

_ARCHIVES, _LISTS = "/var/cache/apt", "/var/lib/apt"
_RELEASES = re.compile(
    r"(?<![a-z])(bookworm|bullseye|buster|forky|sid|stable|testing|trixie|unstable"
    r"|focal|jammy|noble|plucky|questing|resolute|(?:debian|ubuntu)-?\d[\d.]*)(?![a-z])"
)


def _apt_mounts(step: Step) -> Iterator[Mount]:
    return (m for m in step.caches() if m.target in {_ARCHIVES, _LISTS})


@step_rule("without them every build fetches the index and each package again")
def apt_mounts(_project: Project, step: Step) -> Iterator[Fault]:
    """Each apt step has cache mounts at both of apt's folders."""
    found = commands.first(step, Kind.APT)
    if not found:
        return
    for folder in (_ARCHIVES, _LISTS):
        if folder not in {mount.target for mount in step.caches()}:
            yield found, f"apt runs without a cache mount at {folder}"


@step_rule("apt wants its folders for itself: two steps at once would fail or fetch twice")
def apt_locked(_project: Project, step: Step) -> Iterator[Fault]:
    """Both apt mounts are locked."""
    for mount in _apt_mounts(step):
        if mount.get("sharing") != "locked":
            yield step.run, f"the mount at {mount.target} is not sharing=locked"


@step_rule("packages of another release or architecture under one id spoil each other")
def apt_id(_project: Project, step: Step) -> Iterator[Fault]:
    """The ids of apt mounts carry the distribution and the architecture."""
    for mount in _apt_mounts(step):
        name = mount.get("id")
        if name and not (_RELEASES.search(name) and "TARGETARCH" in name):
            yield step.run, f"the id `{name}` does not carry both the release and $TARGETARCH"


@step_rule("the stock images delete each package after its installation, so the mount stays empty")
def apt_keeps_packages(project: Project, step: Step) -> Iterator[Fault]:
    """docker-clean is out of the way before apt first runs on a mount."""
    found = commands.first(step, Kind.APT)
    if not found or not any(_apt_mounts(step)):
        return
    earlier = project.before(step.place, step.run)
    read = step.text + "\n".join(one.source for one in earlier)
    hook = re.search(r"docker-clean|#clear DPkg::Post-Invoke", read)
    if not hook or "Keep-Downloaded-Packages" not in read:
        yield step.run, f"`{' '.join(found.words[:2])}` runs with docker-clean still in place"


@step_rule("a list thrown away is fetched again, by every step that shares the mount")
def apt_no_cleanup(_project: Project, step: Step) -> Iterator[Fault]:
    """Nothing clears what the apt mounts keep."""
    for command in step.commands:
        clears = command.program == "rm" and any(
            re.match(rf"({_LISTS}(/lists)?|{_ARCHIVES}(/archives)?)(/|$)", w) for w in command.words
        )
        cleans = command.program in {"apt", "apt-get"} and {
            "clean",
            "autoclean",
            "distclean",
        } & set(command.words)
        if clears or cleans:
            yield (
                command,
                f"`{' '.join(command.words)}` clears what the mounts keep for the next build",
            )
