"""The files in build/inputs/, which describe what builds were made from, each content once.

The name of a file is the digest of its content, so that builds with equal inputs share it.
"""

import hashlib
import os
from pathlib import Path

from scripts.core.paths import RECORDS

KEPT = 400
"""The number of files that are kept; those that no build used for longest are removed."""


def directory() -> Path:
    """Return the directory of the files; create it if it does not exist."""
    path = RECORDS / "inputs"
    path.mkdir(parents=True, exist_ok=True)
    return path


def put(content: bytes) -> str:
    """Store a content and return its digest, the SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256(content).hexdigest()
    path = directory() / digest
    if path.exists():
        os.utime(path)  # it is in use again
        return digest
    replace(path, content)
    _remove_oldest()
    return digest


def get(digest: str) -> bytes | None:
    """Return the content with a digest; None if it was removed."""
    try:
        return (RECORDS / "inputs" / digest).read_bytes() if digest else None
    except OSError:
        return None


def replace(path: Path, content: bytes) -> None:
    """Write a file at once, so that another process never reads half of it."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)


def _remove_oldest() -> None:
    stored = [path for path in directory().iterdir() if not path.suffix]
    stored.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in stored[KEPT:]:
        path.unlink(missing_ok=True)
