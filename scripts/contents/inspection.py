"""A report of each layer of an image: its size, and the files in it that may be unwanted."""

import posixpath
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.contents.archive import Entry, Layer, SavedImage, opened
from scripts.contents.unwanted import CACHES, SECRETS, leftovers

MEGABYTE = 10**6
_CHUNK = 4 * 2**20
_OVERLAP = 256  # longer than any match

# Each pattern begins with literal letters, which makes the search fast; a lookbehind then checks
# the character before them. A pattern that begins with \b is much slower.
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
    """The bytes of its files."""
    files: int
    waste: int
    """The bytes of its files that later layers hide."""
    largest: Sequence[tuple[str, int]]
    """The largest directories, with their bytes."""


@dataclass(frozen=True)
class Report:
    """The layers of an image, and its findings."""

    image: str
    size: int
    """The bytes on the engine's disk."""
    layers: Sequence[LayerReport]
    findings: Mapping[str, Sequence[str]]
    """The findings by heading; a heading without findings was searched for as well."""


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
            for below, entry, above in sorted(saved.hidden, key=lambda found: -found[1].size)
        ],
        "setuid or setgid": list(_modes(saved.layers, stat.S_ISUID | stat.S_ISGID)),
        "world-writable": list(_modes(saved.layers, stat.S_IWOTH)),
        "secrets by content": [],
        "paths of the build": [],
    }
    for heading, line in _strings(saved):
        findings[heading].append(line)
    return Report(tag, size, [_layer(one, waste[one.number]) for one in saved.layers], findings)


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
    """Yield the files and directories with a mode bit, without sticky directories."""
    for layer in layers:
        for entry in layer.entries:
            is_open = bool(entry.mode & bits) and not stat.S_ISLNK(entry.mode)
            sticky = entry.is_dir and entry.mode & stat.S_ISVTX
            if is_open and not sticky and (entry.is_file or entry.is_dir):
                mode = f"{stat.S_IMODE(entry.mode):04o}"
                yield f"{layer} carries {entry.path}, mode {mode}, of {entry.uid}:{entry.gid}"


def _strings(saved: SavedImage) -> Iterator[tuple[str, str]]:
    """Yield the findings in the contents of files, with their heading."""
    for layer in saved.layers:
        for entry in layer.entries:
            if entry.is_file and entry.size:
                for chunk in saved.chunks(layer, entry, size=_CHUNK, overlap=_OVERLAP):
                    yield from _found(layer, entry, chunk)


def _found(layer: Layer, entry: Entry, chunk: bytes) -> Iterator[tuple[str, str]]:
    for what, pattern in _STRINGS:
        if match := pattern.search(chunk):
            shown = match[0][:12].decode(errors="replace")
            yield "secrets by content", f"{layer} carries {entry.path}: {what}, `{shown}...`"
    if entry.path.startswith("/usr/local/") and (match := _BUILD_PATHS.search(chunk)):
        yield "paths of the build", f"{layer} carries {entry.path}: {match[0].decode()}"


def inspect(tag: str) -> Report:
    """Save an image and return its report.

    Raises:
        UserError: the engine has no such image, or cannot save it.
    """
    with opened(tag) as (size, saved):
        return report(tag, size, saved)
