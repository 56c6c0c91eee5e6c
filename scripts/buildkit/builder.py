"""Identify the builder of a build, so that only builds with the same cache are compared."""

import re
from datetime import datetime

from msgspec import Struct

from scripts.core import process

COMPILER_CACHE = "/ccache"
"""Where the Dockerfiles mount the cache of the compilers."""


class Builder(Struct, frozen=True):
    """A builder of buildx, and the state of its compiler cache."""

    name: str = ""
    endpoint: str = ""
    state: str = ""
    """An identifier that is new whenever the builder's data is; empty if it is unknown."""
    cache_created: datetime | None = None
    """When the builder created the cache mount of the compilers; None if that is unknown."""


def identify(namespace: str = "") -> Builder:
    """Return the builder that buildx uses, after a build in a namespace of cache mounts.

    What cannot be found out is left empty: this is never a reason for a build to fail.
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
    """Return when the compiler cache was created, from `docker buildx du --verbose`.

    Cache mounts of other namespaces are skipped. If there are several, such as one per
    architecture, the oldest counts.
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
