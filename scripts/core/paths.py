"""Paths of the checkout, its build records, and the user's cache."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

RECORDS = ROOT / "build"
"""The directory of logs, timings and reports; never committed, safe to delete."""

PERFORMANCE = ROOT / "docs" / "performance.json"
"""The results of the rebuild benchmark; absent where it has never run."""

RUN = "-run.json"
"""The end of the names of build records that the rebuild benchmark writes."""


def cache_dir(name: str) -> Path:
    """Return the directory `name` in the user's cache, and make it if it is absent.

    It holds files that are slow to make and the same for every checkout: the bootstrapped
    root file system, test clips, clones. XDG_CACHE_HOME is respected.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "vmaf-images" / name
    path.mkdir(parents=True, exist_ok=True)
    return path
