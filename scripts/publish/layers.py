"""Write the layers of an image so that equal files give equal bytes, whichever engine built it.

Engines differ in what a layer has besides the changes of its step: BuildKit in a Docker Engine also
lists directories and files that the step opened and did not change, and marks each new directory as
one that hides those below. Such entries are left out, and all others get the same time.
"""

import posixpath
import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from scripts.contents.archive import (
    OPAQUE,
    WHITEOUT,
    Entry,
    Layer,
    SavedImage,
    absolute,
    target,
)

TIME = "1980-01-01T00:00:00Z"
"""The time of all files in a published image: the earliest that archives of all kinds can have."""
_SECONDS = int(datetime.fromisoformat(TIME).timestamp())
_CHUNK = 2**20
_XATTR = "SCHILY.xattr."


def write(image: SavedImage, layer: Layer, directory: Path, path: Path) -> None:
    """Write a layer as an uncompressed tar archive.

    Args:
        image: the image.
        layer: one of its layers.
        directory: the directory to which the image was saved.
        path: the file to write.
    """
    below = image.below(layer)
    with (
        tarfile.open(directory / layer.blob) as source,
        tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for member in _changes(source, image, layer, below):
            tar.addfile(_header(member), source.extractfile(member) if member.isreg() else None)


def _changes(
    source: tarfile.TarFile, image: SavedImage, layer: Layer, below: SavedImage
) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a layer that change what is below it, in their order."""
    entries = {entry.path: entry for entry in layer.entries}
    linked = {path for entry in layer.entries for path in _links(layer, entry)}
    filled = {posixpath.dirname(path) for path in below.merged}
    for member in source:
        path = absolute(member.name)
        directory, name = posixpath.split(path)
        if name == OPAQUE:
            changes = directory in filled
        elif name.startswith(WHITEOUT):
            changes = posixpath.join(directory, name.removeprefix(WHITEOUT)) in below.merged
        elif path in linked or path not in below.merged:
            changes = True
        else:
            changes = not _equal(image, (layer, entries[path]), below.merged[path])
        if changes:
            yield member


def _links(layer: Layer, entry: Entry) -> Iterator[str]:
    """Yield the paths of a hard link and of its file, which stay together."""
    if entry.member and entry.member.islnk():
        yield entry.path
        yield target(layer, entry).path


def _equal(image: SavedImage, one: tuple[Layer, Entry], other: tuple[Layer, Entry]) -> bool:
    """Return whether two entries are the same file, directory, link or device."""
    (layer, a), (lower, b) = one, other
    if (a.mode, a.uid, a.gid, a.link) != (b.mode, b.uid, b.gid, b.link):
        return False
    if not a.member or not b.member or _attributes(a.member) != _attributes(b.member):
        return False
    if not a.is_file:
        return (a.member.devmajor, a.member.devminor) == (b.member.devmajor, b.member.devminor)
    first, second = target(layer, a), target(lower, b)
    return first.size == second.size and all(
        x == y
        for x, y in zip(
            image.chunks(layer, first, _CHUNK), image.chunks(lower, second, _CHUNK), strict=True
        )
    )


def _attributes(member: tarfile.TarInfo) -> dict[str, str]:
    return {name: text for name, text in member.pax_headers.items() if name.startswith(_XATTR)}


def _header(source: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return the header of a member, with the time that all have, and without names of users."""
    member = tarfile.TarInfo(source.name)
    member.mtime = _SECONDS
    if not posixpath.basename(source.name).startswith(WHITEOUT):
        member.type, member.mode, member.size = source.type, source.mode, source.size
        member.uid, member.gid, member.linkname = source.uid, source.gid, source.linkname
        member.devmajor, member.devminor = source.devmajor, source.devminor
        member.pax_headers = _attributes(source)
    else:
        member.mode = 0
    return member
