"""Tests of scripts/bench/rebuild.py."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scripts.bench import builds, cleanup, correctness, limits, rebuild, results
from scripts.bench import session as sessions
from scripts.bench.contenders import CONTENDERS, PROJECT_CONTENDER
from scripts.bench.correctness import LIBRARIES
from scripts.bench.results import Result
from scripts.bench.scenarios import SCENARIOS
from scripts.bench.session import Session
from scripts.buildkit.progress import Outcome
from scripts.buildkit.rawjson import Build
from scripts.cli import options
from scripts.core.console import UserError
from scripts.engine import client
from scripts.images import sizes

NONCE = r"vmaf_bench_([0-9a-f]{12})"
TEXT = "int one(void) { return 1; }\n"
PAIR = [CONTENDERS["before"], PROJECT_CONTENDER]


def order(bench: Session, seconds: dict[str, float]) -> list[tuple[str, str]]:
    """Run the scenarios cold and unchanged; return the builds in their order."""
    built = []
    chosen = [SCENARIOS["cold"], SCENARIOS["unchanged"]]
    for scenario, contender, result in rebuild.pending_builds(bench, chosen, PAIR):
        project = contender is PROJECT_CONTENDER
        result.seconds.append(seconds[scenario.name if project else "slow"])
        built.append((scenario.name, contender.name))
    return built


def test_contenders_take_turns_and_short_builds_are_repeated(bench: Session) -> None:
    """The bench measures contenders in turns, and repeats a build unless it takes long."""
    assert order(bench, {"cold": 5, "unchanged": 1, "slow": 100}) == [
        ("cold", "before"),
        ("cold", "project"),
        ("unchanged", "before"),
        ("unchanged", "project"),
        ("unchanged", "project"),
        ("unchanged", "project"),
    ]


def test_cold_runs_repeat_the_first_build(bench: Session) -> None:
    """With --cold-runs, the bench measures the first builds repeatedly, in turns."""
    bench.cold_runs = 2
    assert order(bench, {"cold": 5, "unchanged": 100, "slow": 100})[:4] == [
        ("cold", "before"),
        ("cold", "project"),
        ("cold", "before"),
        ("cold", "project"),
    ]


def test_resumed_run_measures_only_what_is_missing(bench: Session) -> None:
    """A resumed run of the bench does not measure what the interrupted run has measured."""
    bench.run.results = [
        Result("cold", "before", "cpu", [100]),
        Result("cold", "project", "cpu", [80]),
        Result("unchanged", "project", "cpu", [1.0, 1.1]),
    ]
    assert order(bench, {"unchanged": 1, "slow": 1}) == [
        ("unchanged", "before"),
        ("unchanged", "before"),
        ("unchanged", "before"),
        ("unchanged", "project"),
    ]


@pytest.fixture
def fast(bench: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make every build succeed at once; return the list of the builds."""
    built: list[str] = []
    (tmp_path / "log").write_text("[cpu toolchain 1/2] Fetched 231 kB in 0s (1170 kB/s)\n")

    def bake(
        _session: Session, bake_file: object, _arguments: object, *, directory: Path, name: str
    ) -> Outcome:
        built.append(name)
        json.dumps(bake_file)
        assert directory.is_dir()
        return Outcome(Build(), 0, datetime.now(UTC), 1.5, tmp_path / "log")

    def markers(_image: str) -> dict[str, set[str]]:
        (scenario,) = (one for one in SCENARIOS.values() if built[-1].endswith(f"-{one.name}"))
        edited = (tmp_path / "trees").glob(f"{scenario.project}-edited/**/*.[ch]")
        present = {f"vmaf_bench_{m}" for e in edited for m in re.findall(NONCE, e.read_text())}
        return {name: present if name in scenario.edited_libraries else set() for name in LIBRARIES}

    for scenario in SCENARIOS.values():
        if scenario.project:
            tree = tmp_path / "sources" / f"{bench.run.name}-{scenario.project}"
            path = tree / scenario.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#ifndef A\n{TEXT}#endif\n")
    monkeypatch.setattr(builds, "bake", bake)
    monkeypatch.setattr(correctness, "library_markers", markers)
    monkeypatch.setattr(correctness, "compare_with_cold", lambda _scenario, _result: "")
    monkeypatch.setattr(limits, "measure", lambda _session, target: built.append(target))
    monkeypatch.setattr(cleanup, "clean_up", lambda _session: built.append("cleaned up"))
    monkeypatch.setattr(sessions, "begin", lambda **_: bench)
    monkeypatch.setattr(sizes, "check_disk", lambda *_: None)
    monkeypatch.setattr(client, "require", lambda: None)
    monkeypatch.setattr(client, "free_bytes", lambda _engine: None)
    return built


def test_quick_run_measures_the_project_from_start_to_end(bench: Session, fast: list[str]) -> None:
    """A quick run of the bench measures the project's scenarios and limit, and cleans up."""
    bench.run.quick = True
    figures = list(rebuild.figures(options.parse(["bench", "rebuild", "--quick"])))
    assert [figure.name for figure in figures] == [
        f"{scenario.name}, cpu, project" for scenario in SCENARIOS.values() if scenario.quick
    ]
    assert fast[:6] == [
        *("frontend", "project-cold", *["project-unchanged"] * 3, "project-touched"),
    ]
    assert fast[-2:] == ["cpu", "cleaned up"]
    stored = results.decode(bench.path.read_bytes())
    assert stored.closed
    assert stored.by_scenario()["cold"]["project"].downloaded_bytes == 231_000


def test_stale_image_fails_the_bench(
    bench: Session, fast: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stale image ends the bench with the library's name; its results and images remain."""
    none: dict[str, set[str]] = {name: set() for name in LIBRARIES}
    monkeypatch.setattr(correctness, "library_markers", lambda _image: none)
    arguments = ["bench", "rebuild", "--contender", "project", "--scenario", "libvmaf-c"]
    with pytest.raises(UserError, match="libvmaf-c, project: libvmaf should contain vmaf_bench_"):
        list(rebuild.figures(options.parse(arguments)))
    assert "cleaned up" not in fast
    assert not bench.run.closed
    assert "libvmaf-c" in results.decode(bench.path.read_bytes()).by_scenario()
