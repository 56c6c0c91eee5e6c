"""docker/buildkitd.toml with two releases of BuildKit: no rule removes cache mounts early."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.paths import ROOT
from scripts.engine.buildkitd import newer_program, program
from tests.support.buildkitd import buildkitd, needs_root_and_go
from tests.support.buildx import needs_buildx

pytestmark = [needs_buildx, needs_root_and_go]

BUILDER = "vmaf-test-collection"
DAEMONS: dict[str, Callable[[], Path]] = {
    "0.13": program,
    "newer": newer_program,
}
Rule = tuple[str, str, str]


@pytest.fixture(name="rules")
def _rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], list[Rule]]:
    """Return a function that starts a daemon and returns its policy as the daemon reports it.

    Each rule has `All`, the filters and the limit.
    """
    monkeypatch.setenv("BUILDX_CONFIG", str(tmp_path / "buildx"))

    def rules(release: str, config: Path) -> list[Rule]:
        with buildkitd(DAEMONS[release](), BUILDER, tmp_path / "root", config):
            inspected = process.output("docker", "buildx", "inspect", BUILDER)
        found = []
        for rule in re.split(r"^GC Policy rule#\d+:$", inspected, flags=re.MULTILINE)[1:]:
            fields = dict(re.findall(r"^ ([\w ]+): *(.*)$", rule, re.MULTILINE))
            found.append((fields["All"], fields.get("Filters", ""), fields.get("Keep Bytes", "")))
        return found

    return rules


@pytest.mark.parametrize("release", DAEMONS)
def test_daemon_reads_the_policy(release: str, rules: Callable[[str, Path], list[Rule]]) -> None:
    """Both releases read the same file: layers go first, and mounts only above the limit."""
    assert rules(release, ROOT / "docker" / "buildkitd.toml") == [
        ("false", "type==regular", "40GiB"),
        ("true", "", "40GiB"),
    ]


@pytest.mark.parametrize("release", DAEMONS)
def test_default_policy_begins_with_cache_mounts(
    release: str, rules: Callable[[str, Path], list[Rule]]
) -> None:
    """Without the file, the first rule of a daemon selects the cache mounts: the file is needed."""
    _, filters, _ = rules(release, Path(os.devnull))[0]
    assert "type==exec.cachemount" in filters
