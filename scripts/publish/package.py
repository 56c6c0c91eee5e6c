"""Make an image of the engine ready to be pushed: equal files then have equal digests.

`docker save` writes uncompressed layers with the times at which their files were made. In a
package, all files have the same time, and the layers are compressed. A layer therefore has the same
digest on all builders and in all releases, as long as its files do not change, and users do not
pull it again.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.contents.archive import SavedImage
from scripts.core import process
from scripts.core.console import UserError
from scripts.publish import layers

COMPRESSIONS = ("zstd", "gzip")
"""The compressions of layers. Docker before 23 and containerd before 1.5 cannot read zstd."""
_PACKED = "packed"
_OCI = "application/vnd.oci.image."
_LABELS = "org.opencontainers.image."


@dataclass(frozen=True)
class Package:
    """An image in a local OCI layout, as it is pushed."""

    layout: str
    """The reference for regctl."""
    descriptor: Mapping[str, Any]
    """The descriptor of its manifest."""
    layers: int
    bytes: int
    """The size of its layers."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """The annotations of its manifest."""

    @property
    def digest(self) -> str:
        """The digest of its manifest."""
        return str(self.descriptor["digest"])


def pack(regctl: Path, saved: Path, image: SavedImage, compression: str, result: Path) -> Package:
    """Make the package of an image.

    Args:
        regctl: the program.
        saved: the directory to which the image was saved; it gets another copy of the image.
        image: the image.
        compression: one of `COMPRESSIONS`.
        result: an empty directory for the layout of the package.

    Raises:
        UserError: the disk is full, or regctl failed.
    """
    created = image.config["created"]
    labels = image.config.get("config", {}).get("Labels") or {}
    annotations = [
        f"--annotation={name}={value}"
        for name, value in sorted({**labels, f"{_LABELS}created": created}.items())
        if name.startswith(_LABELS) and value
    ]
    plain = saved / "plain"
    try:
        digest = _write_layout(image, saved, plain)
    except OSError as error:
        raise _unprepared(str(error)) from error
    _run(
        *(regctl, "image", "mod", f"ocidir://{plain}@{digest}", f"--create={_PACKED}"),
        *(f"--config-time=set={created}", f"--layer-compress={compression}", *annotations),
    )
    _run(regctl, "image", "copy", f"ocidir://{plain}:{_PACKED}", f"ocidir://{result}:{_PACKED}")
    return read(result)


def _write_layout(image: SavedImage, saved: Path, directory: Path) -> str:
    """Write a layout with the layers of `layers.write`; return the digest of its manifest."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    found = []
    for layer in image.layers:
        part = directory / "layer"
        layers.write(image, layer, saved, part)
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.append(_descriptor("layer.v1.tar", digest, part.stat().st_size))
        part.rename(blobs / digest)
    diff_ids = [layer["digest"] for layer in found]
    config = {**image.config, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}manifest.v1+json",
        "config": _blob(blobs, "config.v1+json", config),
        "layers": found,
    }
    entry = _blob(blobs, "manifest.v1+json", manifest)
    index = {"schemaVersion": 2, "manifests": [entry]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return str(entry["digest"])


def _blob(blobs: Path, kind: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Write a document as a blob, and return its descriptor."""
    content = json.dumps(document).encode()
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return _descriptor(kind, digest, len(content))


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": f"{_OCI}{kind}", "digest": f"sha256:{digest}", "size": size}


def read(directory: Path) -> Package:
    """Return the only image of a layout."""
    (entry,) = json.loads((directory / "index.json").read_bytes())["manifests"]
    digest = entry["digest"]
    manifest = json.loads(blob(directory, digest).read_bytes())
    found = manifest["layers"]
    size = sum(layer["size"] for layer in found)
    layout = f"ocidir://{directory}@{digest}"
    return Package(layout, entry, len(found), size, manifest.get("annotations") or {})


def blob(directory: Path, digest: str) -> Path:
    """Return the path of a blob in a layout."""
    return directory / "blobs" / digest.replace(":", "/", 1)


def _run(*command: str | Path) -> None:
    done = process.run(*map(str, command))
    if done.returncode:
        raise _unprepared((done.stderr.strip().splitlines() or ["regctl printed no reason"])[-1])


def _unprepared(why: str) -> UserError:
    return UserError(
        "cannot prepare the image",
        why,
        "Check that the disk has space for two copies of it: TMPDIR sets another directory.",
    )
