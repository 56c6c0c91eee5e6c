"""Make an image of the engine ready to be pushed: equal builds then have equal digests.

`docker save` writes uncompressed layers with the times at which their files were made. In a
package, no time is later than that of the image, which is the time of the commit that it was built
from, and the layers are compressed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core import process
from scripts.core.console import UserError

COMPRESSIONS = ("zstd", "gzip")
"""The compressions of layers. Docker before 23 and containerd before 1.5 cannot read zstd."""
_TIMED, _PACKED = "timed", "packed"
_LABELS = "org.opencontainers.image."


@dataclass(frozen=True)
class Package:
    """An image in a local OCI layout, as it is pushed."""

    layout: str
    """The reference for regctl."""
    digest: str
    """The digest of its manifest."""
    layers: int
    bytes: int
    """The size of its layers."""


def pack(
    regctl: Path, saved: Path, config: Mapping[str, Any], compression: str, result: Path
) -> Package:
    """Make the package of an image.

    Args:
        regctl: the program.
        saved: the layout that `docker save` wrote of this image only; it is changed.
        config: the configuration of the image.
        compression: one of `COMPRESSIONS`.
        result: an empty directory for the layout of the package.

    Raises:
        UserError: the engine is too old to write a layout, or regctl failed.
    """
    if not (saved / "oci-layout").exists():
        raise UserError(
            "cannot publish the image",
            "`docker save` did not write an OCI layout",
            "Use Docker 25 or newer.",
        )
    created = config["created"]
    labels = config.get("config", {}).get("Labels") or {}
    annotations = [
        f"--annotation={name}={value}"
        for name, value in sorted({**labels, f"{_LABELS}created": created}.items())
        if name.startswith(_LABELS) and value
    ]
    (entry,) = json.loads((saved / "index.json").read_bytes())["manifests"]
    layout = f"ocidir://{saved}"
    # In one run, regctl 0.11 would compress the layers first and then write them uncompressed.
    time = f"--time=set={created},after={created}"
    _run(
        *(regctl, "image", "mod", f"{layout}@{entry['digest']}", f"--create={_TIMED}"),
        *("--to-oci", time, *annotations),
    )
    _run(
        *(regctl, "image", "mod", f"{layout}:{_TIMED}", f"--create={_PACKED}"),
        f"--layer-compress={compression}",
    )
    _run(regctl, "image", "copy", f"{layout}:{_PACKED}", f"ocidir://{result}:{_PACKED}")
    return read(result)


def read(directory: Path) -> Package:
    """Return the only image of a layout."""
    (entry,) = json.loads((directory / "index.json").read_bytes())["manifests"]
    digest = entry["digest"]
    layers = json.loads(blob(directory, digest).read_bytes())["layers"]
    size = sum(layer["size"] for layer in layers)
    return Package(f"ocidir://{directory}@{digest}", digest, len(layers), size)


def blob(directory: Path, digest: str) -> Path:
    """Return the path of a blob in a layout."""
    return directory / "blobs" / digest.replace(":", "/", 1)


def _run(*command: str | Path) -> None:
    done = process.run(*map(str, command))
    if done.returncode:
        raise UserError(
            "cannot prepare the image",
            (done.stderr.strip().splitlines() or ["regctl printed no reason"])[-1],
            "Check that the disk has space for two copies of it: TMPDIR sets another directory.",
        )
