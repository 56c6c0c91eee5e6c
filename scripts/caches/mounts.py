"""What the cache mounts hold and what they are good for: `nox -s cache`.

BuildKit says which mounts there are and when each was used last; the Dockerfiles
say what they are for; the records of builds say what they gave. docs/caching.md is
the page for its users.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.filesize import decimal

from scripts.buildkit.measurements import COMPILER_CACHES, Lookups
from scripts.buildkit.rawjson import read_size
from scripts.buildkit.records import BuildRecord, StageRecord
from scripts.core import process
from scripts.core.console import UserError, console
from scripts.core.paths import ROOT
from scripts.dockerfile import project
from scripts.dockerfile.parser import Mount
from scripts.engine import client
from scripts.images import bases
from scripts.images.overlay import write_overlay

OURS = "vmaf-"
"""How the id of every cache mount of this project begins; only such are ever pruned."""
COLD = 0.2
"""A stage with a smaller share of hits was as good as cold."""

_FIELDS = (
    "ID|Parents?|Created at|Mutable|Reclaimable|Shared|Size|Description|Usage count|Last used|Type"
)
_AGES = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "month": timedelta(days=30),
    "year": timedelta(days=365),
}


# What the engine has


@dataclass(frozen=True)
class Kept:
    """A cache mount that the builder keeps."""

    record: str
    """BuildKit's own name for it."""
    namespace: str
    """The set of mounts that it belongs to (`--namespace`); empty for the usual one."""
    id: str
    """As in the Dockerfile, its variables filled in."""
    folder: str
    """Where it was mounted first."""
    size: int
    """In bytes."""
    measured: bool
    """Whether that is the folder's size now, and not BuildKit's last count."""
    last_used: str
    """In BuildKit's words: `2 hours ago`."""
    uses: int
    """How many steps have mounted it."""

    @property
    def name(self) -> str:
        """Its id, behind the namespace where it is in one."""
        return f"{self.namespace}/{self.id}" if self.namespace else self.id

    @property
    def unused(self) -> timedelta:
        """How long at least no step has mounted it; none where BuildKit does not say."""
        match = re.match(r"(\d+|An?|About an?) (month|year|[smhdw])", self.last_used)
        if not match:
            return timedelta()
        return _AGES[match[2]] * (int(match[1]) if match[1].isdigit() else 1)

    @property
    def ours(self) -> bool:
        """Whether it is this project's."""
        return self.id.startswith(OURS)


def read_du(text: str) -> list[Kept]:
    """Read the cache mounts out of `docker buildx du --verbose`.

    The oldest buildx that we take prints it for people alone. A description is the
    whole command, which may have lines of its own, blank ones among them.
    """
    found = []
    for part in re.split(r"^(?=ID:\s)", text, flags=re.MULTILINE)[1:]:
        words = re.split(rf"^({_FIELDS}):[ \t]*", part, flags=re.MULTILINE)[1:]
        fields: dict[str, str] = {}
        for name, value in zip(words[::2], words[1::2], strict=True):
            fields.setdefault(name, value.strip())  # not the totals below the last record
        about = fields.get("Description", "")
        made = re.match(r"cached mount (\S+) from ", about)
        if fields.get("Type") != "exec.cachemount" or not made:
            continue
        called = re.search(r' with id "([^"]*)"$', about)
        namespace, _, identifier = (called[1] if called else f"/{made[1]}").partition("/")
        found.append(
            Kept(
                record=fields["ID"].rstrip("*"),
                namespace=namespace,
                id=identifier,
                folder=made[1],
                size=read_size(fields.get("Size", "")),
                measured=False,
                last_used=fields.get("Last used", "never"),
                uses=int(fields.get("Usage count", "0")),
            )
        )
    return found


def read_age(text: str | None) -> timedelta:
    """Return how long `7d` or `12h` is.

    Raises:
        UserError: there is none, or it is not of that form.
    """
    match = re.fullmatch(r"(\d+)([smhdw])", text or "")
    if not match or not int(match[1]):
        raise UserError(
            "cannot prune",
            f"`{text}` is no age" if text else "nothing says how long a mount must lie unused",
            "Say it as a number and one of s, m, h, d, w: `nox -s cache -- prune --older-than 7d`.",
        )
    return int(match[1]) * _AGES[match[2]]


def kept() -> list[Kept]:
    """Return the cache mounts that the builder keeps, ours first, as large as they are.

    The BuildKit inside an engine counts a mount when it is first asked and never
    again (26.1.5), so the folder itself is measured where it can be read.

    Raises:
        UserError: no engine answers, or its builder does not.
    """
    answering = client.require()
    shown = _buildx("list the cache mounts", "du", "--verbose", *_filters("type=exec.cachemount"))
    sized = [_measured(one, answering) for one in read_du(shown)]
    return sorted(sized, key=lambda one: (not one.ours, one.namespace, one.id))


def _measured(one: Kept, answering: client.Engine) -> Kept:
    folder = Path(answering.data_root, answering.driver, one.record, "diff")
    used = process.output("du", "--summarize", "--block-size=1", str(folder))
    if not answering.local or not used:
        return one
    return replace(one, size=int(used.split()[0]), measured=True)


# What the Dockerfiles say


@dataclass(frozen=True)
class Named:
    """A cache mount as the Dockerfiles ask for it."""

    id: str
    """With its variables."""
    mount: Mount

    def names(self, one: Kept) -> bool:
        """Whether a mount is this one, whatever its variables were."""
        words = re.split(r"\$\{?\w+\}?", self.id)
        return bool(re.fullmatch(r"\w+".join(map(re.escape, words)), one.id))


def named(read: project.Project) -> list[Named]:
    """Return the cache mounts of all steps, each once."""
    mounts = {m.get("id"): m for step in read.steps for m in step.caches() if m.get("id")}
    return [Named(name, mount) for name, mount in sorted(mounts.items())]


# What it gave


@dataclass(frozen=True)
class Use:
    """What the last build that used a mount had of it."""

    build: str
    """When that build began."""
    stages: Sequence[str]
    """The stages that used it."""
    hits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By program, the answers (or bytes) that were there, and those asked for."""
    saved_seconds: float | None = None
    saved_bytes: int | None = None

    @property
    def rates(self) -> str:
        """The shares of hits, for people: a line each."""
        shares = (f"{name} {there / of:.0%}" for name, (there, of) in self.hits.items() if of)
        return "\n".join(shares).replace("%", " %") or "-"

    @property
    def saved(self) -> str:
        """What was saved, for people."""
        if self.saved_bytes is not None:
            return decimal(self.saved_bytes)
        return "-" if self.saved_seconds is None else f"{self.saved_seconds:.0f} s"


Meter = Callable[[Sequence[StageRecord], Sequence[BuildRecord]], Mapping[str, Any]]
"""Returns what fields of a `Use` can be known, from its stages and all records."""


def compiled(stages: Sequence[StageRecord], records: Sequence[BuildRecord]) -> Mapping[str, Any]:
    """Hits and calls of ccache and depcache; the time the stages took less than when cold.

    Cold is the shortest time on record of a stage that found next to nothing. Both are
    by the clock: what else the machine did, and waiting for the mount, is in them.
    """
    shorter = [
        max(0.0, min(cold) - stage.seconds)
        for stage in stages
        if (cold := cold_seconds(stage.name, records))
    ]
    calls = {
        name: [stage.lookups.get(name, Lookups(0, 0)) for stage in stages]
        for name in COMPILER_CACHES
    }
    return {
        "hits": {
            name: (sum(hits for hits, _ in each), sum(of for _, of in each))
            for name, each in calls.items()
        },
        "saved_seconds": sum(shorter) if shorter else None,
    }


def cold_seconds(name: str, records: Iterable[BuildRecord]) -> list[float]:
    """Return how long a stage took whenever ccache had next to nothing for it."""
    return [
        stage.seconds
        for record in records
        if record.outcome == "built"
        for stage in record.stages
        if stage.name == name and (rate := stage.hit_rate) is not None and rate < COLD
    ]


def packages(stages: Sequence[StageRecord], _records: Sequence[BuildRecord]) -> Mapping[str, Any]:
    """Bytes of the packages that apt needed and did not have to download."""
    apt = [stage.measurements.apt for stage in stages if stage.measurements.apt]
    if not apt:
        return {}
    needed = sum(one.needed for one in apt)
    there = needed - sum(one.fetched for one in apt)
    return {"hits": {"apt": (there, needed)}, "saved_bytes": there}


def unmeasured(
    _stages: Sequence[StageRecord], _records: Sequence[BuildRecord]
) -> Mapping[str, Any]:
    """Nothing: the program that uses it does not tell."""
    return {}


KINDS: Mapping[str, tuple[str, Meter]] = {
    "/ccache": ("compiled code", compiled),
    "/var/cache/apt": ("Debian packages", packages),
    "/var/lib/apt": ("Debian's index", unmeasured),
    "/root/.cache/pip": ("Python packages", unmeasured),
    "/go/pkg/mod": ("Go modules", unmeasured),
    "/root/.cache/go-build": ("compiled Go", unmeasured),
}
"""What the mount at a folder is for, and how its use is measured."""


def last_use(one: Kept, records: Sequence[BuildRecord]) -> Use | None:
    """Return what the last build on record that used a mount had of it."""
    mounts = re.compile(rf"--mount=(?=\S*\btype=cache\b)\S*\bid={re.escape(one.id)}(?![\w.-])")
    for record in reversed(records):
        stages = [
            stage
            for stage in record.stages
            if any(mounts.search(t) and not step.cached for t, step in stage.steps.items())
        ]
        if stages and record.namespace == one.namespace:
            _, meter = _kind(one.folder)
            names = [stage.name for stage in stages]
            return Use(f"{record.started:%Y-%m-%dT%H:%M:%SZ}", names, **meter(stages, records))
    return None


# The table


@dataclass(frozen=True)
class Row:
    """A cache mount, from all sides."""

    name: str
    folder: str
    purpose: str
    kept: Kept | None
    """None where no build has made it yet."""
    use: Use | None
    """None where no build on record has used it."""


def rows(
    have: Sequence[Kept], wanted: Sequence[Named], records: Sequence[BuildRecord]
) -> Sequence[Row]:
    """Join what the builder has, what the Dockerfiles name, and what builds found."""
    found = [Row(one.name, one.folder, _purpose(one), one, last_use(one, records)) for one in have]
    here = [one for one in have if not one.namespace]
    absent = [one for one in wanted if not any(one.names(other) for other in here)]
    return [
        *found,
        *(Row(a.id, a.mount.target, _kind(a.mount.target)[0], None, None) for a in absent),
    ]


def _kind(folder: str) -> tuple[str, Meter]:
    return KINDS.get(folder, ("", unmeasured))


def _purpose(one: Kept) -> str:
    return _kind(one.folder)[0] if one.ours else "not ours"


# Pruning


def prune(age: timedelta) -> tuple[list[Kept], list[Kept]]:
    """Drop our cache mounts that no step has used for so long; return what went, what stays.

    The age is the listed one, as BuildKit takes the first listing after a use for one
    more. Therefore it is told to spare what has been used since, and what is in use.

    Raises:
        UserError: no engine answers, or it refuses.
    """
    before = [one for one in kept() if one.ours]
    listed = time.monotonic()
    for one in before:
        if one.unused >= age:
            until = f"until={time.monotonic() - listed:.6f}s"
            only = _filters("type=exec.cachemount", f"id={one.record}", until)
            _buildx(f"prune {one.name}", "prune", "--force", *only)
    there = {one.record for one in kept()}
    gone = [one for one in before if one.record not in there]
    return gone, [one for one in before if one.record in there]


# Statistics

_LAUNCHER = "/run/cache/depcache.py"
_NUMBERS = 'capture("(?<files>[0-9]+) files, (?<bytes>[0-9]+) bytes") | map_values(tonumber)'
STATISTICS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "/ccache": {
        "ccache": ("ccache --show-stats -vv", "ccache --print-stats --format=json"),
        "depcache": (
            f"{_LAUNCHER} --stats",
            f"{_LAUNCHER} --stats | jq -R '{_NUMBERS}'",
        ),
    },
}
"""By folder, the programs that keep accounts in it: a command for people, one that prints JSON.

Each runs in the toolchain stage, with the mount as the Dockerfiles have it.
"""


def look(wanted: Iterable[Named], *, as_json: bool) -> str:
    """Return a Dockerfile that writes the statistics of each mount to `/ID/PROGRAM`."""
    steps = []
    launcher = f"--mount=type=bind,source=docker/compiler-cache/src/depcache.py,target={_LAUNCHER}"
    for one in wanted:
        for program, commands in STATISTICS.get(one.mount.target, {}).items():
            options = ",".join(f"{k}={v}" if v else k for k, v in one.mount.options.items())
            there = f"/tmp/look/{one.id}"  # noqa: S108 - inside the step
            steps.append(
                f"USER {one.mount.get('uid') or 0}\n"
                f"RUN --mount={options} {launcher} mkdir -p {there} "
                f"&& {commands[as_json]} > {there}/{program}"
            )
    # STAMP is another one at each look, so that no answer is taken from a layer.
    head = ["FROM toolchain AS look", "ARG TARGETARCH STAMP"]
    return "\n".join([*head, *steps, "FROM scratch", "COPY --from=look /tmp/look/ /\n"])


def statistics(namespace: str, *, as_json: bool) -> dict[str, dict[str, str]]:
    """Return what the programs say of their caches, by mount and program.

    Raises:
        UserError: no engine answers, or the toolchain stage cannot be built.
    """
    client.require()
    base_source = bases.choose()
    if base_source == "bootstrap":
        bases.bootstrap()
    target = {
        "inherits": ["_common"],
        "dockerfile-inline": look(named(project.of_repository()), as_json=as_json),
        "contexts": {"toolchain": "target:toolchain"},
        "args": {
            "STAMP": datetime.now(UTC).isoformat(),
            **({"BUILDKIT_CACHE_MOUNT_NS": namespace} if namespace else {}),
        },
    }
    with TemporaryDirectory(prefix="vmaf-images-") as name, console.status("looking"):
        folder = Path(name)
        (folder / "look.json").write_text(json.dumps({"target": {"look": target}}))
        # The toolchain stage may have to be built, which uses the network.
        machine = write_overlay(folder, environment=os.environ, base_source=base_source)
        files = [*(ROOT / file for file in bases.OVERLAYS[base_source]), machine]
        words = [f"--file={file}" for file in (*files, folder / "look.json")]
        words += ["--progress=plain", f"--set=look.output=type=local,dest={folder / 'out'}"]
        _buildx("look into the mounts", "bake", *words, "look")
        out = folder / "out"
        return {
            mount.name: {file.name: file.read_text() for file in sorted(mount.iterdir())}
            for mount in sorted(out.iterdir())
        }


def _buildx(what: str, *words: str) -> str:
    """Return what buildx prints; the images that others take from a bake file stay behind."""
    done = subprocess.run(
        ["docker", "buildx", *words],
        cwd=ROOT,
        env={**process.environment(), "BUILDX_NO_DEFAULT_LOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError(
            f"cannot {what}",
            (done.stderr.strip().splitlines() or ["buildx said nothing"])[-1],
            "`docker buildx ls` shows which builder is asked, `nox -s engine` whether it answers.",
        )
    return done.stdout


def _filters(*values: str) -> Iterable[str]:
    return [word for value in values for word in ("--filter", value)]


# What the words after -- ask for
