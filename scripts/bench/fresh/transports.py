"""The ways in which caches travel to a fresh machine, and the contenders that use them."""

import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from scripts.bench.fresh import copies
from scripts.bench.fresh.machine import FILES, Redis
from scripts.bench.fresh.results import NOTHING, Saved
from scripts.bench.registry import Registry
from scripts.buildkit.rawjson import EXPORT
from scripts.buildkit.records import StageRecord
from scripts.caches import program
from scripts.caches.program import Mount
from scripts.core import process
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.images import remote_cache

SECONDS = 900.0
"""The time after which a copy counts as hanging."""
_ZSTD = ("tar", "--posix", "-P")
"""How actions/cache calls tar."""


@dataclass
class Stores:
    """What the transports have, on the machine of the first build and on the fresh ones."""

    registry: Registry
    redis: Redis | None
    directory: Path
    """For files of the transports, which a later run of the bench can use."""
    build: Callable[[Mapping[str, str]], Sequence[StageRecord]]
    """Builds the image of the first build again, with environment variables."""
    mounts: Sequence[Mount] = field(default_factory=tuple)
    """The cache mounts that travel."""


class Transport(ABC):
    """A way to bring caches to a fresh machine."""

    name: ClassVar[str]
    filling: Mapping[str, str] = {}
    """The environment variables of the first build."""
    variables: Mapping[str, str] = {}
    """The environment variables of the load and the build on a fresh machine."""
    writing: Mapping[str, str] = {}
    """The environment variables of builds that write to the store."""

    def __init__(self, stores: Stores) -> None:
        """Use the stores."""
        self.stores = stores

    @abstractmethod
    def save(self, variables: Mapping[str, str]) -> Saved:
        """Save the caches after the first build.

        Args:
            variables: the environment variables for writing to the layers in the registry, if a
                contender uses them together with this transport.

        Raises:
            UserError: the caches cannot be saved.
        """

    def load(self) -> None:  # noqa: B027 (some transports need no load)
        """Bring the caches to the machine, before the build.

        Raises:
            UserError: they cannot be loaded.
        """

    @abstractmethod
    def received(self) -> int:
        """Return the bytes that fresh machines received so far."""


class Layers(Transport):
    """A cache of the layers in a registry, which the build reads itself."""

    name = "registry"

    def __init__(self, stores: Stores) -> None:
        """Use the stores."""
        super().__init__(stores)
        place = f"type=registry,ref={stores.registry.address}/{self.name}"
        self.variables = {"VMAF_CACHE_FROM": place}
        self.writing = {"VMAF_CACHE_TO": f"{place},mode=max"}

    def save(self, variables: Mapping[str, str]) -> Saved:
        """Build again, with all layers cached, and count the steps that write the cache."""
        stages = self.stores.build({**variables, **self.writing})
        return Saved(exported(stages), self.stores.registry.stored(self.name))

    def received(self) -> int:
        """Return the bytes that the registry sent."""
        return self.stores.registry.sent(self.name)


def exported(stages: Sequence[StageRecord]) -> float:
    """Return the seconds from the first step that exports a cache to the end of the last.

    Each target of an image exports its own, at the same time.
    """
    spans = [
        span
        for stage in stages
        if stage.name == EXPORT
        for text, step in stage.steps.items()
        if text.startswith("exporting cache")
        for span in step.spans
    ]
    begin, end = (min(s for s, _ in spans), max(e for _, e in spans)) if spans else (None, None)
    return round((end - begin).total_seconds(), 2) if begin and end else 0.0


class Archive(Transport):
    """The verbs of this project: `cache -- save` and `load`, with a reference in a registry."""

    name = "archive"

    def _verb(self, verb: str, variables: Mapping[str, str]) -> float:
        """Run the verb as users do, and return its seconds.

        Raises:
            UserError: it failed.
        """
        reference = f"{self.stores.registry.address}/{self.name}:main"
        log = FILES / "cache.log"
        command = (sys.executable, "-m", "scripts.cli", "cache", verb, reference)
        environment = {**process.environment(), **variables}
        begin = time.monotonic()
        status = process.run_logged(*command, log=log, cwd=ROOT, env=environment)
        if status:
            raise _failed(f"{verb} an archive", process.last_lines(log))
        return round(time.monotonic() - begin, 2)

    def save(self, variables: Mapping[str, str]) -> Saved:
        """Save the archive."""
        return Saved(self._verb("save", variables), self.stores.registry.stored(self.name))

    def load(self) -> None:
        """Load it, also the program that loads it, which a fresh machine does not have."""
        program.FILE.unlink(missing_ok=True)
        self._verb("load", {})

    def received(self) -> int:
        """Return the bytes that the registry sent."""
        return self.stores.registry.sent(self.name)


class Dance(Transport):
    """The method of buildkit-cache-dance: a directory, which actions/cache keeps in a tar."""

    name = "dance"
    _received = 0

    @property
    def _tar(self) -> Path:
        return self.stores.directory / "dance.tzst"

    def _directory(self) -> Path:
        directory = FILES / "dance"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        return directory

    def save(self, variables: Mapping[str, str]) -> Saved:
        """Copy the mounts into a layer, export it to a directory, and pack that.

        The directory is written from one file, as the action does with `docker cp`: the local
        exporter of buildx 0.13 hangs after some thousand files.
        """
        del variables
        directory = self._directory()
        begin = time.monotonic()
        exported = self.stores.directory / "dance.tar"
        _build(copies.out(self.stores.mounts), f"--output=type=tar,dest={exported}")
        _tar("-xf", str(exported), "-C", str(directory))
        exported.unlink()
        _tar("--use-compress-program=zstdmt", "-cf", str(self._tar), "-C", str(directory), ".")
        seconds = round(time.monotonic() - begin, 2)
        shutil.rmtree(directory)
        return Saved(seconds, self._tar.stat().st_size)

    def load(self) -> None:
        """Unpack the tar, send the files as a context, and copy them into the mounts."""
        directory = self._directory()
        _tar("--use-compress-program=unzstd", "-xf", str(self._tar), "-C", str(directory))
        _build(copies.back(self.stores.mounts, ""), "--output=type=cacheonly", context=directory)
        shutil.rmtree(directory)
        self._received += self._tar.stat().st_size

    def received(self) -> int:
        """Return the bytes of the tar, for each load."""
        return self._received


class Seed(Transport):
    """An image with the content of the mounts, from which a step copies it into them."""

    name = "seed"

    @property
    def _image(self) -> str:
        return f"{self.stores.registry.address}/{self.name}:main"

    def save(self, variables: Mapping[str, str]) -> Saved:
        """Copy the mounts into a layer, and push it."""
        del variables
        begin = time.monotonic()
        compression = "compression=zstd,oci-mediatypes=true"
        _build(
            copies.out(self.stores.mounts),
            f"--output=type=image,name={self._image},push=true,{compression}",
        )
        seconds = round(time.monotonic() - begin, 2)
        return Saved(seconds, self.stores.registry.stored(self.name))

    def load(self) -> None:
        """Pull the image, and copy its files into the mounts."""
        _build(copies.back(self.stores.mounts, self._image), "--output=type=cacheonly")

    def received(self) -> int:
        """Return the bytes that the registry sent."""
        return self.stores.registry.sent(self.name)


class Remote(Transport):
    """A Redis that the compile steps ask; the first build has filled it, and others only read."""

    name = "redis"

    def __init__(self, stores: Stores) -> None:
        """Use the stores."""
        super().__init__(stores)
        if not stores.redis:
            raise RuntimeError("this contender needs a Redis")
        self.redis = stores.redis
        self.filling = {remote_cache.VARIABLE: self.redis.address}
        self.variables = {remote_cache.VARIABLE: f"{self.redis.address}?read-only"}

    def save(self, variables: Mapping[str, str]) -> Saved:
        """Return the bytes that the first build wrote; their time is part of that build."""
        del variables
        return Saved(0.0, self.redis.traffic()[0])

    def received(self) -> int:
        """Return the bytes that Redis sent."""
        return self.redis.traffic()[1]


_LIST = (Layers, Archive, Dance, Seed, Remote)
TRANSPORTS: Mapping[str, type[Transport]] = {kind.name: kind for kind in _LIST}
"""The transports by name, in the order in which they save; the archive may write layers, too."""


@dataclass(frozen=True)
class Contender:
    """A fresh machine, and how caches come to it."""

    name: str
    title: str
    transports: tuple[str, ...] = ()
    """The names of the transports, in the order in which they load."""


_CONTENDERS = (
    Contender(NOTHING, "no caches"),
    Contender("registry", "a cache of the layers in a registry, mode=max", ("registry",)),
    Contender("dance", "the method of buildkit-cache-dance and actions/cache", ("dance",)),
    Contender("seed", "an image with the content of the cache mounts", ("seed",)),
    Contender("archive", "`nox -s cache -- save` and `load`", ("archive",)),
    Contender("redis", "VMAF_REMOTE_CACHE", ("redis",)),
    Contender("archive+registry", "both", ("archive", "registry")),
)
CONTENDERS: Mapping[str, Contender] = {one.name: one for one in _CONTENDERS}


def choose(names: Sequence[str]) -> list[Contender]:
    """Return the named contenders and `nothing`, with which all are compared; by default all.

    Raises:
        UserError: there is no contender with one of the names.
    """
    if unknown := [name for name in names if name not in CONTENDERS]:
        listing = "\n".join(f"  {one.name:<17} {one.title}" for one in _CONTENDERS)
        raise UserError("no such contender", f"`{unknown[0]}`", f"The contenders are:\n{listing}")
    chosen = {NOTHING, *(names or CONTENDERS)}
    return [contender for contender in _CONTENDERS if contender.name in chosen]


def _build(dockerfile: str, output: str, context: Path | None = None) -> None:
    """Build a Dockerfile on the builder of the environment.

    Raises:
        UserError: the build failed, or hangs.
    """
    source = ("--file=-", str(context)) if context else ("-",)
    stamp = f"--build-arg=STAMP={time.time_ns()}"
    done = process.run(
        *("docker", "buildx", "build", "--progress=plain", output, stamp, *source),
        text=dockerfile,
        timeout=SECONDS,
    )
    if done.returncode:
        raise _failed("copy the cache mounts", done.stderr.strip()[-1000:])


def _tar(*arguments: str) -> None:
    """Run tar.

    Raises:
        UserError: it failed.
    """
    done = process.run(*_ZSTD, *arguments)
    if done.returncode:
        raise _failed("pack the cache mounts", done.stderr.strip()[-500:])


def _failed(what: str, why: str) -> UserError:
    return UserError(
        f"cannot {what}", why, "`--contender` names the contenders to measure instead."
    )
