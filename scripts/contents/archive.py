"""What every layer of an image holds, read from a saved archive without running anything.

A file deleted by a later layer is still shipped, still pulled and still
readable by anyone who has the image. So what an image must not carry is looked
for layer by layer, and a finding names the layer.
"""

import json
import posixpath
import re
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Self, cast

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.images import catalogue

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MOST_LINKS = 40  # as many symbolic links as the kernel follows
_KINDS = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


@dataclass(frozen=True)
class Entry:
    """One path of one layer."""

    path: str
    """Absolute: `/usr/local/bin/vmaf`."""
    mode: int
    """Type and permissions, as `stat` has them; 0 for a whiteout."""
    uid: int = 0
    gid: int = 0
    size: int = 0
    link: str = ""
    """Where a symbolic link points."""
    member: tarfile.TarInfo | None = None

    @property
    def removes(self) -> bool:
        """Whether it is a whiteout: it takes `path` of the layers below away."""
        return self.mode == 0

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)


@dataclass(frozen=True)
class Layer:
    """One layer, and the instruction that made it."""

    number: int
    """Counted from 1, the base."""
    made_by: str
    blob: str
    """Its name in the archive."""
    entries: Sequence[Entry]
    opaque: frozenset[str]
    """Directories whose content in the layers below it hides."""

    def __str__(self) -> str:
        """Name the layer as `docker history` shows it."""
        return f"layer {self.number} ({self.made_by})"


@dataclass(frozen=True)
class Leftover:
    """Something that a build leaves behind and an image must not carry."""

    what: str
    pattern: str
    """A regular expression, searched for in the paths of what is not a directory."""
    example: str
    """A path that it finds; what the mutants and the unit tests plant."""


CACHES = (
    Leftover(
        "apt's downloads", r"^/var/cache/apt/archives/(?!lock$)", "/var/cache/apt/archives/x.deb"
    ),
    Leftover("apt's package cache", r"^/var/cache/apt/\w+\.bin$", "/var/cache/apt/pkgcache.bin"),
    Leftover("apt's lists", r"^/var/lib/apt/lists/(?!lock$)", "/var/lib/apt/lists/trixie_Release"),
    Leftover("a user's cache (pip, uv, Go builds)", r"/\.cache/", "/root/.cache/go-build/00/0-d"),
    Leftover("Go's modules", r"/pkg/mod/", "/go/pkg/mod/cache/download/x.zip"),
    Leftover(
        "Cargo's registry", r"/\.?cargo/(registry|git)/", "/root/.cargo/registry/cache/x.crate"
    ),
    Leftover("sccache", r"/\.?sccache/", "/var/cache/sccache/0/1/2"),
    Leftover(
        "ccache",
        r"/\.?ccache/([0-9a-f]/|tmp/|lock/|ccache\.conf$|CACHEDIR)|/[0-9a-f]/[0-9a-v]{20,}[MR]$",
        "/ccache/0/stats",
    ),
)
"""Cache mounts keep these out of every layer."""

TOOLS = (
    Leftover(
        "a compiler or linker",
        r"/bin/(\w+-linux-gnu-)?(cc|gcc|g\+\+|c\+\+|cpp|clang|clang\+\+|as|ld|ld\.\w+(?<!\.so)"
        r"|nasm|yasm|hipcc|icx|icpx|go|rustc)(-[\d.]+)?$|/(cc1|cc1plus|collect2|lto1)$",
        "/usr/bin/x86_64-linux-gnu-gcc-14",
    ),
    Leftover(
        "a CUDA tool", r"/(nvcc|cicc|ptxas|fatbinary|cudafe\+\+)$", "/usr/local/cuda/bin/nvcc"
    ),
    Leftover(
        "a build tool",
        r"/bin/(meson|ninja|cmake|make|cargo|ccache|sccache|git|pkg-config|pkgconf|xxd)$",
        "/usr/bin/ninja",
    ),
)
"""Tools of the build stages; a runtime image has none."""

DEVELOPMENT = (
    Leftover("a header", r"/include/|\.(h|hpp|cuh)$", "/usr/local/include/libvmaf/libvmaf.h"),
    Leftover(
        "a static library or object",
        # Intel's OpenCL device links its kernels, at run time, with objects of its own.
        r"^(?!/opt/intel/oneapi/lib/cllibrary\w+\.o$).*\.(a|la|o)$",
        "/usr/local/lib/libvmaf.a",
    ),
    Leftover("a pkg-config file", r"\.pc$", "/usr/local/lib/pkgconfig/libvmaf.pc"),
    Leftover(
        "a source file",
        r"^(?!/usr/share/doc/).*\.(c|cc|cpp|cu|asm|S|go|rs)$|^/usr/src/",
        "/usr/local/share/ffmpeg/examples/encode_video.c",
    ),
    Leftover("a source tree", r"/(meson\.build|CMakeLists\.txt)$", "/src/meson.build"),
)
"""What only a build needs; a runtime image has none."""

BUILDS = (
    Leftover(
        "a build tree",
        r"/(\.git|meson-private|build\.ninja|CMakeCache\.txt|config\.mak)(/|$)",
        "/build/build.ninja",
    ),
    Leftover(
        "a temporary file",
        r"^/(var/)?tmp/|^/run/(?!lock/)",
        "/tmp/configure.log",  # noqa: S108 (a path to find, not one to write)
    ),
)
"""What a build works in; no image has any."""

SECRETS = (
    Leftover("a build secret", r"^/run/secrets/", "/run/secrets/ca"),
    Leftover(
        "somebody's credentials",
        r"/(\.netrc|\.npmrc|\.pypirc|\.git-credentials|auth\.conf|\.docker/config\.json"
        r"|\.aws/credentials|\.ssh/.+|id_(rsa|ecdsa|ed25519))$|^/etc/ssl/private/",
        "/root/.netrc",
    ),
    Leftover(
        "a setting of the build machine",
        r"/pip/pip\.conf$|/pip\.conf$|/uv\.toml$|^/etc/apt/apt\.conf\.d/.*proxy",
        "/etc/pip.conf",
    ),
    Leftover(
        "a certificate of the build machine",
        r"^/usr/local/share/ca-certificates/",
        "/usr/local/share/ca-certificates/proxy.crt",
    ),
)
"""What was lent to a build and belongs to nobody else."""


def leftovers(layers: Iterable[Layer], unwanted: Sequence[Leftover]) -> list[str]:
    """Return a line for each unwanted path, naming the layer that carries it.

    A whiteout counts: the file it hides was shipped by a layer below.
    """
    return [
        f"{layer} {'hides' if entry.removes else 'carries'} {entry.path}: {leftover.what}"
        for layer in layers
        for entry in layer.entries
        if not entry.is_dir
        for leftover in unwanted
        if re.search(leftover.pattern, entry.path)
    ]


def _absolute(name: str) -> str:
    """Return the path of a member in the image."""
    return posixpath.normpath("/" + name.lstrip("/"))


def _entry(member: tarfile.TarInfo, path: str) -> Entry:
    """Describe one member of a layer; a hard link is a file like any other."""
    mode = _KINDS.get(member.type, stat.S_IFREG) | member.mode
    link = member.linkname if member.issym() else ""
    return Entry(path, mode, member.uid, member.gid, member.size, link, member)


def target(layer: Layer, entry: Entry) -> Entry:
    """Return the file that a hard link is a name of, and any other as it is."""
    if not entry.member or not entry.member.islnk():
        return entry
    path = _absolute(entry.member.linkname)
    return next(one for one in layer.entries if one.path == path and one.is_file)


def _contents(tar: tarfile.TarFile) -> tuple[Sequence[Entry], frozenset[str]]:
    """Return a layer's entries and the directories it makes opaque."""
    entries, opaque = [], set()
    for member in tar:
        path = _absolute(member.name)
        folder, name = posixpath.split(path)
        if name == _OPAQUE:
            opaque.add(folder)
        elif name.startswith(_WHITEOUT):
            gone = posixpath.join(folder, name.removeprefix(_WHITEOUT))
            entries.append(Entry(gone, mode=0))
        else:
            entries.append(_entry(member, path))
    return entries, frozenset(opaque)


def _hides(layer: Layer) -> Callable[[str], bool]:
    """Return what tells whether a layer takes a path of the layers below away."""
    over = {entry.path for entry in layer.entries if not entry.is_dir}
    emptied = over | layer.opaque

    @cache  # files share their folders
    def within(folder: str) -> bool:
        return folder in emptied or (folder != "/" and within(posixpath.dirname(folder)))

    return lambda path: path in over or within(posixpath.dirname(path))


class Archive:
    """A file written by `docker save`, of one image or several.

    Docker 25 and newer write an OCI layout, older ones a folder per layer; the
    manifest.json in both says where the layers are. A layer that images share
    is read once.
    """

    def __init__(self, path: Path) -> None:
        """Open the archive; `close` it, or use it in a `with` statement.

        Raises:
            UserError: it is not what `docker save` writes.
        """
        self._blobs: dict[str, tarfile.TarFile] = {}
        self._contents: dict[str, tuple[Sequence[Entry], frozenset[str]]] = {}
        wrong = UserError(
            "cannot read the image", f"{path} is not from `docker save`", "Save again."
        )
        try:
            self._tar = tarfile.open(path)  # noqa: SIM115 (open as long as the archive)
        except tarfile.ReadError:
            raise wrong from None
        try:
            self._manifest: Sequence[Mapping[str, Any]] = json.load(self._file("manifest.json"))
        except KeyError:
            self._tar.close()
            raise wrong from None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; layers that were read stay, contents of files do not."""
        for blob in self._blobs.values():
            blob.close()
        self._tar.close()

    def image(self, tag: str = "") -> "Saved":
        """Return the image saved under `tag`, the first where none is named."""
        manifest = next(one for one in self._manifest if not tag or tag in one["RepoTags"])
        return Saved(self, manifest["Layers"], json.load(self._file(manifest["Config"])))

    def layer(self, number: int, made_by: str, blob: str) -> Layer:
        """Return one layer."""
        if blob not in self._contents:
            self._contents[blob] = _contents(self._layer_tar(blob))
        return Layer(number, made_by, blob, *self._contents[blob])

    def content(self, layer: Layer, entry: Entry) -> bytes:
        """Return the content of a file of a layer."""
        file = target(layer, entry)
        return b"".join(self.chunks(layer, file, max(file.size, 1), overlap=0))

    def chunks(self, layer: Layer, entry: Entry, size: int, overlap: int) -> Iterator[bytes]:
        """Yield a file's content in pieces, each beginning with the end of the one before."""
        file, at = self._place(layer, entry)
        last, end = at + entry.size, b""
        while at < last:
            file.seek(at)
            more = file.read(min(size, last - at))
            yield end + more
            at, end = at + len(more), more[-overlap:] if overlap else b""

    def _place(self, layer: Layer, entry: Entry) -> tuple[IO[bytes], int]:
        """Return where a file's content is: past both tar files, which would copy it twice each."""
        tar = self._layer_tar(layer.blob)
        member = entry.member or tar.getmember(entry.path)
        if isinstance(tar.fileobj, tarfile.ExFileObject):  # a part of the archive, as it is
            blob = self._tar.getmember(layer.blob)
            return cast("IO[bytes]", self._tar.fileobj), blob.offset_data + member.offset_data
        return cast("IO[bytes]", tar.fileobj), member.offset_data

    def _file(self, name: str) -> IO[bytes]:
        file = self._tar.extractfile(name)
        if file is None:
            raise KeyError(name)
        return file

    def _layer_tar(self, blob: str) -> tarfile.TarFile:
        """Return a layer as a tar file, uncompressed on the way if need be."""
        if blob not in self._blobs:
            self._blobs[blob] = tarfile.open(fileobj=self._file(blob))  # noqa: SIM115 (see close)
        return self._blobs[blob]


class Saved:
    """One image of an archive."""

    def __init__(self, archive: Archive, blobs: Sequence[str], config: Mapping[str, Any]) -> None:
        """Keep where the layers are, and the image's own description of itself."""
        self._archive, self._blobs, self.config = archive, blobs, config

    @cached_property
    def layers(self) -> Sequence[Layer]:
        """The layers, the base first."""
        made_by = [
            " ".join((step.get("created_by") or step.get("comment") or "unknown").split())
            for step in self.config.get("history", ())
            if not step.get("empty_layer")
        ]
        if len(made_by) != len(self._blobs):  # squashed, or from a tool that keeps no history
            made_by = ["unknown"] * len(self._blobs)
        return [
            self._archive.layer(number, how, blob)
            for number, (how, blob) in enumerate(zip(made_by, self._blobs, strict=True), 1)
        ]

    def content(self, layer: Layer, entry: Entry) -> bytes:
        """Return the content of a layer's file."""
        return self._archive.content(layer, entry)

    def chunks(self, layer: Layer, entry: Entry, size: int, overlap: int = 0) -> Iterator[bytes]:
        """Yield the content of a layer's file in pieces that overlap; a hard link has none."""
        return self._archive.chunks(layer, entry, size, overlap)

    @property
    def merged(self) -> Mapping[str, tuple[Layer, Entry]]:
        """The file system that a container sees; each path with the layer it comes from."""
        return self._stacked[0]

    @property
    def hidden(self) -> Sequence[tuple[Layer, Entry, Layer]]:
        """The files that are shipped for nothing: layer, file, the layer that hides it."""
        return self._stacked[1]

    @cached_property
    def _stacked(
        self,
    ) -> tuple[Mapping[str, tuple[Layer, Entry]], Sequence[tuple[Layer, Entry, Layer]]]:
        seen: dict[str, tuple[Layer, Entry]] = {}
        hidden = []
        for layer in self.layers:
            for path in filter(_hides(layer), list(seen)):
                below, entry = seen.pop(path)
                if entry.is_file:
                    hidden.append((below, entry, layer))
            seen.update(
                (entry.path, (layer, entry)) for entry in layer.entries if not entry.removes
            )
        return seen, hidden

    def resolve(self, path: str) -> str:
        """Follow the symbolic links in `path` as a container would; it need not exist."""
        done, todo, links = "/", path.split("/")[::-1], 0
        while todo:
            step = posixpath.normpath(posixpath.join(done, todo.pop()))
            _, entry = self.merged.get(step, (None, None))
            if entry and entry.link and links < _MOST_LINKS:
                links += 1
                done = "/" if entry.link.startswith("/") else done
                todo += entry.link.split("/")[::-1]
            else:
                done = step
        return done

    def read(self, path: str) -> bytes:
        """Return a file's content, links followed.

        Raises:
            FileNotFoundError: a container would not find it either.
        """
        layer, entry = self.merged.get(self.resolve(path), (None, None))
        if not layer or not entry or not entry.is_file:
            raise FileNotFoundError(path)
        return self._archive.content(layer, entry)


@contextmanager
def opened(tag: str) -> Iterator[tuple[int, Saved]]:
    """Save an image for as long as it is read; yields its bytes on the engine's disk, and it.

    Raises:
        UserError: the engine has no such image, or cannot save it.
    """
    # By its id: a name without a tag would save every image of that name.
    shown = process.output("docker", "image", "inspect", "--format", "{{.Size}} {{.Id}}", tag)
    size, _, identity = shown.strip().partition(" ")
    if not size:
        built = " ".join(image.tag for image in catalogue.images().values())
        raise UserError("cannot read an image", f"`{tag}` is not here", f"Ours are: {built}.")
    megabytes = f"{int(size) / 10**6:,.0f} MB"
    say(f"saving {tag}, {megabytes}")
    with TemporaryDirectory(prefix="vmaf-image-") as folder:
        path = Path(folder) / "image.tar"
        save = ["docker", "save", f"--output={path}", identity]
        done = subprocess.run(save, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(
                "cannot save an image",
                done.stderr.strip(),
                f"It takes {megabytes} in {folder}; TMPDIR puts it elsewhere.",
            )
        with Archive(path) as archive:
            yield int(size), archive.image()
