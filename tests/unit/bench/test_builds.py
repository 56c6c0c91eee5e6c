"""Tests of scripts/bench/builds.py."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.bench import builds
from scripts.bench.contenders import CONTENDERS, PROJECT_CONTENDER
from scripts.bench.registry import Registry
from scripts.bench.scenarios import SCENARIOS
from scripts.bench.session import Session, State
from scripts.buildkit.progress import Outcome
from scripts.buildkit.rawjson import Build
from scripts.core.paths import ROOT
from scripts.images import bases

STATE = State("0123456789ab", "bench-x-project", "bench-x-project")
TEXT = "int one(void) { return 1; }\n"


def succeeded(log: Path) -> Outcome:
    """Return the outcome of a build that did nothing and succeeded."""
    return Outcome(Build(), 0, datetime.now(UTC), 1.0, log)


def changed_files(tree: Path) -> set[str]:
    """Return the files of a contender's tree that differ from the checkout."""
    files = {str(path.relative_to(tree)): path for path in tree.rglob("*") if path.is_file()}
    return {
        name
        for name, path in files.items()
        if not (ROOT / name).exists() or path.read_bytes() != (ROOT / name).read_bytes()
    }


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("unchanged", set()),
        ("touched", {"server/vmaf_bench_0123456789ab.txt"}),
        ("recompile", {"COMPILE_RECIPE"}),
        ("package", {"docker/Dockerfile.production-gpu"}),
        ("base", set()),
        ("libvmaf-c", set()),
    ],
)
def test_scenario_changes_one_thing(
    name: str, changed: set[str], bench: Session, tmp_path: Path
) -> None:
    """Each scenario of the bench changes its own input only, in a copy of the source tree."""
    source = tmp_path / "source"
    (source / "libvmaf" / "src").mkdir(parents=True)
    (source / "libvmaf" / "src" / "libvmaf.c").write_text(TEXT)
    trees = {"libvmaf": source}
    state, contexts = builds.prepare(SCENARIOS[name], PROJECT_CONTENDER, STATE, trees)
    tree = builds.tree(PROJECT_CONTENDER)
    recipe = str(builds.compile_recipe(tree).relative_to(tree))
    assert changed_files(tree) == {recipe if file == "COMPILE_RECIPE" else file for file in changed}
    assert (state.base != STATE.base) == (name == "base")
    assert state.namespace == STATE.namespace
    assert set(contexts) == ({"libvmaf-source"} if name == "libvmaf-c" else set())
    assert (source / "libvmaf" / "src" / "libvmaf.c").read_text() == TEXT
    assert bench.path.parent in tree.parents


@pytest.mark.usefixtures("bench")
def test_repeated_cold_build_is_cold(bench: Session) -> None:
    """A repeated first build has a base and cache mounts of its own; later builds do not."""
    first, second, after = (
        builds.prepare(
            SCENARIOS[name], PROJECT_CONTENDER, bench.state(PROJECT_CONTENDER, repeat), {}
        )[0]
        for name, repeat in (("cold", 0), ("cold", 1), ("unchanged", 1))
    )
    assert (after.base, after.namespace) == (first.base, first.namespace)
    assert len({first.base, second.base}) == len({first.namespace, second.namespace}) == 2
    assert second.namespace.startswith(first.namespace)  # so that both are removed together


def test_builds_have_their_own_tags_and_caches(bench: Session) -> None:
    """No contender of the bench overwrites an image of the project, or shares layers or caches."""
    for contender in CONTENDERS.values():
        state = bench.state(contender)
        bake_file = builds.overlay(contender, "cpu", state, "bootstrap", {})
        target, common = bake_file["target"]["cpu"], bake_file["target"]["_common"]
        assert target["tags"] == [f"vmaf-bench/{contender.name}:cpu"]
        assert common["args"]["BUILDKIT_CACHE_MOUNT_NS"].endswith(contender.name)
        assert common["contexts"][bases.BASE] == "target:bench-base"
        assert (bases.FRONTEND in common["contexts"]) == contender.remote
        directory = Path(bake_file["target"]["bench-base"]["contexts"][state.namespace])
        assert contender.name in (directory / builds.BASE_MARKER).read_text()
        assert (directory / "etc/apt/apt.conf.d/docker-clean").exists()


def test_pulled_base_gets_only_the_marker(bench: Session) -> None:
    """The bench adds only its marker to a base from a registry, which has apt's configuration."""
    state = bench.state(PROJECT_CONTENDER)
    bake_file = builds.overlay(PROJECT_CONTENDER, "cpu", state, "registry", {})
    base = bake_file["target"]["bench-base"]
    assert base["dockerfile-inline"].startswith("FROM debian:trixie-slim\n")
    assert not (Path(base["contexts"][state.namespace]) / "etc/apt").exists()


def test_base_is_pushed_once(bench: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bench pushes a base image once, as a second build would have other file dates."""
    pushed: list[str] = []

    def bake(
        _session: Session,
        bake_file: dict[str, Any],
        arguments: list[str],
        *,
        directory: Path,
        name: str,
    ) -> Outcome:
        assert arguments == ["--builder=vmaf-bench", "bench-base"]
        assert (directory, name) == (ROOT, "base")
        (output,) = bake_file["target"]["bench-base"]["output"]
        pushed.append(output)
        return succeeded(Path("log"))

    tags: set[str] = set()
    monkeypatch.setattr(builds, "bake", bake)
    monkeypatch.setattr(Registry, "tags", lambda _self, _repository: tags)
    bench.registry = Registry("127.0.0.1:5000")
    image = f"127.0.0.1:5000/vmaf-bench-base:{STATE.base}"
    for _ in range(2):
        assert builds.pushed_base(bench, STATE) == f"docker-image://{image}"
        tags.add(STATE.base)
    assert pushed == [f"type=image,name={image},push=true"]


def test_base_lines_are_those_of_the_bootstrap_file() -> None:
    """The bench builds a bootstrapped base with the stage `base` of the bootstrap Dockerfile."""
    lines = builds.base_lines("bootstrap").splitlines()
    assert lines == [
        "FROM scratch AS base",
        "ARG TARGETARCH",
        "ADD build/bootstrap/rootfs-$TARGETARCH.tar /",
        'CMD ["bash"]',
    ]


def test_frontend_has_the_name_of_the_overlay() -> None:
    """The bench disables the syntax frontend by the name that the bootstrap overlay has."""
    assert f'"{bases.FRONTEND}"' in (ROOT / "docker-bake.bootstrap.hcl").read_text()
