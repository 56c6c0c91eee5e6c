"""The cache mounts of the builder, and the cache mounts that the Dockerfiles declare."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from scripts.buildkit.rawjson import read_size
from scripts.core import process
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.dockerfile.parser import Mount
from scripts.dockerfile.project import Project
from scripts.engine import client

PREFIX = "vmaf-"
"""The prefix of the ids of the project's cache mounts; no others are pruned."""

_FIELDS = (
    "ID|Parents?|Created at|Mutable|Reclaimable|Shared|Size|Description|Usage count|Last used|Type"
)
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "month": timedelta(days=30),
    "year": timedelta(days=365),
}


@dataclass(frozen=True)
class CacheMount:
    """A cache mount that the builder has."""

    record: str
    """BuildKit's id of the record."""
    namespace: str
    """The namespace of the mount (`--namespace`); empty for the default one."""
    id: str
    """The id in the Dockerfile, with its variables replaced."""
    directory: str
    """The directory at which a step first mounted it."""
    size: int
    """In bytes."""
    measured: bool
    """Whether `size` is the current size on disk; otherwise it is BuildKit's last count."""
    last_used: str
    """As BuildKit prints it: `2 hours ago`."""
    uses: int
    """The number of steps that have mounted it."""

    @property
    def name(self) -> str:
        """The id, after the namespace if there is one."""
        return f"{self.namespace}/{self.id}" if self.namespace else self.id

    @property
    def unused(self) -> timedelta:
        """The minimum time since its last use; zero if BuildKit does not print it."""
        match = re.match(r"(\d+|An?|About an?) (month|year|[smhdw])", self.last_used)
        if not match:
            return timedelta()
        return _UNITS[match[2]] * (int(match[1]) if match[1].isdigit() else 1)

    @property
    def belongs_to_project(self) -> bool:
        """Whether it belongs to this project."""
        return self.id.startswith(PREFIX)


@dataclass(frozen=True)
class DeclaredMount:
    """A cache mount that a Dockerfile declares."""

    id: str
    """The id with its variables, such as `vmaf-ccache-$TARGETARCH`."""
    mount: Mount

    @property
    def options(self) -> str:
        """The options of `RUN --mount`; other options would give a new, empty cache."""
        return ",".join(f"{k}={v}" if v else k for k, v in self.mount.options.items())

    def matches(self, existing: CacheMount) -> bool:
        """Return whether an existing mount has this id, for any values of the variables."""
        parts = re.split(r"\$\{?\w+\}?", self.id)
        return bool(re.fullmatch(r"\w+".join(map(re.escape, parts)), existing.id))


def declared(project: Project) -> list[DeclaredMount]:
    """Return the cache mounts of all steps, one mount per id."""
    mounts = {
        mount.get("id"): mount
        for _, stage in project.stages()
        for run in stage.instructions
        for mount in run.mounts
        if mount.type == "cache" and mount.get("id")
    }
    return [DeclaredMount(name, mount) for name, mount in sorted(mounts.items())]


def read_du(text: str) -> list[CacheMount]:
    """Read the cache mounts from the output of `docker buildx du --verbose`.

    buildx 0.13 has no machine-readable output. A description is the complete command of the step,
    which may have several lines, even empty ones.
    """
    mounts = []
    for part in re.split(r"^(?=ID:\s)", text, flags=re.MULTILINE)[1:]:
        pieces = re.split(rf"^({_FIELDS}):[ \t]*", part, flags=re.MULTILINE)[1:]
        fields: dict[str, str] = {}
        for name, value in zip(pieces[::2], pieces[1::2], strict=True):
            fields.setdefault(name, value.strip())  # the totals follow the last record
        description = fields.get("Description", "")
        created = re.match(r"cached mount (\S+) from ", description)
        if fields.get("Type") != "exec.cachemount" or not created:
            continue
        with_id = re.search(r' with id "([^"]*)"$', description)
        namespace, _, identifier = (with_id[1] if with_id else f"/{created[1]}").partition("/")
        mounts.append(
            CacheMount(
                record=fields["ID"].rstrip("*"),
                namespace=namespace,
                id=identifier,
                directory=created[1],
                size=read_size(fields.get("Size", "")),
                measured=False,
                last_used=fields.get("Last used", "never"),
                uses=int(fields.get("Usage count", "0")),
            )
        )
    return mounts


def existing() -> list[CacheMount]:
    """Return the builder's cache mounts with their current sizes, the project's first.

    The BuildKit of Docker Engine 26.1.5 measures a mount only when it is first listed, so its
    directory is measured again if it can be read.

    Raises:
        UserError: no engine answers, or buildx fails.
    """
    engine = client.require()
    listing = buildx("list the cache mounts", "du", "--verbose", *_filters("type=exec.cachemount"))
    mounts = [_measured(mount, engine) for mount in read_du(listing)]
    return sorted(mounts, key=lambda m: (not m.belongs_to_project, m.namespace, m.id))


def _measured(mount: CacheMount, engine: client.Engine) -> CacheMount:
    directory = Path(engine.data_root, engine.driver, mount.record, "diff")
    used = process.output("du", "--summarize", "--block-size=1", str(directory))
    if not engine.local or not used:
        return mount
    return replace(mount, size=int(used.split()[0]), measured=True)


def read_age(text: str | None, what: str = "prune", option: str = "--older-than") -> timedelta:
    """Return the duration of a text such as `7d` or `12h`.

    Raises:
        UserError: the text is missing or malformed; the message names the action and the option.
    """
    match = re.fullmatch(r"(\d+)([smhdw])", text or "")
    if not match or not int(match[1]):
        raise UserError(
            f"cannot {what}",
            f"`{text}` is not an age" if text else f"{option} is missing",
            f"Give a number and one of s, m, h, d, w: `nox -s cache -- {what} {option} 7d`.",
        )
    return int(match[1]) * _UNITS[match[2]]


def prune(age: timedelta) -> tuple[list[CacheMount], list[CacheMount]]:
    """Remove the project's cache mounts that have not been used for the given time.

    BuildKit counts the first listing after a use as another use, so the age is read from that
    listing. Mounts that are in use, or were used after the listing, are not removed.

    Returns:
        The removed mounts and the remaining mounts.

    Raises:
        UserError: no engine answers, or buildx fails.
    """
    before = [mount for mount in existing() if mount.belongs_to_project]
    listed = time.monotonic()
    for mount in before:
        if mount.unused >= age:
            until = f"until={time.monotonic() - listed:.6f}s"
            only = _filters("type=exec.cachemount", f"id={mount.record}", until)
            buildx(f"prune {mount.name}", "prune", "--force", *only)
    remaining = {mount.record for mount in existing()}
    removed = [mount for mount in before if mount.record not in remaining]
    return removed, [mount for mount in before if mount.record in remaining]


def prune_id(name: str) -> list[CacheMount]:
    """Remove the project's cache mounts with an id, and return them.

    Args:
        name: the id, after the namespace if there is one.

    Raises:
        UserError: there is no such mount, it is in use, or buildx fails.
    """
    present = [mount for mount in existing() if mount.belongs_to_project]
    chosen = [mount for mount in present if mount.name == name]
    if not chosen:
        raise UserError(
            "cannot prune",
            f"the builder has no cache mount `{name}` of this project",
            f"Choose: {', '.join(mount.name for mount in present) or 'it has none'}.",
        )
    for mount in chosen:
        only = _filters("type=exec.cachemount", f"id={mount.record}")
        buildx(f"prune {name}", "prune", "--force", *only)
    remaining = {mount.record for mount in existing()}
    if any(mount.record in remaining for mount in chosen):
        raise UserError(
            "cannot prune", f"a build uses {name}", "Run this again when the build has ended."
        )
    return chosen


def buildx(action: str, *arguments: str) -> str:
    """Run buildx and return what it prints.

    Raises:
        UserError: buildx failed; the message contains `action`.
    """
    # By default bake loads stages that are named contexts into the engine.
    environment = {**process.environment(), "BUILDX_NO_DEFAULT_LOAD": "1"}
    done = process.run("docker", "buildx", *arguments, cwd=ROOT, env=environment)
    if done.returncode:
        raise UserError(
            f"cannot {action}",
            (done.stderr.strip().splitlines() or ["buildx printed no reason"])[-1],
            "`docker buildx ls` lists the builders, and `nox -s engine` checks the engine.",
        )
    return done.stdout


def _filters(*values: str) -> Sequence[str]:
    return [argument for value in values for argument in ("--filter", value)]
