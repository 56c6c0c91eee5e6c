"""The builder of a build: whether it answers, and its identity for comparisons of builds.

buildx takes the name of the builder from BUILDX_BUILDER, which `--builder` sets.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct

from scripts.core import process
from scripts.core.console import UserError

STARTED_BY_BUILDX = frozenset({"docker-container", "kubernetes"})
"""The drivers whose BuildKit buildx starts when a build begins."""
INSPECT_SECONDS = 40
"""The timeout of `docker buildx inspect`; buildx itself stops waiting for a node after 20 s."""
COMPILER_CACHE = "/ccache"
"""The directory at which the Dockerfiles mount the compiler cache."""


class Builder(Struct, frozen=True):
    """A buildx builder and its compiler cache."""

    name: str = ""
    endpoint: str = ""
    state: str = ""
    """An identifier that changes if the builder loses its data; empty if it is unknown."""
    cache_created: datetime | None = None
    """The time at which the builder created the compiler cache; None if it is unknown."""


@dataclass(frozen=True)
class Inspected:
    """A builder, as `docker buildx inspect` describes it."""

    name: str
    driver: str
    endpoints: Sequence[str]
    answers: bool
    """Whether one of its nodes runs, or buildx starts them when a build begins."""
    error: str = ""
    """What buildx printed if it knows no such builder."""
    platforms: frozenset[str] = frozenset()
    """The platforms whose programs its nodes run, such as `linux/arm64`."""

    @property
    def in_engine(self) -> bool:
        """Whether it is the engine's own BuildKit, whose images are in the engine at once."""
        return self.driver == "docker"


def inspect(name: str = "") -> Inspected:
    """Return the builder with a name; by default the one that buildx uses."""
    names = [name] if name else []
    done = process.run("docker", "buildx", "inspect", *names, timeout=INSPECT_SECONDS)
    values = _fields(done.stdout)
    (driver,) = values.get("Driver", [""])[:1]
    states = values.get("Status", [])
    return Inspected(
        name=name or values.get("Name", [""])[0],
        driver=driver,
        endpoints=values.get("Endpoint", []),
        platforms=frozenset(re.findall(r"[^\s,*]+", " ".join(values.get("Platforms", [])))),
        answers="running" in states or (driver in STARTED_BY_BUILDX and "Error" not in values),
        error=done.stderr.strip() if done.returncode else "",
    )


def require(name: str = "") -> Inspected:
    """Return the builder with a name; by default the one that buildx uses.

    Raises:
        UserError: there is no such builder, or it does not answer.
    """
    found = inspect(name)
    if found.error:
        raise UserError(
            "cannot use this builder",
            found.error.splitlines()[-1].removeprefix("ERROR: "),
            "`docker buildx ls` lists the builders; docs/scale.md shows how to create one.",
        )
    if not found.answers:
        raise UserError(
            f"the builder `{found.name}` does not answer",
            f"no BuildKit runs at {' or '.join(found.endpoints) or 'its address'}",
            "Start its buildkitd, or choose another builder: `docker buildx ls` lists them.",
        )
    return found


def _fields(inspected: str) -> Mapping[str, list[str]]:
    """Return the values in the output of `docker buildx inspect` by name, in their order."""
    values: dict[str, list[str]] = {}
    for name, value in re.findall(r"^\s*([\w.-]+):[ \t]+(\S.*)$", inspected, re.MULTILINE):
        values.setdefault(name, []).append(value.strip())
    return values


def identify(namespace: str = "") -> Builder:
    """Return the builder that buildx uses, after a build in a namespace of cache mounts.

    Fields that cannot be determined are empty, so that a build does not fail because of them.
    """
    values = _fields(process.output("docker", "buildx", "inspect"))
    if values.get("Driver") == ["docker"]:
        state = process.output("docker", "info", "--format", "{{.ID}}").strip()
    else:  # the name of the host that BuildKit runs on, such as its container
        state = " ".join(values.get("org.mobyproject.buildkit.worker.hostname", []))
    mounts = process.output(
        "docker", "buildx", "du", "--verbose", "--filter", "type=exec.cachemount"
    )
    return Builder(
        name=values.get("Name", [""])[0],
        endpoint=" ".join(values.get("Endpoint", [])),
        state=state,
        cache_created=cache_created(mounts, namespace),
    )


def cache_created(listing: str, namespace: str) -> datetime | None:
    """Return the creation time of the compiler cache, from `docker buildx du --verbose`.

    Cache mounts of other namespaces are skipped. If there are several, such as one per
    architecture, the time of the oldest is returned.
    """
    created = []
    for entry in re.split(r"^(?=ID:\s)", listing, flags=re.MULTILINE):
        mounted = re.search(r"^Description:\s+cached mount (\S+) from ", entry, re.MULTILINE)
        identifier = re.search(r' with id "([^"/]*)/[^"]*"$', entry, re.MULTILINE)
        time = re.search(r"^Created at:\s+(\S+) (\S+) \+0000 UTC$", entry, re.MULTILINE)
        if not (mounted and identifier and time):
            continue
        if (mounted[1], identifier[1]) == (COMPILER_CACHE, namespace):
            created.append(datetime.fromisoformat(f"{time[1]}T{time[2]}+00:00"))
    return min(created, default=None)
