"""Read the layers of a saved image, without running it.

A file that a later layer deletes is still part of the image: every user downloads it and can
read it. Images are therefore read layer by layer.
"""

import json
import posixpath
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from gzip import GzipFile
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.images import catalogue

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
"""The beginning of the name of a file that hides another one, and the name of one that hides all
files of its directory in the layers below."""
_GZIP = b"\x1f\x8b"
_CHUNK = 2**20
_MAX_LINKS = 40  # as in the Linux kernel
_TYPES = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


@dataclass(frozen=True)
class Entry:
    """A path in a layer."""

    path: str
    """The absolute path, such as `/usr/local/bin/vmaf`."""
    mode: int
    """The type and permissions as in `stat`; 0 for a whiteout."""
    uid: int = 0
    gid: int = 0
    size: int = 0
    link: str = ""
    """The target of a symbolic link."""
    member: tarfile.TarInfo | None = None

    @property
    def is_whiteout(self) -> bool:
        """Whether the entry is a whiteout, which removes `path` from the layers below."""
        return self.mode == 0

    @property
    def is_file(self) -> bool:
        """Whether the entry is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_dir(self) -> bool:
        """Whether the entry is a directory."""
        return stat.S_ISDIR(self.mode)


@dataclass(frozen=True)
class Layer:
    """A layer and the instruction that created it."""

    number: int
    """The position of the layer; the base is 1."""
    made_by: str
    blob: str
    """The path of its file in the archive."""
    entries: Sequence[Entry]
    opaque: frozenset[str]
    """The directories that hide their content in the layers below."""

    def __str__(self) -> str:
        """Return the number and the instruction of the layer, as in `docker history`."""
        return f"layer {self.number} ({self.made_by})"


def _file(tar: tarfile.TarFile, member: tarfile.TarInfo) -> BufferedReader:
    """Return the content of a regular file of a tar file."""
    return cast("BufferedReader", tar.extractfile(member))


def absolute(name: str) -> str:
    """Return the absolute path of a tar member."""
    return posixpath.normpath("/" + name.lstrip("/"))


def _entry(member: tarfile.TarInfo, path: str) -> Entry:
    """Return the entry of a tar member; a hard link counts as a file."""
    mode = _TYPES.get(member.type, stat.S_IFREG) | member.mode
    link = member.linkname if member.issym() else ""
    return Entry(path, mode, member.uid, member.gid, member.size, link, member)


def target(layer: Layer, entry: Entry) -> Entry:
    """Return the file that a hard link refers to, and any other entry unchanged."""
    if not entry.member or not entry.member.islnk():
        return entry
    path = absolute(entry.member.linkname)
    return next(other for other in layer.entries if other.path == path and other.is_file)


def _contents(tar: tarfile.TarFile) -> tuple[Sequence[Entry], frozenset[str]]:
    """Return the entries of a layer, and the directories that it makes opaque."""
    entries, opaque = [], set()
    for member in tar:
        path = absolute(member.name)
        directory, name = posixpath.split(path)
        if name == OPAQUE:
            opaque.add(directory)
        elif name.startswith(WHITEOUT):
            removed = posixpath.join(directory, name.removeprefix(WHITEOUT))
            entries.append(Entry(removed, mode=0))
        else:
            entries.append(_entry(member, path))
    return entries, frozenset(opaque)


def _hidden_by(layer: Layer) -> Callable[[str], bool]:
    """Return a predicate that tells whether a layer hides a path of the layers below."""
    replaced = {entry.path for entry in layer.entries if not entry.is_dir}
    hidden = replaced | layer.opaque

    @cache  # many files share a directory
    def is_hidden(directory: str) -> bool:
        return directory in hidden or (directory != "/" and is_hidden(posixpath.dirname(directory)))

    return lambda path: path in replaced or is_hidden(posixpath.dirname(path))


class Archive:
    """A directory with the layers of saved images, to which `save` adds images.

    Docker 25 and newer save an OCI layout; older versions save a directory per layer. In both,
    manifest.json lists the layers, and the name of a layer identifies its content. A layer that
    several images share is therefore stored and read once.
    """

    def __init__(self, directory: Path) -> None:
        """Start without an image, in an existing directory."""
        self._directory = directory
        self._manifest: list[Mapping[str, Any]] = []
        self._contents: dict[str, tuple[Sequence[Entry], frozenset[str]]] = {}

    def save(self, *images: str) -> None:
        """Add images of the engine, by tag or id, with one `docker save`.

        The engine stores a copy of all their layers below its data directory meanwhile.

        Raises:
            UserError: the engine cannot save them, or the directory has no space for them.
        """
        with process.start_reading("docker", "save", *images) as docker:
            stdout, stderr = cast("IO[bytes]", docker.stdout), cast("IO[bytes]", docker.stderr)
            try:
                self.add(stdout)
                reason = ""
            except (OSError, UserError) as error:
                docker.kill()
                reason = error.why if isinstance(error, UserError) else str(error)
            message = stderr.read().decode(errors="replace").strip()
        if reason or docker.returncode:
            raise UserError(
                f"cannot save {' '.join(images)}",
                message or reason,
                f"The layers are stored in {self._directory} and, while `docker save` runs, below"
                " the engine's data directory. TMPDIR sets another temporary directory.",
            )

    def add(self, stream: IO[bytes]) -> None:
        """Add images from the output of `docker save`.

        Raises:
            UserError: `docker save` did not write this stream.
            OSError: a layer cannot be written.
        """
        manifest: Sequence[Mapping[str, Any]] = ()
        try:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    if member.name == "manifest.json":
                        manifest = json.load(_file(tar, member))
                    else:
                        self._store(tar, member)
        except tarfile.ReadError:
            manifest = ()
        if not manifest:
            raise UserError(
                "cannot read the image", "`docker save` did not write this file", "Save it again."
            )
        self._manifest += manifest

    def _store(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Store a file of `docker save`, decompressed, unless the directory already has it."""
        path = self._directory / member.name
        if member.isdir() or path.is_symlink() or path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.issym():
            path.symlink_to(member.linkname)
            return
        source = _file(tar, member)
        is_compressed = source.peek(len(_GZIP)).startswith(_GZIP)
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as file:
            shutil.copyfileobj(GzipFile(fileobj=source) if is_compressed else source, file, _CHUNK)
        partial.rename(path)

    def image(self, tag: str = "") -> "SavedImage":
        """Return the image with a tag, or the first image by default."""
        manifest = next(image for image in self._manifest if not tag or tag in image["RepoTags"])
        config = json.loads((self._directory / manifest["Config"]).read_bytes())
        return SavedImage(self, manifest["Layers"], config)

    def layer(self, number: int, made_by: str, blob: str) -> Layer:
        """Return the layer in a file of the archive."""
        if blob not in self._contents:
            with tarfile.open(self._directory / blob) as tar:
                self._contents[blob] = _contents(tar)
        return Layer(number, made_by, blob, *self._contents[blob])

    def content(self, layer: Layer, entry: Entry) -> bytes:
        """Return the content of a file of a layer."""
        file = target(layer, entry)
        return b"".join(self.chunks(layer, file, max(file.size, 1), overlap=0))

    def chunks(self, layer: Layer, entry: Entry, size: int, overlap: int) -> Iterator[bytes]:
        """Yield the content of a file in chunks; each repeats the end of the previous chunk."""
        offset = entry.member.offset_data if entry.member else 0
        repeated, remaining = b"", entry.size
        with (self._directory / layer.blob).open("rb") as file:
            file.seek(offset)
            while remaining:
                chunk = file.read(min(size, remaining))
                yield repeated + chunk
                remaining -= len(chunk)
                repeated = chunk[-overlap:] if overlap else b""


class SavedImage:
    """An image in an archive."""

    def __init__(self, archive: Archive, blobs: Sequence[str], config: Mapping[str, Any]) -> None:
        """Take the paths of the layers in the archive, and the image's configuration."""
        self._archive, self.blobs, self.config = archive, blobs, config

    @cached_property
    def layers(self) -> Sequence[Layer]:
        """The layers, the base first."""
        made_by = [
            " ".join((step.get("created_by") or step.get("comment") or "unknown").split())
            for step in self.config.get("history", ())
            if not step.get("empty_layer")
        ]
        if len(made_by) != len(self.blobs):  # squashed, or without a history
            made_by = ["unknown"] * len(self.blobs)
        return [
            self._archive.layer(number, how, blob)
            for number, (how, blob) in enumerate(zip(made_by, self.blobs, strict=True), 1)
        ]

    def content(self, layer: Layer, entry: Entry) -> bytes:
        """Return the content of a file of a layer."""
        return self._archive.content(layer, entry)

    def chunks(self, layer: Layer, entry: Entry, size: int, overlap: int = 0) -> Iterator[bytes]:
        """Yield the content of a file in overlapping pieces; a hard link has none."""
        return self._archive.chunks(layer, entry, size, overlap)

    def below(self, layer: Layer) -> "SavedImage":
        """Return the image that one of the layers was added to."""
        return SavedImage(self._archive, self.blobs[: layer.number - 1], {})

    @property
    def merged(self) -> Mapping[str, tuple[Layer, Entry]]:
        """The merged file system, as in a container: the layer and entry of each path."""
        return self._stacked[0]

    @property
    def hidden(self) -> Sequence[tuple[Layer, Entry, Layer]]:
        """The hidden files, each with its own layer and the layer that hides it."""
        return self._stacked[1]

    @cached_property
    def _stacked(
        self,
    ) -> tuple[Mapping[str, tuple[Layer, Entry]], Sequence[tuple[Layer, Entry, Layer]]]:
        seen: dict[str, tuple[Layer, Entry]] = {}
        hidden = []
        for layer in self.layers:
            for path in filter(_hidden_by(layer), list(seen)):
                below, entry = seen.pop(path)
                if entry.is_file:
                    hidden.append((below, entry, layer))
            seen.update(
                (entry.path, (layer, entry)) for entry in layer.entries if not entry.is_whiteout
            )
        return seen, hidden

    def resolve(self, path: str) -> str:
        """Resolve the symbolic links in a path, as in a container; the path need not exist."""
        done, todo, links = "/", path.split("/")[::-1], 0
        while todo:
            step = posixpath.normpath(posixpath.join(done, todo.pop()))
            _, entry = self.merged.get(step, (None, None))
            if entry and entry.link and links < _MAX_LINKS:
                links += 1
                done = "/" if entry.link.startswith("/") else done
                todo += entry.link.split("/")[::-1]
            else:
                done = step
        return done

    def read(self, path: str) -> bytes:
        """Return the content of a file, with symbolic links resolved.

        Raises:
            FileNotFoundError: the image has no such file.
        """
        layer, entry = self.merged.get(self.resolve(path), (None, None))
        if not layer or not entry or not entry.is_file:
            raise FileNotFoundError(path)
        return self._archive.content(layer, entry)


@contextmanager
def saved_image(tag: str) -> Iterator[tuple[int, SavedImage]]:
    """Save an image to a temporary archive; yield its size on the engine's disk, and the image.

    Raises:
        UserError: the engine has no such image, or cannot save it.
    """
    # `docker save` with a name but no tag saves every image of that name, so the id is used.
    shown = process.output("docker", "image", "inspect", "--format", "{{.Size}} {{.Id}}", tag)
    size, _, identity = shown.strip().partition(" ")
    if not size:
        built = " ".join(image.tag for image in catalogue.images().values())
        raise UserError(
            "cannot read an image",
            f"the engine has no `{tag}`",
            f"The project's images are: {built}.",
        )
    say(f"saving {tag}, {int(size) / 10**6:,.0f} MB")
    with TemporaryDirectory(prefix="vmaf-image-") as directory:
        archive = Archive(Path(directory))
        archive.save(identity)
        yield int(size), archive.image()
