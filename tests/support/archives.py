"""Write small saved images for tests, in the format of `docker save`."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    directory: Path,
    layers: Sequence[bytes],
    *,
    history: bool = True,
    oci: bool = True,
    tag: str | None = TAG,
) -> Path:
    """Write an archive as `docker save` does, in the OCI layout or the layout before Docker 25."""
    steps = [{"created_by": "FROM base"}, {"created_by": "ENV A=1", "empty_layer": True}]
    steps += [{"created_by": f"RUN  step {number}"} for number in range(1, len(layers))]
    config = json.dumps({"history": steps if history else []}).encode()
    names = [f"blobs/sha256/{n}" if oci else f"{n}/layer.tar" for n in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": tag and [tag], "Layers": names}]
    path = directory / "saved.tar"
    with tarfile.open(path, "w") as tar:
        contents = {"config.json": config, "manifest.json": json.dumps(manifest).encode()}
        for name, content in {**contents, **dict(zip(names, layers, strict=True))}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@contextmanager
def open_image(directory: Path, *layers: bytes) -> Iterator[SavedImage]:
    """Write an archive with these layers, and yield its image."""
    with Archive(save(directory, layers)) as archive:
        yield archive.image(TAG)
