"""Where things live: the checkout, its build records, and the user's cache."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

RECORDS = ROOT / "build"
"""Logs, timings and reports of this checkout; never committed, safe to delete."""

PERFORMANCE = ROOT / "docs" / "performance.json"
"""The history of the rebuild bench; absent where none was run."""

RUN = "-run.json"
"""How the names of the rebuild bench's runs end."""


def cache_dir(name: str) -> Path:
    """Return the user's cache folder called `name`, made if absent.

    Holds what is costly to get and the same for every checkout: the
    bootstrapped root file system, test clips, clones. Honours XDG_CACHE_HOME.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "vmaf-images" / name
    path.mkdir(parents=True, exist_ok=True)
    return path
