"""Write small saved images for tests, in the format of `docker save`."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from scripts.contents.archive import Archive, SavedImage

TAG = "made:here"

Files = Mapping[str, str | bytes]


def layer(
    files: Mapping[str, str | bytes],
    modes: Mapping[str, int] = MappingProxyType({}),
    *,
    hard: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """Return a layer with the given files, as a tar archive.

    Args:
        files: by path; bytes are the content of a file, and text is the target of a symbolic
            link. A path that ends with a slash is a directory.
        modes: the modes of files and directories, if not the default.
        hard: the paths of `files` that are hard links, with their targets.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path.rstrip("/"))
            if path in hard:
                member.type, member.linkname = tarfile.LNKTYPE, hard[path]
                tar.addfile(member)
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            elif path.endswith("/"):
                member.type, member.mode = tarfile.DIRTYPE, modes.get(path, 0o755)
                tar.addfile(member)
            else:
                member.size, member.mode = len(content), modes.get(path, 0o644)
                tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def save(
    layers: Sequence[bytes],
    *,
    history: bool = True,
    oci: bool = True,
    tag: str | None = TAG,
) -> io.BytesIO:
    """Return the output of `docker save`, in the OCI layout or the layout before Docker 25."""
    steps = [{"created_by": "FROM base"}, {"created_by": "ENV A=1", "empty_layer": True}]
    steps += [{"created_by": f"RUN  step {number}"} for number in range(1, len(layers))]
    config = json.dumps({"history": steps if history else []}).encode()
    files = {blob_name(config, "" if oci else ".json", oci=oci): config}
    names = [blob_name(content, "" if oci else "/layer.tar", oci=oci) for content in layers]
    files |= dict(zip(names, layers, strict=True))
    manifest = [{"Config": next(iter(files)), "RepoTags": tag and [tag], "Layers": names}]
    files["manifest.json"] = json.dumps(manifest).encode()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


def blob_name(content: bytes, suffix: str, *, oci: bool) -> str:
    """Return the path that `docker save` gives a layer or a configuration."""
    return ("blobs/sha256/" if oci else "") + hashlib.sha256(content).hexdigest() + suffix


def open_image(directory: Path, *layers: bytes) -> SavedImage:
    """Return an image with these layers, stored in a directory."""
    archive = Archive(directory)
    archive.add(save(layers))
    return archive.image(TAG)
