"""The faults. Each is planted before a build, or strikes while it compiles."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from scripts.core.paths import RECORDS
from scripts.faults import damage
from scripts.faults.store import Behaviour, Store
from scripts.faults.victim import REMOTE_CACHE, WARM, Victim, symbol

_REQUESTS = 40  # the answers of a store before it misbehaves, fewer than the compilers that ask


class Fault:
    """A fault; the methods of this class plant nothing."""

    name = ""
    """Its name on the command line."""
    what = ""
    """What is planted, for the list and the table."""
    cold = False
    """Whether the disturbed build begins with empty cache mounts, and compiles everything."""
    every_step = False
    """Whether all layers are removed before the disturbed build, so that every step runs again."""
    strikes_after: int | None = None
    """The number of compilers that run before `strike`; None if the fault is planted earlier."""
    errors: Sequence[str] = ()
    """The disturbed build fails, with one of these texts; if there are none, it succeeds."""
    edits: Sequence[str] = ("",)
    """What is added to the library by each of the disturbed builds, which run at once."""

    def plant(self, victim: Victim) -> str:  # noqa: ARG002
        """Plant the fault before the disturbed builds; return what was planted, in words."""
        return ""

    def strike(self, victim: Victim) -> str:  # noqa: ARG002
        """Plant the fault during the disturbed builds; return what was planted, in words."""
        return ""

    def without_effect(self) -> str:
        """Return why the disturbed builds cannot have met the fault; empty if they did."""
        return ""

    def repair(self, victim: Victim) -> None:
        """Do what somebody does after the fault, such as to free the disk."""


class Killed(Fault):
    """The daemon is killed; what it started may go on for a while."""

    name, what = "killed", "BuildKit is killed (SIGKILL) in the middle of a compile"
    cold, strikes_after = True, 20
    errors = ("EOF", "closing transport", "transport is closing", "connection re")

    def strike(self, victim: Victim) -> str:
        """Kill the daemon."""
        victim.kill()
        return f"after {victim.look()} compilers"

    def repair(self, victim: Victim) -> None:
        """Start it again at once."""
        victim.revive()


class DiskFull(Fault):
    """The disk with the builder's data fills up, by something else."""

    name, what = "disk-full", "the disk fills up in the middle of a compile"
    cold, strikes_after = True, 20
    errors = ("no space left", "No space left")

    def strike(self, victim: Victim) -> str:
        """Fill the disk."""
        return f"with {victim.disk.fill() / 1e9:.1f} GB, after {len(victim.compiled)} compilers"

    def repair(self, victim: Victim) -> None:
        """Free the disk."""
        victim.disk.free()


class _Damage(Fault):
    """Files of the cache mounts are damaged."""

    every_step = True

    def __init__(self) -> None:
        self.damaged: dict[str, dict[Path, str]] = {}

    def files(self, victim: Victim) -> Mapping[str, Sequence[Sequence[Path]]]:
        """Return the files by kind, those of each mount together."""
        raise NotImplementedError

    def plant(self, victim: Victim) -> str:
        """Damage some files of each kind in each mount, as any of them may be the one in use."""
        planted = []
        for kind, stores in self.files(victim).items():
            chosen = [file for files in stores for file in damage.spread(files)]
            self.damaged[kind] = damage.damage(chosen)
            planted.append(f"{len(self.damaged[kind])} of {sum(map(len, stores))} {kind}")
        return ", ".join(planted)

    def without_effect(self) -> str:
        """Return the kinds of which no damaged file was replaced, so that nothing read them."""
        unread = [kind for kind, files in self.damaged.items() if not damage.replaced(files)]
        return f"no damaged file was replaced: {', '.join(unread)}" if unread else ""


class Objects(_Damage):
    """Results and manifests of the compiler caches are damaged."""

    name = "objects"
    what = "results and manifests of ccache and depcache: a byte flipped, cut in half, or empty"

    def files(self, victim: Victim) -> Mapping[str, Sequence[Sequence[Path]]]:
        """Return the files of ccache and depcache."""
        stores = damage.mounts(victim.root, having="depcache")
        return {
            "results of ccache": [damage.ccache_objects(store, "R") for store in stores],
            "manifests of ccache": [damage.ccache_objects(store, "M") for store in stores],
            "files of depcache": [damage.depcache_objects(store) for store in stores],
        }


class Packages(_Damage):
    """Debian packages in apt's cache are damaged."""

    name, what = "packages", "Debian packages in apt's cache: a byte flipped, cut in half, or empty"

    def files(self, victim: Victim) -> Mapping[str, Sequence[Sequence[Path]]]:
        """Return the packages."""
        stores = damage.mounts(victim.root, having="archives")
        return {"packages": [damage.packages(store) for store in stores]}


class AtOnce(Fault):
    """Two builds of the image run at once, with empty and shared cache mounts."""

    name = "at-once"
    what = "two builds of one image at once, each with another edit of libvmaf"
    cold = True
    edits = ("a", "b")

    def plant(self, victim: Victim) -> str:  # noqa: ARG002
        """Name the edits."""
        return f"edits {' and '.join(map(symbol, self.edits))}"


class Clock(Fault):
    """The clock jumps between two builds: everything on the disk is of another time."""

    name = "clock"
    what = (
        "files of the compiler cache and of apt's caches, the base and records of builds, "
        f"dated {damage.PAST:%Y} and {damage.FUTURE:%Y} in turn"
    )
    every_step = True

    def __init__(self) -> None:
        """Plant nothing yet."""
        self.records: list[Path] = []
        self.results: list[Path] = []

    def plant(self, victim: Victim) -> str:
        """Date the files, and add records of builds in the past and in the future."""
        stores = [
            store
            for name in ("depcache", "archives", "lists")
            for store in damage.mounts(victim.root, having=name)
        ]
        files = [file for store in stores for file in sorted(store.rglob("*"))]
        damage.date([*files, *(RECORDS / "bootstrap").glob("*.tar")])
        self.results = [
            path for store in stores for kind in "RM" for path in damage.ccache_objects(store, kind)
        ]
        self.records = [
            path
            for moment in (damage.PAST, damage.FUTURE)
            for path in copy_record(RECORDS / "records", moment)
        ]
        return f"{len(files)} files in {len(stores)} cache mounts, {len(self.records)} records"

    def without_effect(self) -> str:
        """Return that the builds had another compiler cache: ccache dates what it uses."""
        return "" if damage.used(self.results) else "no dated result of ccache was used"

    def repair(self, victim: Victim) -> None:  # noqa: ARG002
        """Remove the records."""
        for path in self.records:
            path.unlink()


def copy_record(directory: Path, moment: datetime) -> list[Path]:
    """Copy the latest record of a build as one of another time; return the copy."""
    latest = sorted(directory.glob("*.json"))[-1:]
    copies = []
    for path in latest:
        document = json.loads(path.read_text())
        document["started"] = moment.isoformat()
        copy = directory / f"{moment:%Y%m%dT%H%M%S}.000Z-{path.name.partition('-')[2]}"
        copy.write_text(json.dumps(document))
        copies.append(copy)
    return copies


class _RemoteStore(Fault):
    """The remote compile cache misbehaves during the disturbed build."""

    cold = True
    behaviour: Behaviour = "answers"

    def __init__(self) -> None:
        """Plant nothing yet."""
        self.store: Store | None = None

    def plant(self, victim: Victim) -> str:  # noqa: ARG002
        """Start the store, and pass its address to the builds."""
        self.store = Store(self.behaviour, _REQUESTS)
        os.environ[REMOTE_CACHE] = self.store.address
        return f"after {_REQUESTS} requests"

    def without_effect(self) -> str:
        """Return that the builds did not use the store, or not when it misbehaved."""
        used = self.store.requests if self.store else 0
        if self.store and self.store.misbehaved:
            return ""
        return f"the store was asked {used} times, and never misbehaved"

    def repair(self, victim: Victim) -> None:  # noqa: ARG002
        """Build without a remote cache from now on."""
        os.environ.pop(REMOTE_CACHE, None)
        if self.store:
            self.store.stop()


class StoreDies(_RemoteStore):
    """The remote store ends in the middle of a build."""

    name, what = "store-dies", "the remote compile cache ends in the middle of a build"
    behaviour = "dies"


class StoreHangs(_RemoteStore):
    """The remote store accepts connections, but answers no more."""

    name, what = "store-hangs", "the remote compile cache stops to answer in the middle of a build"
    behaviour = "hangs"


class StorePoisoned(_RemoteStore):
    """A remote store returns damaged values."""

    name = "store-poisoned"
    what = "every value in the remote compile cache: a byte flipped, cut in half, or empty"

    def plant(self, victim: Victim) -> str:
        """Fill the store by another build, and damage everything in it."""
        super().plant(victim)
        victim.build(f"{self.name}-fill", f"{self.name}-fill")
        return f"{self.store.poison()} values" if self.store and self.store.values else ""


class HalfArchive(Fault):
    """An archive of the cache mounts was written in part, and is loaded before a build."""

    name, what = "half-archive", "an archive of the cache mounts of which half was written"
    cold = True

    def __init__(self) -> None:
        """Plant nothing yet."""
        self.loaded = False

    def plant(self, victim: Victim) -> str:
        """Save the warm mounts, cut the largest file of the archive, and load it."""
        directory = victim.disk.directory / "archive"
        if victim.cli("cache", "save", str(directory), "--namespace", WARM):
            return ""
        blobs = [path for path in directory.rglob("*") if path.is_file()]
        largest = max(blobs, key=lambda path: path.stat().st_size)
        largest.write_bytes(damage.cut(largest.read_bytes()))
        code = victim.cli("cache", "load", str(directory), "--namespace", self.name)
        self.loaded = not code
        return f"{largest.stat().st_size / 1e6:.0f} MB of it; loading it exits with {code}"

    def without_effect(self) -> str:
        """Return that the archive was accepted."""
        return "half of an archive was loaded without an error" if self.loaded else ""


FAULTS: Sequence[type[Fault]] = (
    Killed,
    DiskFull,
    AtOnce,
    Objects,
    Packages,
    Clock,
    HalfArchive,
    StoreDies,
    StoreHangs,
    StorePoisoned,
)
"""The faults, in the order in which they are planted."""
