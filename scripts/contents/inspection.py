"""Report the size of each layer of an image, and files that may be unwanted."""

import posixpath
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.contents.archive import Entry, Layer, SavedImage, saved_image
from scripts.contents.unwanted import CACHES, SECRETS, leftovers

MEGABYTE = 10**6
_CHUNK = 4 * 2**20
_OVERLAP = 256  # longer than any match

# Each pattern begins with literal characters, and a lookbehind checks the character before them.
# A pattern that begins with \b is much slower.
_STRINGS = (
    ("a private key", re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}")),
    ("an AWS key", re.compile(rb"AKIA(?<!\wAKIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(rb"gh(?<!\wgh)[pousr]_[A-Za-z0-9]{36}\b")),
    ("a GitHub token", re.compile(rb"github_pat_(?<!\wgithub_pat_)\w{50,}\b")),
    ("a Slack token", re.compile(rb"xox(?<!\wxox)[abp]-[0-9A-Za-z-]{20,}")),
    (
        "credentials in a URL",
        re.compile(
            rb"http(?<!\whttp)s?://[\w.~-]{2,}:(?!pass)"
            rb"[^\s@/:'\"<>{}()\[\]$%*\\]{6,}@[\w-]+\.\w"
        ),
    ),
)
_BUILD_PATHS = re.compile(rb"/build/(?<![\w.~-]/build/)(?:ffmpeg|libvmaf|svt-av1|build)[\w./-]*")


@dataclass(frozen=True)
class LayerReport:
    """The sizes of a layer."""

    number: int
    made_by: str
    size: int
    """The total size of its files in bytes."""
    files: int
    waste: int
    """The size in bytes of the files that later layers hide."""
    largest: Sequence[tuple[str, int]]
    """The largest directories, with their sizes in bytes."""


@dataclass(frozen=True)
class Report:
    """The layers of an image and the findings in them."""

    image: str
    size: int
    """The size on the engine's disk in bytes."""
    layers: Sequence[LayerReport]
    findings: Mapping[str, Sequence[str]]
    """The findings of each check by heading, including checks without findings."""


def report(tag: str, size: int, saved: SavedImage) -> Report:
    """Return the report of a saved image."""
    waste = Counter[int]()
    for below, entry, _ in saved.hidden:
        waste[below.number] += entry.size
    findings: dict[str, list[str]] = {
        "caches": leftovers(saved.layers, CACHES),
        "secrets by name": leftovers(saved.layers, SECRETS),
        "hidden by a later layer": [
            f"{below} carries {entry.path}, {entry.size:,} bytes, hidden by layer {above.number}"
            for below, entry, above in sorted(saved.hidden, key=lambda hidden: -hidden[1].size)
        ],
        "setuid or setgid": list(_modes(saved.layers, stat.S_ISUID | stat.S_ISGID)),
        "world-writable": list(_modes(saved.layers, stat.S_IWOTH)),
        "secrets by content": [],
        "paths of the build": [],
    }
    for heading, line in _strings(saved):
        findings[heading].append(line)
    return Report(
        tag, size, [_layer(layer, waste[layer.number]) for layer in saved.layers], findings
    )


def _layer(layer: Layer, waste: int) -> LayerReport:
    files = [entry for entry in layer.entries if entry.is_file]
    directories = Counter[str]()
    for entry in files:
        directories["/".join(posixpath.dirname(entry.path).split("/")[:4]) or "/"] += entry.size
    size = sum(entry.size for entry in files)
    return LayerReport(
        layer.number, layer.made_by, size, len(files), waste, directories.most_common(3)
    )


def _modes(layers: Sequence[Layer], bits: int) -> Iterator[str]:
    """Yield the files and directories with one of the mode bits, except sticky directories."""
    for layer in layers:
        for entry in layer.entries:
            sticky = entry.is_dir and entry.mode & stat.S_ISVTX
            if entry.mode & bits and not sticky and (entry.is_file or entry.is_dir):
                mode = f"{stat.S_IMODE(entry.mode):04o}"
                yield f"{layer} carries {entry.path}, mode {mode}, of {entry.uid}:{entry.gid}"


def _strings(saved: SavedImage) -> Iterator[tuple[str, str]]:
    """Yield the findings in the contents of files, each with its heading."""
    for layer in saved.layers:
        for entry in layer.entries:
            if entry.is_file and entry.size:
                for chunk in saved.chunks(layer, entry, size=_CHUNK, overlap=_OVERLAP):
                    yield from _chunk_findings(layer, entry, chunk)


def _chunk_findings(layer: Layer, entry: Entry, chunk: bytes) -> Iterator[tuple[str, str]]:
    for description, pattern in _STRINGS:
        if match := pattern.search(chunk):
            shown = match[0][:12].decode(errors="replace")
            yield "secrets by content", f"{layer} carries {entry.path}: {description}, `{shown}...`"
    if entry.path.startswith("/usr/local/") and (match := _BUILD_PATHS.search(chunk)):
        yield "paths of the build", f"{layer} carries {entry.path}: {match[0].decode()}"


def inspect(tag: str) -> Report:
    """Save an image and return its report.

    Raises:
        UserError: the engine has no such image, or cannot save it.
    """
    with saved_image(tag) as (size, saved):
        return report(tag, size, saved)
