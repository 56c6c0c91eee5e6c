"""The programs with which images are pushed and signed: regctl and cosign, found or built."""

import hashlib
import re
import shutil
from pathlib import Path

from scripts.caches import toolchain
from scripts.core import process
from scripts.core.console import console
from scripts.core.files import locked
from scripts.core.paths import ROOT, cache_dir

MODULE = ROOT / "docker" / "publish-tools"
"""The Go module whose go.mod pins the releases, and go.sum the digests of all modules."""
TARGET = "publish-tools"


def pinned(module: str) -> dict[str, str]:
    """Return the release of each tool of a go.mod, by the tool's name."""
    block = re.search(r"^tool \(\n(.*?)^\)", module, re.MULTILINE | re.DOTALL)
    paths = block[1].split() if block else re.findall(r"^tool (\S+)$", module, re.MULTILINE)
    required = dict(re.findall(r"^(?:require)?\s+(\S+) (v\S+)", module, re.MULTILINE))
    return {
        path.rpartition("/")[2]: next(
            required[parent] for parent in _parents(path) if parent in required
        )
        for path in paths
    }


def _parents(path: str) -> list[str]:
    """Return an import path and its parents, the longest first."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]


def find(name: str) -> Path:
    """Return a program of the pinned release: from PATH, or else from the Go modules.

    All programs are built at once, in about four minutes on two cores, for all checkouts.

    Raises:
        UserError: no engine answers, or the programs cannot be built.
    """
    release = pinned((MODULE / "go.mod").read_text())[name]
    installed = shutil.which(name)
    if installed and _is_release(Path(installed), release):
        return Path(installed)
    sums = hashlib.sha256((MODULE / "go.sum").read_bytes()).hexdigest()
    directory = cache_dir("publish-tools") / sums[:16]
    with locked(directory):
        if not (directory / name).exists():
            _build(directory)
    return directory / name


def _is_release(program: Path, release: str) -> bool:
    printed = process.output(str(program), "version")
    return bool(re.search(rf"(?<!\S){re.escape(release)}(?!\S)", printed))


def _build(directory: Path) -> None:
    """Build all programs; the directory is complete, or does not exist."""
    part = directory.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    with (
        console.status("building cosign and regctl, once in about four minutes"),
        toolchain.export(f"build {TARGET}", TARGET) as out,
    ):
        shutil.copytree(out, part)
    part.rename(directory)
