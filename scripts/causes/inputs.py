"""Record what a build is made from: bake targets, Dockerfiles, context files and base images.

The record has digests and no contents, except those of the Dockerfiles. It is written at each
build, so an unchanged build must not read its files again: their digests are kept with the file's
size, times and inode.
"""

import hashlib
import re
import stat
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from msgspec import Struct, field

from scripts.buildkit.rawjson import Build
from scripts.causes import store
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.dockerfile import bake, ignore
from scripts.engine import client

KNOWN = "known.json"
"""The file in build/inputs/ that maps paths to digests that are still valid."""

_RACY_SECONDS = 2.0
"""A file changed this recently may change again without a new time, so its digest is not kept."""
_NOT_IN_KEYS = {"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"}
"""Build arguments that are not part of BuildKit's cache keys, and may contain a password."""
_FROM = re.compile(r"FROM (\S+?)(?:@(sha256:[0-9a-f]+))?")


class Target(Struct, omit_defaults=True):
    """The fields of a bake target that decide what it builds."""

    context: str = "."
    dockerfile: str = "Dockerfile"
    inline: str = field(default="", name="dockerfile-inline")
    target: str = ""
    args: dict[str, str | None] = {}
    contexts: dict[str, str] = {}


class Inputs(Struct):
    """What a build is made from."""

    targets: dict[str, Target]
    """The bake targets, including those that are named contexts of the requested ones."""
    dockerfiles: dict[str, str]
    """The digest of each Dockerfile's text in the store, by path."""
    contexts: dict[str, str]
    """The digest of each context's manifest in the store, by directory."""
    images: dict[str, str]
    """The digest of each image that a FROM names, by its reference as in `normalized`."""


def entry(mode: int, digest: str) -> str:
    """Return a file's entry in a manifest, from its mode and the digest of its content."""
    return f"{stat.S_IMODE(mode):o} {digest[:32]}"


def normalized(reference: str) -> str:
    """Return an image's reference without the default registry, and with its tag."""
    name = reference.removeprefix("docker.io/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def encodable(path: str) -> str:
    """Return a path whose bytes that are not UTF-8, which JSON does not support, are replaced."""
    return path.encode(errors="replace").decode()


class _Known(Struct):
    """A digest, and the state of the file when it was computed."""

    state: tuple[int, int, int, int, int]
    entry: str


def manifest(directory: Path) -> dict[str, str]:
    """Return the entry of each file in a build context, by path."""
    kept = store.directory() / KNOWN
    try:
        known = msgspec.json.decode(kept.read_bytes(), type=dict[str, _Known])
    except (OSError, msgspec.MsgspecError):
        known = {}
    prefix = f"{directory}/"
    still_known = {path: value for path, value in known.items() if not path.startswith(prefix)}
    files: dict[str, str] = {}
    for name, status in ignore.read(directory).files(directory):
        path = directory / name
        times = (status.st_mtime_ns, status.st_ctime_ns)
        state = (status.st_size, status.st_mode, status.st_ino, *times)
        key = encodable(str(path))
        found = known.get(key)
        if found is None or found.state != state:
            found = _Known(state, _entry(path, status.st_mode))
        files[encodable(name)] = found.entry
        if time.time_ns() - max(times) > _RACY_SECONDS * 1e9:
            still_known[key] = found
    if still_known != known:
        store.replace(kept, msgspec.json.encode(still_known))
    return files


def _entry(path: Path, mode: int) -> str:
    try:
        if stat.S_ISLNK(mode):
            return f"link {path.readlink()}"
        with path.open("rb") as file:
            return entry(mode, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        return f"unreadable {error.errno}"


class Recording:
    """The inputs of a build that is about to start, read while it runs."""

    def __init__(
        self,
        targets: Sequence[str],
        *,
        files: Sequence[str],
        environment: Mapping[str, str],
        trees: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Read the context of the checkout, and start to read the bake files.

        Args:
            targets: the bake targets that are requested.
            files: the bake files.
            environment: the environment of the build, which has bake variables.
            trees: the manifests of directories that are known already, by directory.
        """
        self._manifests = {".": manifest(ROOT), **trees}
        executor = ThreadPoolExecutor(max_workers=1)
        self._bake = executor.submit(_read_bake, targets, files, environment)
        executor.shutdown(wait=False)

    def finish(self, build: Build) -> str:
        """Store the inputs of the build that ended.

        Return their digest in the store; an empty string if the bake files cannot be read.
        """
        try:
            targets, dockerfiles = self._bake.result()
        except (UserError, msgspec.MsgspecError, OSError):
            return ""  # a build must not fail because it cannot be explained later
        for target in targets.values():
            for location in (target.context, *target.contexts.values()):
                if location not in self._manifests and (ROOT / location).is_dir():
                    self._manifests[location] = manifest(ROOT / location)
        contexts = {
            directory: store.put(msgspec.json.encode(files, order="sorted"))
            for directory, files in self._manifests.items()
        }
        inputs = Inputs(targets, dockerfiles, contexts, _images(build))
        return store.put(msgspec.json.encode(inputs, order="sorted"))


def _read_bake(
    names: Sequence[str], files: Sequence[str], environment: Mapping[str, str]
) -> tuple[dict[str, Target], dict[str, str]]:
    """Return the bake targets, and the digests of their Dockerfiles by path.

    Raises:
        UserError: buildx cannot read the bake files.
    """
    printed = bake.bake_print(*names, files=files, environment=environment)
    targets = msgspec.convert(printed["target"], dict[str, Target])
    for target in targets.values():
        target.args = {k: v for k, v in target.args.items() if k.upper() not in _NOT_IN_KEYS}
    paths = {target.dockerfile for target in targets.values() if not target.inline}
    texts = {path: ROOT / path for path in sorted(paths)}
    return targets, {p: store.put(file.read_bytes()) for p, file in texts.items() if file.exists()}


def _images(build: Build) -> dict[str, str]:
    """Return the digests of the images that the steps of a build began with, by reference."""
    images: dict[str, str] = {}
    for step in build.steps.values():
        if match := _FROM.fullmatch(step.text):
            # BuildKit names no digest for an image that only the engine has.
            images[normalized(match[1])] = match[2] or client.image_id(match[1])
    return images


def read(digest: str) -> Inputs | None:
    """Return stored inputs; None if they are not, or no longer, in the store."""
    content = store.get(digest)
    try:
        return msgspec.json.decode(content, type=Inputs) if content else None
    except msgspec.MsgspecError:
        return None


def read_manifest(digest: str) -> Mapping[str, str] | None:
    """Return a stored manifest; None if it is no longer in the store."""
    content = store.get(digest)
    return None if content is None else msgspec.json.decode(content, type=dict[str, str])
