"""List the final file system of an image, and compare two listings."""

import json
import posixpath
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Literal

from scripts.contents import archive, elf
from scripts.contents.archive import Layer, SavedImage, saved_image

Owner = Literal["project", "package", "installation"]
OWNERS: Mapping[Owner, str] = {
    "project": "files of the project",
    "package": "files of Debian packages",
    "installation": "files made by their installation",
}
"""The owners of paths, each with its heading in a comparison."""
PROJECT = re.compile(
    r"/(usr/local|opt)/|/etc/(OpenCL/vendors|ld\.so\.conf\.d|apt/(preferences|sources\.list)\.d)/"
    r"|/(data|workspace|ccache)$"
)
"""The paths that the recipes write, except for the files of Debian packages in them."""

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
_LISTS = re.compile(r"/var/lib/dpkg/info/[^/]+\.list")
_CHUNK = 2**20
_MAX_PARTS = 4  # the parts that a difference names
_PYC_HEADER = 16
_BUILD_IDS = (".note.gnu.build-id", ".note.go.buildid")  # computed from the rest of the file


@dataclass(frozen=True)
class Entry:
    """A path of the final file system."""

    kind: str
    """`file`, `directory`, `link` or `device`."""
    mode: int
    """The permissions."""
    uid: int
    gid: int
    size: int = 0
    sha256: str = ""
    link: str = ""
    """The target of a symbolic link."""
    owner: Owner = "project"
    parts: Mapping[str, str] = field(default_factory=dict)
    """Digests of the parts of the project's files, such as ELF sections, to report which differ."""


_ABSENT = Entry("absent", 0, 0, 0)


@dataclass(frozen=True)
class Difference:
    """A path that differs between two images."""

    path: str
    owner: Owner
    what: str
    """The properties that differ, each with both values."""
    why: str = ""
    """The parts of the content that differ; empty if unknown."""


def listing(tag: str) -> dict[str, Entry]:
    """Save an image and list its final file system.

    Raises:
        UserError: the engine has no such image, or cannot save it.
    """
    with saved_image(tag) as (_, saved):
        return read(saved)


def read(saved: SavedImage) -> dict[str, Entry]:
    """List the final file system of a saved image."""
    packaged = frozenset(_packaged(saved))
    return {
        path: _entry(saved, layer, entry, _owner(path, packaged))
        for path, (layer, entry) in sorted(saved.merged.items())
    }


def _packaged(saved: SavedImage) -> Iterator[str]:
    """Yield the paths of Debian packages, with symbolic links such as /lib resolved."""
    resolve = cache(saved.resolve)
    for path in filter(_LISTS.fullmatch, saved.merged):
        for line in saved.read(path).decode().splitlines():
            directory, name = posixpath.split(line)
            yield posixpath.join(resolve(directory), name)


def _owner(path: str, packaged: frozenset[str]) -> Owner:
    if path in packaged:
        return "package"
    return "project" if PROJECT.match(path) else "installation"


def _entry(saved: SavedImage, layer: Layer, entry: archive.Entry, owner: Owner) -> Entry:
    kind, mode = _KINDS.get(stat.S_IFMT(entry.mode), "device"), stat.S_IMODE(entry.mode)
    if not entry.is_file:
        return Entry(kind, mode, entry.uid, entry.gid, link=entry.link, owner=owner)
    file = archive.target(layer, entry)
    digest = sha256()
    first_chunk = b""
    for chunk in saved.chunks(layer, file, _CHUNK):
        digest.update(chunk)
        first_chunk = first_chunk or chunk
    parts = {}
    if owner == "project" and (
        first_chunk.startswith(elf.MAGIC) or entry.path.endswith((".json", ".pyc"))
    ):
        for name, content in _parts(entry.path, saved.content(layer, file)):
            parts[name] = sha256(content).hexdigest()[:16]
    size = file.size
    return Entry(kind, mode, entry.uid, entry.gid, size, digest.hexdigest(), "", owner, parts)


def _parts(path: str, content: bytes) -> Iterator[tuple[str, bytes | memoryview]]:
    """Yield the parts of a file: ELF sections, JSON keys, or the header and code of a .pyc file."""
    if path.endswith(".json"):
        try:
            document = json.loads(content)
        except ValueError:
            return
        if isinstance(document, dict):
            yield from ((key, json.dumps(value).encode()) for key, value in document.items())
    elif path.endswith(".pyc"):
        yield "the time of its source", content[8:12]
        yield "its code", content[_PYC_HEADER:]
    else:
        yield from elf.sections(content)


def differences(a: Mapping[str, Entry], b: Mapping[str, Entry]) -> list[Difference]:
    """Return the paths that differ between two listings, the project's files first."""
    order, result = list(OWNERS), []
    for path in sorted(a.keys() | b.keys()):
        first, second = a.get(path, _ABSENT), b.get(path, _ABSENT)
        if what := list(_changes(first, second)):
            owners = {entry.owner for entry in (first, second) if entry is not _ABSENT}
            owner = min(owners, key=order.index)
            difference = Difference(path, owner, "; ".join(what), _changed_parts(first, second))
            result.append(difference)
    return sorted(result, key=lambda difference: order.index(difference.owner))


def _changes(a: Entry, b: Entry) -> Iterator[str]:
    """Yield the properties that differ, each with both values."""
    if a.kind != b.kind:
        yield f"{a.kind}, {b.kind}"
    if _ABSENT in (a, b):
        return
    if a.mode != b.mode:
        yield f"mode {a.mode:04o}, {b.mode:04o}"
    if (a.uid, a.gid) != (b.uid, b.gid):
        yield f"of {a.uid}:{a.gid}, {b.uid}:{b.gid}"
    if a.link != b.link:
        yield f"to {a.link}, {b.link}"
    if a.sha256 != b.sha256:
        yield f"{a.size:,} bytes, {b.size:,}" if a.size != b.size else f"content, {a.size:,} bytes"


def _changed_parts(a: Entry, b: Entry) -> str:
    """Return the parts that differ; a build id is named only if nothing else differs."""
    if _ABSENT in (a, b):
        return ""
    differ = [name for name in {**a.parts, **b.parts} if a.parts.get(name) != b.parts.get(name)]
    causes = [name for name in differ if not name.startswith(_BUILD_IDS)] or differ
    more = f" and {len(causes) - _MAX_PARTS} more" if len(causes) > _MAX_PARTS else ""
    return ", ".join(causes[:_MAX_PARTS]) + more
