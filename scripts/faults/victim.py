"""The builder that faults are planted on, and the builds on it."""

import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from tempfile import mkdtemp

from scripts.buildkit import failure
from scripts.contents.listing import Entry
from scripts.core import process
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS, ROOT
from scripts.engine import buildkitd
from scripts.faults import artefacts, building, disk
from scripts.faults.building import Built, Request
from scripts.faults.disk import Disk
from scripts.images import bases, export, sources

BUILDER = "vmaf-faults"
DIRECTORY = RECORDS / "faults"
REMOTE_CACHE = "VMAF_REMOTE_CACHE"
"""The environment variable with the address of the remote compile cache."""
WARMERS = (REMOTE_CACHE, "VMAF_CACHE_FROM", "VMAF_CACHE_TO")
"""The environment variables with caches of other builders, with which no build would be cold."""
WARM = "warm"
"""The namespace of the cache mounts that the reference build filled."""
EDITED = "libvmaf/src/libvmaf.c"
KEEPER = "vmaf-faults-keeper"
_KEEPER = f"""\
FROM {bases.BASE}
RUN --mount=type=cache,id={KEEPER},target=/kept,uid=1000,gid=1000 : {KEEPER}
"""
"""A step that uses the directory from which BuildKit makes each mount of uid 1000.

BuildKit 0.13 identifies these mounts by their id and by the record of that directory. It can forget
the record when the last step that uses it is removed, and then makes new, empty mounts. This step
is kept, as garbage collection keeps the steps of the latest builds.
"""
_FIELDS = "ID|Parents?|Created at|Description|Type"
_MOUNT = "exec.cachemount"
COMPILERS = frozenset({"cc1", "cc1plus", "nasm", "cicc"})
"""The names of the processes that count as a running compile."""


def symbol(edit: str) -> str:
    """Return the name of the variable that an edit adds to libvmaf."""
    return f"vmaf_fault_{edit}"


def compilers(ancestor: int, proc: Path = Path("/proc")) -> set[int]:
    """Return the ids of the compilers that run below a process."""
    parents, names = {}, {}
    for path in proc.glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):  # the process has ended
            before, _, after = path.read_text().rpartition(")")
            pid, _, name = before.partition(" (")
            parents[int(pid)], names[int(pid)] = int(after.split()[1]), name

    def is_below(pid: int) -> bool:
        while pid and pid != ancestor:
            pid = parents.get(pid, 0)
        return bool(pid)

    return {pid for pid, name in names.items() if name in COMPILERS and is_below(pid)}


def layers(listing: str) -> list[str]:
    """Return the ids of records, the latest first, except for what keeps the cache mounts.

    These are the mounts, their parents, and the step of `_KEEPER`.

    Args:
        listing: the output of `docker buildx du --verbose`.
    """
    entries = []
    for text in re.split(r"^(?=ID:\s)", listing, flags=re.MULTILINE)[1:]:
        fields = re.findall(rf"^({_FIELDS}):[ \t]*(.*?)\*?$", text, re.MULTILINE)
        entries.append({name.removesuffix("s"): value for name, value in fields})
    kept = {entry.get("Parent", "") for entry in entries if entry.get("Type") == _MOUNT}
    kept |= {entry["ID"] for entry in entries if KEEPER in entry.get("Description", "")}
    found = [e for e in entries if e.get("Type") != _MOUNT and e["ID"] not in kept]
    return [e["ID"] for e in sorted(found, key=lambda e: e["Created at"], reverse=True)]


def remove_layers(worker: buildkitd.Worker) -> None:
    """Remove all layers of a worker, except for the step of `_KEEPER` if it was built.

    Raises:
        UserError: buildx failed.
    """
    command = ("docker", "buildx", "du", f"--builder={worker.builder}", "--verbose")
    for record in layers(process.output(*command)):
        worker.prune(f"id={record}")


@dataclass
class Victim:
    """A BuildKit of its own on a small disk, and the image that is built with it."""

    image: str
    worker: buildkitd.Worker
    disk: Disk
    source: Path
    """The tree of libvmaf that the builds compile."""
    compiled: set[int] = field(default_factory=set)
    """The compilers that were seen during the build."""
    _cold: dict[str, dict[str, Entry]] = field(default_factory=dict)
    _requests: list[Request] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The directory of the builder's data."""
        return self.worker.root

    def look(self) -> int:
        """Look for compilers that run now; return how many were seen so far."""
        if self.worker.child:
            self.compiled |= compilers(self.worker.child.pid)
        return len(self.compiled)

    def kill(self) -> None:
        """Kill the builder, but not what it started, as a supervisor or the kernel may do."""
        if self.worker.child:
            os.kill(self.worker.child.pid, SIGKILL)
            self.worker.child.wait()

    def revive(self) -> bool:
        """Start the builder if it ended; return whether that was necessary."""
        if self.worker.alive:
            return False
        self.worker.start()
        return True

    def forget_layers(self) -> None:
        """Remove all layers, so that every step runs again, and keep the cache mounts.

        Raises:
            UserError: the step of `_KEEPER` cannot be built, or the layers not be removed.
        """
        keeper = {
            "inherits": ["_common"],
            "dockerfile-inline": _KEEPER,
            "output": ["type=cacheonly"],
        }
        outcome = export.bake(
            {"target": {KEEPER: keeper}},
            [KEEPER],
            name=KEEPER,
            file=DIRECTORY / "keeper.json",
            base_source=os.environ["VMAF_BASES"],
        )
        if outcome.returncode:
            raise failure.failure(outcome)
        remove_layers(self.worker)

    def tree(self, edit: str, place: str) -> Path:
        """Write a tree of libvmaf, with a new file so that it is compiled again.

        Args:
            edit: a name that is added to the library, for a build that differs; empty for none.
            place: the name of a directory; builds that run at once need different ones.
        """
        directory = DIRECTORY / "trees" / place / "vmaf"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self.source, directory, symlinks=True)
        (directory / "libvmaf" / "vmaf-faults.txt").write_text(uuid.uuid4().hex)
        if edit:
            name = symbol(edit)
            with (directory / EDITED).open("a") as file:
                file.write(f'\n__attribute__((used)) static const char {name}[] = "{name}";\n')
        return directory

    def request(self, name: str, namespace: str, edit: str = "") -> Request:
        """Return a build of the image; `name` is part of its tag and of the name of its log."""
        tag, log = f"{BUILDER}/{name}:{self.image}", DIRECTORY / "logs" / f"{name}.log"
        self._requests.append(Request(self.image, tag, self.tree(edit, name), namespace, log))
        return self._requests[-1]

    def build(self, name: str, namespace: str, edit: str = "") -> Built:
        """Build the image.

        Args:
            name: a part of the image's tag and of the name of the log.
            namespace: the namespace of the cache mounts.
            edit: what is added to the library.
        """
        (built,) = building.together([self.request(name, namespace, edit)], lambda: None)
        return built

    def cold(self, edit: str = "") -> dict[str, Entry]:
        """Return the files of a cold build, which is made once for each edit.

        Raises:
            UserError: the build failed.
        """
        if edit not in self._cold:
            name = f"cold-{edit or 'reference'}"
            say(f"faults: a cold build{edit and f' of edit {edit}'}")
            built = self.build(name, name if edit else WARM, edit)
            if built.error:
                raise UserError(
                    "the cold build failed", built.error, f"Its log is {built.request.log}."
                )
            say(f"faults: built in {built.seconds:.0f} s")
            self._cold[edit] = artefacts.of_image(built.request.tag)
        return self._cold[edit]

    def cli(self, *arguments: str) -> int:
        """Run a verb of the command line on the builder; return its exit status."""
        command = [sys.executable, "-m", "scripts.cli", *arguments]
        return process.run_logged(*command, log=DIRECTORY / "logs" / "cli.log", cwd=ROOT)

    def clean_up(self) -> None:
        """Remove the images of the builds from the engine, and the copies of their sources."""
        for request in self._requests:
            process.run("docker", "image", "rm", "--force", request.tag)
            copy = sources.copy_of("libvmaf", str(request.libvmaf))
            shutil.rmtree(copy, ignore_errors=True)


@contextmanager
def victim(image: str) -> Iterator[Victim]:
    """Run a builder with an empty cache on a small disk; remove all that it made.

    Raises:
        UserError: the disk or the builder cannot be made, or libvmaf's source not be fetched.
    """
    source = DIRECTORY / "source"
    for old in (source, DIRECTORY / "logs", DIRECTORY / "trees"):
        shutil.rmtree(old, ignore_errors=True)
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    place = Path(mkdtemp(prefix="vmaf-faults-"))
    with (
        disk.mounted(place) as small,
        buildkitd.worker(BUILDER, small.mount / "buildkit") as worker,
    ):
        for name in WARMERS:
            os.environ.pop(name, None)
        os.environ["BUILDX_BUILDER"] = BUILDER
        os.environ["VMAF_BASES"] = base_source = bases.choose()
        if base_source == "bootstrap":
            bases.bootstrap()
        say("faults: fetching libvmaf's source")
        export.source_tree("libvmaf", source, base_source)
        made = Victim(image, worker, small, source)
        try:
            yield made
        finally:
            made.clean_up()
            for name in ("source", "trees"):
                shutil.rmtree(DIRECTORY / name, ignore_errors=True)
