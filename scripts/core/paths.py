"""Paths of the checkout, its build records, and the user's cache."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

RECORDS = ROOT / "build"
"""The directory of logs, timings and reports; never committed, safe to delete."""

PERFORMANCE = ROOT / "docs" / "performance.json"
"""The results of the rebuild benchmark; absent until it has run."""

RUN = "-run.json"
"""The suffix of the names of build records that the rebuild benchmark writes."""


def cache_dir(name: str) -> Path:
    """Return the directory `name` in the user's cache; create it if it does not exist.

    It is for files that are slow to create and shared by all checkouts: the bootstrapped
    root file system, test clips, clones. XDG_CACHE_HOME is respected.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "vmaf-images" / name
    path.mkdir(parents=True, exist_ok=True)
    return path
