"""What the recipes that compile C tell of their caches."""

import json
import subprocess
from pathlib import Path

from scripts.core.paths import ROOT

CCACHE = """\
# a.c
cache_miss
direct_cache_miss
preprocessed_cache_miss
# a.c
direct_cache_hit
local_storage_hit
# b.c
direct_cache_hit
# d.c
direct_cache_hit
# c.c
preprocessed_cache_hit
direct_cache_miss
"""
"""As ccache 4.11 writes it: a call's source, then every counter that it raised."""


def measures(build: Path, ccache: str, depcache: str) -> dict[str, dict[str, int]]:
    """Return what a step tells whose caches left these logs in its build tree."""
    recipe = (
        (ROOT / "docker" / "recipes" / "compile.sh").read_text().replace("/build/", f"{build}/")
    )
    (build / "ccache.log").write_text("direct_cache_hit\n")  # another step's, if it were there
    (build / "written").write_text(ccache)
    (build / "depcache.log").write_text(depcache)
    script = f'{recipe}\ncat {build}/written >>"$CCACHE_STATSLOG"\nreport_caches\n'
    ran = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True)
    lines = [json.loads(line.removeprefix("#measure ")) for line in ran.stdout.splitlines()]
    return {name: counts for line in lines for name, counts in line.items()}


def test_a_step_tells_its_own_hits(tmp_path: Path) -> None:
    """Those of its log alone, whole names counted: a direct miss is no miss yet."""
    assert measures(tmp_path, CCACHE, "hit nasm\nmiss nvcc\nhit nasm\npassed nasm\n") == {
        "ccache": {"direct_cache_hit": 3, "preprocessed_cache_hit": 1, "cache_miss": 1},
        "depcache": {"hit": 2, "miss": 1, "unsafe": 0, "passed": 1},
    }


def test_a_step_that_called_no_compiler_has_no_hits(tmp_path: Path) -> None:
    """Ccache's count is there, the launcher's is not: most steps do without it."""
    assert measures(tmp_path, "", "") == {
        "ccache": {"direct_cache_hit": 0, "preprocessed_cache_hit": 0, "cache_miss": 0}
    }
