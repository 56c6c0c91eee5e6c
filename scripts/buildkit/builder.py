"""Identify the builder of a build, so that only builds with the same cache are compared."""

import re
from datetime import datetime

from msgspec import Struct

from scripts.core import process

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


def identify(namespace: str = "") -> Builder:
    """Return the builder that buildx uses, after a build in a namespace of cache mounts.

    Fields that cannot be determined are empty, so that a build does not fail because of them.
    """
    inspected = process.output("docker", "buildx", "inspect")
    fields = re.findall(r"^\s*([\w.-]+):[ \t]+(\S.*)$", inspected, re.MULTILINE)
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value.strip())
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
