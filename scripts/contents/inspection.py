"""What each layer of an image adds and what it should not: `nox -s inspect -- IMAGE`.

For whoever wonders why an image is large, or what in it came from the machine
that built it. It reads what `docker save` writes and runs nothing of the image.
"""

import posixpath
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.contents.archive import CACHES, SECRETS, Entry, Layer, Saved, leftovers, opened

MEGABYTE = 10**6
_CHUNK = 4 * 2**20
_OVERLAP = 256  # no longer than this is anything that is looked for

# Each begins with letters as they are, which a search leaps to; what must not stand before
# them is looked at afterwards. A pattern that begins with \b stops at every word.
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
    """What one layer costs and brings."""

    number: int
    made_by: str
    size: int
    """Bytes of the files that it adds."""
    files: int
    waste: int
    """Bytes of them that later layers hide: shipped, and of no use."""
    largest: Sequence[tuple[str, int]]
    """The folders that most of it is in, with their bytes."""


@dataclass(frozen=True)
class Report:
    """An image, layer by layer, and what is noticed about it."""

    image: str
    size: int
    """Bytes on the engine's disk."""
    layers: Sequence[LayerReport]
    noticed: Mapping[str, Sequence[str]]
    """Lines by what they are about; a heading without lines was looked for in vain."""


def report(tag: str, size: int, saved: Saved) -> Report:
    """Look at every layer of a saved image."""
    waste = Counter[int]()
    for below, entry, _ in saved.hidden:
        waste[below.number] += entry.size
    noticed: dict[str, list[str]] = {
        "caches": leftovers(saved.layers, CACHES),
        "secrets, by their name": leftovers(saved.layers, SECRETS),
        "hidden by a later layer": [
            f"{below} carries {entry.path}, {entry.size:,} bytes, hidden by layer {above.number}"
            for below, entry, above in sorted(saved.hidden, key=lambda found: -found[1].size)
        ],
        "setuid or setgid": list(_modes(saved.layers, stat.S_ISUID | stat.S_ISGID)),
        "writable by all": list(_modes(saved.layers, stat.S_IWOTH)),
        "secrets, by their look": [],
        "paths of the build": [],
    }
    for heading, line in _strings(saved):
        noticed[heading].append(line)
    return Report(tag, size, [_layer(one, waste[one.number]) for one in saved.layers], noticed)


def _layer(layer: Layer, waste: int) -> LayerReport:
    files = [entry for entry in layer.entries if entry.is_file]
    folders = Counter[str]()
    for entry in files:
        folders["/".join(posixpath.dirname(entry.path).split("/")[:4]) or "/"] += entry.size
    size = sum(entry.size for entry in files)
    return LayerReport(layer.number, layer.made_by, size, len(files), waste, folders.most_common(3))


def _modes(layers: Sequence[Layer], bits: int) -> Iterator[str]:
    """Yield the files and folders with a mode bit; a sticky folder is open on purpose."""
    for layer in layers:
        for entry in layer.entries:
            is_open = bool(entry.mode & bits) and not stat.S_ISLNK(entry.mode)
            sticky = entry.is_dir and entry.mode & stat.S_ISVTX
            if is_open and not sticky and (entry.is_file or entry.is_dir):
                mode = f"{stat.S_IMODE(entry.mode):04o}"
                yield f"{layer} carries {entry.path}, mode {mode}, of {entry.uid}:{entry.gid}"


def _strings(saved: Saved) -> Iterator[tuple[str, str]]:
    """Yield what the contents of files give away, with its heading."""
    for layer in saved.layers:
        for entry in layer.entries:
            if entry.is_file and entry.size:
                for chunk in saved.chunks(layer, entry, size=_CHUNK, overlap=_OVERLAP):
                    yield from _found(layer, entry, chunk)


def _found(layer: Layer, entry: Entry, chunk: bytes) -> Iterator[tuple[str, str]]:
    for what, pattern in _STRINGS:
        if match := pattern.search(chunk):
            shown = match[0][:12].decode(errors="replace")
            yield "secrets, by their look", f"{layer} carries {entry.path}: {what}, `{shown}...`"
    if entry.path.startswith("/usr/local/") and (match := _BUILD_PATHS.search(chunk)):
        yield "paths of the build", f"{layer} carries {entry.path}: {match[0].decode()}"


def inspect(tag: str) -> Report:
    """Save an image and read it.

    Raises:
        UserError: the engine has no such image, or cannot save it.
    """
    with opened(tag) as (size, saved):
        return report(tag, size, saved)
