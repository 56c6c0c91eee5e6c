"""Archives of cache mounts: OCI image layouts with one layer per mount.

A layout has `oci-layout`, `index.json` and `blobs/sha256/`. index.json is replaced last, and by a
rename, so that the previous archive stays valid if a save is interrupted. `transport.py` copies the
same blobs to a registry and back.
"""

import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

from scripts.core.console import UserError

ARTIFACT = "application/vnd.vmaf-images.caches.v1"
CONFIG = "application/vnd.vmaf-images.caches.config.v1+json"
LAYER = "application/vnd.vmaf-images.cache.v1.tar+zstd"
PROGRAM = "application/vnd.vmaf-images.cache-stream.v1"
"""The media type of the program that loads the archives (docker/cache-stream)."""
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
TITLE = "org.opencontainers.image.title"

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_PART = ".part-"
T = TypeVar("T")


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """The archive of one cache mount."""

    id: str
    """The id of the mount, with its variables replaced."""
    namespace: str
    """The namespace of the mount that was saved; empty for the default one."""
    architecture: str
    files: int
    """The number of files and links."""
    bytes: int
    """The sum of the sizes of the files."""
    archive_bytes: int
    digest: str
    """The digest of the archive, `sha256:...`."""
    compiler: dict[str, str]
    """What decides whether the results of a compiler cache are hits: digests by name. Empty for a
    mount without such results."""
    hit_rates: dict[str, float]
    """The hit rates of the last recorded build that used the mount, by compiler cache."""
    commit: str
    """The commit of this repository."""


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """The config of the OCI artifact."""

    entries: list[Entry]


class Descriptor(Struct, frozen=True, omit_defaults=True):
    """The descriptor of a blob."""

    media_type: str = field(name="mediaType")
    digest: str
    size: int
    annotations: dict[str, str] = {}

    def titled(self, title: str) -> "Descriptor":
        """Return the descriptor with a title, the name under which oras extracts the blob."""
        return msgspec.structs.replace(self, annotations={TITLE: title})


class Manifest(Struct, frozen=True):
    """An OCI image manifest."""

    config: Descriptor
    layers: list[Descriptor]
    schema_version: int = field(name="schemaVersion", default=2)
    media_type: str = field(name="mediaType", default=MANIFEST)
    artifact_type: str = field(name="artifactType", default="")

    @property
    def blobs(self) -> Sequence[Descriptor]:
        """All blobs that the manifest refers to."""
        return [self.config, *self.layers]


class Index(Struct, frozen=True):
    """The index.json of a layout."""

    manifests: list[Descriptor]
    schema_version: int = field(name="schemaVersion", default=2)
    media_type: str = field(name="mediaType", default=INDEX)


def is_reference(place: str) -> bool:
    """Return whether a place is a reference in a registry; otherwise it is a directory.

    As in docker, a reference begins with the name of a host: one with a dot or a port, or
    `localhost`.
    """
    host, slash, _ = place.partition("/")
    named = host == "localhost" or "." in host.strip(".") or ":" in host
    return bool(slash) and named and not place.startswith((".", "/", "~"))


def damaged(what: str, why: str) -> UserError:
    """Return the error for an archive that cannot be trusted."""
    return UserError(
        f"cannot read {what}", why, "Save the caches again; nothing has been loaded from it."
    )


def digest_of(path: Path) -> str:
    """Return the digest of a file, `sha256:...`."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def decode(content: bytes, kind: type[T], what: str) -> T:
    """Return a parsed JSON document.

    Raises:
        UserError: it is not such a document.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise damaged(what, f"it is not an archive of this project's caches: {error}") from None


def check_manifest(manifest: Manifest, what: str) -> None:
    """Check that a manifest is that of an archive.

    Raises:
        UserError: it belongs to something else.
    """
    if manifest.artifact_type != ARTIFACT or manifest.config.media_type != CONFIG:
        raise damaged(what, "it is not an archive of this project's caches")


class Layout:
    """An OCI image layout in a directory."""

    def __init__(self, directory: Path, name: str = "") -> None:
        """Use a directory, which need not exist.

        Args:
            directory: the directory.
            name: what messages call it; the path of the directory by default.

        Raises:
            UserError: the directory has files, and is not such a layout.
        """
        self.directory, self.name = directory, name or str(directory)
        self._blobs = directory / "blobs" / "sha256"
        present = directory.exists() and any(directory.iterdir())
        if present and not (directory / "oci-layout").exists() and not self._blobs.exists():
            raise UserError(
                f"cannot use {self.name}",
                "the directory has files, and none of them is the index of an archive",
                "Choose another directory, which may be new.",
            )

    def path(self, digest: str) -> Path:
        """Return the path of a blob.

        Raises:
            UserError: the digest is malformed.
        """
        algorithm, _, value = digest.partition(":")
        if algorithm != "sha256" or len(value) != 64 or set(value) - set("0123456789abcdef"):  # noqa: PLR2004
            raise damaged(self.name, f"`{digest}` is not a digest")
        return self._blobs / value

    def part(self) -> Path:
        """Return the path for a new blob, to be completed by `add`."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        return self._blobs / f"{_PART}{secrets.token_hex(8)}"

    def add(self, part: Path, media_type: str, digest: str = "") -> Descriptor:
        """Give a new blob its name, and return its descriptor.

        Args:
            part: the path from `part`.
            media_type: the media type.
            digest: the digest if it is known.
        """
        digest = digest or digest_of(part)
        descriptor = Descriptor(media_type, digest, part.stat().st_size)
        part.replace(self.path(digest))
        return descriptor

    def add_bytes(self, content: bytes, media_type: str) -> Descriptor:
        """Add a small blob."""
        part = self.part()
        part.write_bytes(content)
        return self.add(part, media_type)

    def manifest(self) -> Manifest | None:
        """Return the manifest; None if the layout has none yet.

        Raises:
            UserError: the layout is damaged, or belongs to something else.
        """
        descriptor = self._current()
        if not descriptor:
            return None
        self.check(descriptor)
        manifest = decode(self.path(descriptor.digest).read_bytes(), Manifest, self.name)
        check_manifest(manifest, self.name)
        return manifest

    def manifest_bytes(self) -> bytes:
        """Return the manifest as it is stored, whose digest a registry must keep."""
        descriptor = self._current()
        return self.path(descriptor.digest).read_bytes() if descriptor else b""

    def _current(self) -> Descriptor | None:
        index = self.directory / "index.json"
        if not index.exists():
            return None
        manifests = decode(index.read_bytes(), Index, self.name).manifests
        if len(manifests) != 1:
            raise damaged(self.name, f"its index has {len(manifests)} manifests, not one")
        return manifests[0]

    def check(self, descriptor: Descriptor) -> None:
        """Check that a blob is complete and has its digest.

        Raises:
            UserError: it is missing, truncated or damaged.
        """
        path = self.path(descriptor.digest)
        if not path.exists():
            raise damaged(self.name, f"{descriptor.digest} is missing")
        if path.stat().st_size != descriptor.size:
            raise damaged(
                self.name, f"{descriptor.digest} has {path.stat().st_size} bytes, "
                f"not {descriptor.size}",
            )  # fmt: skip
        if digest_of(path) != descriptor.digest:
            raise damaged(self.name, f"{descriptor.digest} has another digest")

    def entries(self) -> list[Entry]:
        """Return what the archive has; nothing if the layout is empty.

        Raises:
            UserError: the layout is damaged, or belongs to something else.
        """
        manifest = self.manifest()
        if manifest is None:
            return []
        self.check(manifest.config)
        content = self.path(manifest.config.digest).read_bytes()
        return decode(content, Document, self.name).entries

    def commit(self, entries: Sequence[Entry], layers: Sequence[Descriptor]) -> None:
        """Replace the archive, and remove the blobs of the previous one.

        Args:
            entries: what the archive has.
            layers: the blobs that were added for it.
        """
        config = self.add_bytes(_json(Document(list(entries))), CONFIG)
        manifest = Manifest(config, list(layers), artifact_type=ARTIFACT)
        self.put_index(self.add_bytes(_json(manifest), MANIFEST))

    def put_index(self, manifest: Descriptor) -> None:
        """Make a manifest that was added the one of the layout, and remove all other blobs."""
        for name, content in (("oci-layout", _LAYOUT), ("index.json", _json(Index([manifest])))):
            part = self.directory / f"{_PART}{name}"
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.directory / name)
        current = self.manifest()
        blobs = current.blobs if current else []
        kept = {self.path(blob.digest) for blob in (manifest, *blobs)}
        for path in self._blobs.iterdir():
            if path not in kept:
                path.unlink()


def _json(document: Any) -> bytes:  # noqa: ANN401 (any Struct)
    return msgspec.json.encode(document)
