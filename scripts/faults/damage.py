"""Damage the files of cache mounts in the data of a BuildKit."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

NUMBER = 24
"""The number of files of each kind to damage, spread evenly."""
PAST, FUTURE = datetime(1990, 1, 1, tzinfo=UTC), datetime(2037, 1, 1, tzinfo=UTC)
"""The dates that files get alternately where the clock jumps."""
_SNAPSHOTS = "runc-overlayfs/snapshots/snapshots/*/fs"
_OWNED = "cache"  # where BuildKit stores a mount that has a uid


def mounts(root: Path, *, having: str) -> list[Path]:
    """Return the directories of the cache mounts that have an entry of this name.

    Args:
        root: the directory of the data.
        having: such as `depcache` for compiler caches, `archives` for apt's packages and `lists`
            for its index. Layers have none of these at their top.
    """
    tops = [top for path in root.glob(_SNAPSHOTS) for top in (path, path / _OWNED)]
    return sorted(top for top in tops if (top / having).exists())


def ccache_objects(mount: Path, kind: str) -> list[Path]:
    """Return ccache's results (R) or manifests (M) in a compiler cache."""
    own = mount / "depcache"
    found = (path for path in mount.glob(f"?/**/*{kind}") if own not in path.parents)
    return sorted(path for path in found if path.is_file())


def depcache_objects(mount: Path) -> list[Path]:
    """Return depcache's and runcache's results and manifests in a compiler cache."""
    return sorted(path for path in (mount / "depcache").glob("??/*") if path.is_file())


def packages(mount: Path) -> list[Path]:
    """Return the packages in apt's cache."""
    return sorted((mount / "archives").glob("*.deb"))


def spread(files: Sequence[Path], number: int = NUMBER) -> list[Path]:
    """Return at most `number` of the files, spread evenly."""
    step = max(1, len(files) / number)
    return [files[int(at * step)] for at in range(min(number, len(files)))]


Way = Callable[[bytes], bytes]
"""Returns a damaged content."""


def flip(content: bytes) -> bytes:
    """Return the content with one other byte, in the middle."""
    at = len(content) // 2
    return content[:at] + bytes(byte ^ 0xFF for byte in content[at : at + 1]) + content[at + 1 :]


def cut(content: bytes) -> bytes:
    """Return the first half of the content."""
    return content[: len(content) // 2]


def empty(_content: bytes) -> bytes:
    """Return no content, as a file may have after a power failure."""
    return b""


WAYS: Sequence[Way] = (flip, cut, empty)
"""What happens to the files, in turn."""


def damage(files: Iterable[Path]) -> dict[Path, str]:
    """Damage files in turn in each way, and keep their dates; return their new digests."""
    damaged = {}
    for number, path in enumerate(files):
        stat, content = path.stat(), path.read_bytes()
        new = WAYS[number % len(WAYS)](content)
        if new == content:
            continue
        with path.open("r+b") as file:
            file.write(new)
            file.truncate()
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        damaged[path] = sha256(new).hexdigest()
    return damaged


def replaced(damaged: Mapping[Path, str]) -> list[Path]:
    """Return the damaged files that were removed or written again since."""
    return [
        path
        for path, digest in damaged.items()
        if not path.exists() or sha256(path.read_bytes()).hexdigest() != digest
    ]


def date(files: Sequence[Path]) -> None:
    """Date files alternately in the future and in the far past."""
    for number, path in enumerate(files):
        moment = (FUTURE, PAST)[number % 2].timestamp()
        os.utime(path, (moment, moment), follow_symlinks=False)


def used(files: Sequence[Path]) -> list[Path]:
    """Return the files that `date` dated and that were removed or got another date since."""
    planted = {PAST.timestamp(), FUTURE.timestamp()}
    return [path for path in files if not path.exists() or path.stat().st_mtime not in planted]
