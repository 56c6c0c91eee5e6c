"""The rebuild bench: what it builds, in which order, and what it holds to be stale."""

import json
import re
import subprocess
import tarfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts import bases, bench_rebuild, build, contenders, engine, options, performance
from scripts.bench_rebuild import LIBRARIES, SCENARIOS, Bench, Scenario, State
from scripts.console import UserError
from scripts.contenders import ADR, BEFORE, LIMIT, OURS, REGISTRY
from scripts.paths import ROOT
from scripts.performance import Result, Run
from scripts.progress import Outcome
from scripts.rawjson import Build
from scripts.registry import Registry

STATE = State("0123456789ab", "bench-x-ours", "bench-x-ours")
NONCE = r"vmaf_bench_([0-9a-f]{12})"
TEXT = "int one(void) { return 1; }\n"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a bench that writes where it may."""
    monkeypatch.setattr(bench_rebuild, "FOLDER", tmp_path)
    run = Run("2026-11-22T00:00:00Z", "abc", {"cpus": 2, "memory_gb": 8})
    return Bench(run, tmp_path / "x-run.json", "bootstrap")


def names(scenarios: Iterable[Scenario]) -> list[str]:
    """Return their names."""
    return [one.name for one in scenarios]


def test_the_scenarios_are_those_of_the_issue() -> None:
    """Each is of an image of the bake file, and comes after what it needs."""
    assert names(SCENARIOS.values()) == list(SCENARIOS)
    for number, one in enumerate(SCENARIOS.values()):
        assert one.after in list(SCENARIOS)[:number] or (number, one.after) == (0, "")
        assert one.edit[0] in {"", *one.compiles}
        assert bool(one.edit[0]) == bool(one.found)


def test_a_scenario_brings_what_it_needs() -> None:
    """An edit of CUDA code takes the variant, which takes a first build."""
    assert names(bench_rebuild.plan(["libvmaf-cu"], quick=False)) == [
        "cold",
        "second",
        "libvmaf-cu",
    ]
    assert names(bench_rebuild.plan([], quick=False)) == list(SCENARIOS)
    assert {one.target for one in bench_rebuild.plan([], quick=True)} == {"cpu"}
    with pytest.raises(UserError, match="`warm`"):
        bench_rebuild.plan(["warm"], quick=False)


def test_quick_is_ours_alone() -> None:
    """Unless others are named; all are meant where nothing is said."""
    assert bench_rebuild.choose([], quick=True) == [OURS]
    assert bench_rebuild.choose(["adr"], quick=True) == [ADR]
    assert bench_rebuild.choose([], quick=False) == [BEFORE, ADR, REGISTRY, OURS]
    with pytest.raises(UserError, match="`bazel`"):
        bench_rebuild.choose(["bazel"], quick=False)


def built(bench: Bench, seconds: dict[str, float]) -> list[tuple[str, str]]:
    """Run the scenarios cold and unchanged; return what was built in which order."""
    order = []
    scenarios = [SCENARIOS["cold"], SCENARIOS["unchanged"]]
    for scenario, contender, result in bench_rebuild.turns(bench, scenarios, [BEFORE, OURS]):
        result.seconds.append(seconds[scenario.name if contender is OURS else "slow"])
        order.append((scenario.name, contender.name))
    return order


def test_a_source_tree_is_fetched_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As it is in the builder; what an earlier run left of one is no part of it."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.c").write_text(TEXT)
    bakes = []

    def bake(_bench: Bench, made: dict[str, Any], *_words: object, **_where: object) -> Outcome:
        bakes.append(made)
        (output,) = made["target"]["bench-source"]["output"]
        with tarfile.open(output.partition("dest=")[2], "w") as archive:
            archive.add(tmp_path / "tree", ".")
        return Outcome(Build(), 0, datetime.now(UTC), 1.0, tmp_path / "log")

    monkeypatch.setattr(bench_rebuild, "_bake", bake)
    left = tmp_path / "sources" / f"{bench.run.name}-ffmpeg.part"
    left.mkdir(parents=True)
    (left / "half").touch()
    for _ in range(2):
        folder = bench_rebuild.pristine(bench, "ffmpeg")
        assert [path.name for path in folder.iterdir()] == ["a.c"]
    assert len(bakes) == 1
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_contenders_take_turns_and_short_builds_are_repeated(bench: Bench) -> None:
    """So that what else the machine does meets all of them; a cold build is made once."""
    assert built(bench, {"cold": 5, "unchanged": 1, "slow": 100}) == [
        ("cold", "before"),
        ("cold", "ours"),
        ("unchanged", "before"),
        ("unchanged", "ours"),
        ("unchanged", "ours"),
        ("unchanged", "ours"),
    ]


def test_first_builds_can_be_repeated(bench: Bench) -> None:
    """Each cold again: with a base, and so layers, and cache mounts that no other has."""
    bench.colds = 2
    assert built(bench, {"cold": 5, "unchanged": 100, "slow": 100})[:4] == [
        ("cold", "before"),
        ("cold", "ours"),
        ("cold", "before"),
        ("cold", "ours"),
    ]
    cold, edit = SCENARIOS["cold"], SCENARIOS["unchanged"]
    first, second, after = (
        bench_rebuild.prepare(scenario, OURS, bench.state(OURS, repeat), {})[0]
        for scenario, repeat in ((cold, 0), (cold, 1), (edit, 1))
    )
    assert (after.base, after.namespace) == (first.base, first.namespace)
    assert len({first.base, second.base}) == len({first.namespace, second.namespace}) == 2
    assert second.namespace.startswith(first.namespace)  # so that they are removed together


def test_a_run_goes_on_where_it_was_broken_off(bench: Bench) -> None:
    """What was measured is not measured again, by the build."""
    bench.run.results = [
        Result("cold", "before", "cpu", [100]),
        Result("cold", "ours", "cpu", [80]),
        Result("unchanged", "ours", "cpu", [1.0, 1.1]),
    ]
    assert built(bench, {"unchanged": 1, "slow": 1}) == [
        ("unchanged", "before"),
        ("unchanged", "before"),
        ("unchanged", "before"),
        ("unchanged", "ours"),
    ]


def test_what_is_kept_can_be_read_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """By --resume, of the same files and while its caches are there."""
    monkeypatch.setattr(bases, "choose", lambda: "registry")
    monkeypatch.setattr(contenders, "digest", lambda: "abc")
    bench.run.inputs = "abc"
    bench.run.results = [Result("cold", "ours", "cpu", [80.0]), Result("base", "ours", "cpu")]
    bench.keep()
    again = bench_rebuild.begin(resume=True, quick=False)
    assert again.run.found() == {"cold": {"ours": Result("cold", "ours", "cpu", [80.0])}}
    monkeypatch.setattr(contenders, "digest", lambda: "def")
    with pytest.raises(UserError, match="have changed since"):
        bench_rebuild.begin(resume=True, quick=False)
    monkeypatch.setattr(contenders, "digest", lambda: "abc")
    bench.run.closed = True
    bench.keep()
    with pytest.raises(UserError, match="are removed"):
        bench_rebuild.begin(resume=True, quick=False)


@pytest.mark.parametrize("file", ["a.c", "a.cu"])
def test_an_edit_is_code_with_a_marker(file: str, tmp_path: Path) -> None:
    """Not a comment, which would leave the object as it was."""
    (tmp_path / file).write_text(TEXT)
    bench_rebuild.edit(tmp_path, file, STATE.nonce)
    added = (tmp_path / file).read_text().removeprefix(TEXT)
    assert "vmaf_bench_0123456789ab" in added
    assert "used" in added or "__global__" in added
    with pytest.raises(UserError, match=r"no b\.c"):
        bench_rebuild.edit(tmp_path, "b.c", STATE.nonce)


def test_an_edited_header_can_be_included_twice(tmp_path: Path) -> None:
    """As it could before: by a file, and by another header that the file includes."""
    (tmp_path / "a.h").write_text(f"#ifndef A\n#define A\n{TEXT}#endif /* A */\n")
    bench_rebuild.edit(tmp_path, "a.h", STATE.nonce)
    text = (tmp_path / "a.h").read_text()
    assert "vmaf_bench_0123456789ab" in text
    assert text.endswith("#endif /* A */\n")


def test_what_each_scenario_changes(bench: Bench, tmp_path: Path) -> None:
    """One thing, and nothing where nothing is to change."""
    source = tmp_path / "pristine"
    (source / "libvmaf" / "src").mkdir(parents=True)
    (source / "libvmaf" / "src" / "libvmaf.c").write_text(TEXT)
    changed = {}
    for name in ("unchanged", "touched", "recompile", "package", "base", "libvmaf-c"):
        state, contexts = bench_rebuild.prepare(SCENARIOS[name], OURS, STATE, {"libvmaf": source})
        tree = bench_rebuild.FOLDER / "trees" / "ours"
        changed[name] = {
            str(path.relative_to(tree))
            for path in tree.rglob("*")
            if path.is_file()
            and (
                not (ROOT / path.relative_to(tree)).exists()
                or path.read_bytes() != (ROOT / path.relative_to(tree)).read_bytes()
            )
        }
        assert (state.base != STATE.base) == (name == "base")
        assert state.namespace == STATE.namespace
        assert set(contexts) == ({"libvmaf-source"} if name == "libvmaf-c" else set())
    assert changed == {
        "unchanged": set(),
        "touched": {"server/vmaf_bench_0123456789ab.txt"},
        "recompile": {"docker/recipes/compile/compile.sh"},
        "package": {"docker/Dockerfile.production-gpu"},
        "base": set(),
        "libvmaf-c": set(),
    }
    assert (source / "libvmaf" / "src" / "libvmaf.c").read_text() == TEXT
    assert bench.state(LIMIT).namespace == bench.state(OURS).namespace
    assert bench.state(ADR).namespace != bench.state(OURS).namespace


def test_no_build_overwrites_an_image_of_ours(bench: Bench) -> None:
    """Nor shares its layers or cache mounts, and the frontend is compiled for none."""
    for contender in (BEFORE, OURS, REGISTRY):
        made = bench_rebuild.overlay(contender, "cpu", bench.state(contender), "bootstrap", {})
        target, common = made["target"]["cpu"], made["target"]["_common"]
        assert target["tags"] == [f"vmaf-bench/{contender.name}:cpu"]
        assert common["args"]["BUILDKIT_CACHE_MOUNT_NS"].endswith(contender.name)
        assert common["contexts"][bases.BASE] == "target:bench-base"
        assert (bases.FRONTEND in common["contexts"]) == contender.remote
        folder = Path(made["target"]["bench-base"]["contexts"][bench.state(contender).namespace])
        assert contender.name in (folder / bench_rebuild.BASE_MARKER).read_text()
        assert (folder / "etc/apt/apt.conf.d/docker-clean").exists()
    made = bench_rebuild.overlay(OURS, "cpu", bench.state(OURS), "registry", {})
    base = made["target"]["bench-base"]
    assert base["dockerfile-inline"].startswith("FROM debian:trixie-slim\n")
    assert not (Path(base["contexts"][bench.state(OURS).namespace]) / "etc/apt").exists()


def test_a_base_image_is_pushed_once_and_pulled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As users have it; built again, the dates of its files would make it another one."""
    pushed: list[str] = []

    def bake(
        _bench: Bench, overlaid: dict[str, Any], words: list[str], *, cwd: Path, what: str
    ) -> Outcome:
        assert words == ["--builder=vmaf-bench", "bench-base"]
        assert (cwd, what) == (ROOT, "base")
        (output,) = overlaid["target"]["bench-base"]["output"]
        pushed.append(output)
        return Outcome(Build(), 0, datetime.now(UTC), 1.0, Path("log"))

    tags: set[str] = set()
    monkeypatch.setattr(bench_rebuild, "_bake", bake)
    monkeypatch.setattr(Registry, "tags", lambda _self, _repository: tags)
    bench.registry = Registry("127.0.0.1:5000")
    image = f"127.0.0.1:5000/vmaf-bench-base:{STATE.base}"
    for _ in range(2):
        assert bench_rebuild.pushed_base(bench, STATE) == f"docker-image://{image}"
        tags.add(STATE.base)
    assert pushed == [f"type=image,name={image},push=true"]


def test_the_base_is_the_bootstrapped_one() -> None:
    """As docker/bootstrap/Dockerfile makes it, and nothing of what follows there."""
    lines = bench_rebuild.base_lines("bootstrap").splitlines()
    assert lines == [
        "FROM scratch AS base",
        "ADD build/bootstrap/rootfs.tar /",
        'CMD ["bash"]',
    ]


def test_the_frontends_name_is_the_overlays() -> None:
    """The name that is put out of use is the one in use."""
    assert f'"{bases.FRONTEND}"' in (ROOT / "docker-bake.bootstrap.hcl").read_text()


def test_every_scenarios_image_is_in_the_bake_file() -> None:
    """A target by another name would be built as if nothing were said of it."""
    text = (ROOT / "docker-bake.hcl").read_text()
    assert all(f'target "{one.target}"' in text for one in SCENARIOS.values())


def test_a_stale_library_is_noticed() -> None:
    """Where the edit is missing, and where an earlier one is still there."""
    mine, other = "vmaf_bench_0123456789ab", "vmaf_bench_ffffffffffff"
    edit, none = SCENARIOS["libvmaf-c"], SCENARIOS["unchanged"]

    def stale(libvmaf: set[str], scenario: Scenario) -> str:
        return bench_rebuild.stale({"libvmaf": libvmaf, "libavfilter": set()}, scenario, STATE)

    assert not stale({mine}, edit)
    assert not stale(set(), none)
    assert "holds none" in stale(set(), edit)
    assert f"holds {other}" in stale({other}, edit)
    assert f"should hold no edit and holds {mine}" in stale({mine}, none)


def test_an_image_unlike_the_cold_build_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its files, where its digest is another one."""
    found: list[str] = []
    monkeypatch.setattr(bench_rebuild, "differences", lambda _one, _other: found)
    monkeypatch.setattr(bench_rebuild, "identity", lambda image: image)
    result = Result("base", "ours", "cpu")
    assert not bench_rebuild.compared(SCENARIOS["base"], result)
    assert result.digests_equal is True
    found.append("/usr/local/bin/vmaf: content")
    assert "/usr/local/bin/vmaf" in bench_rebuild.compared(SCENARIOS["base"], result)
    assert result.digests_equal is False
    monkeypatch.setattr(bench_rebuild, "identity", lambda _image: "sha256:1")
    assert not bench_rebuild.compared(SCENARIOS["unchanged"], result)
    assert result.digests_equal is True
    edited = Result("libvmaf-c", "ours", "cpu")
    assert not bench_rebuild.compared(SCENARIOS["libvmaf-c"], edited)
    assert edited.digests_equal is None


def test_a_second_first_build_is_compared_with_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is what all others are compared with, and so keeps its tag."""
    monkeypatch.setattr(bench_rebuild, "differences", lambda _one, _other: ["/usr/local/bin/vmaf"])
    monkeypatch.setattr(bench_rebuild, "identity", lambda image: image)
    tagged: list[object] = []
    monkeypatch.setattr(subprocess, "run", lambda *words, **_how: tagged.append(words))
    result = Result("cold", "ours", "cpu", [500.0])
    assert not bench_rebuild.compared(SCENARIOS["cold"], result)
    result.seconds.append(510.0)
    assert "/usr/local/bin/vmaf" in bench_rebuild.compared(SCENARIOS["cold"], result)
    assert len(tagged) == 1


def test_a_limit_is_the_work_that_is_left(bench: Bench) -> None:
    """Of the projects that the scenario compiles, and the writing of that very image."""
    part = {"configure": 1.0, "link": 2.0, "install": 0.5}
    bench.run.limits = {"libvmaf-cpu": part, "ffmpeg-cpu": {**part, "configure": 8.0}}
    bench.run.results = [
        Result(name, "ours", "cpu", [30.0], stages={"(export)": [0.7]})
        for name in ("unchanged", "libvmaf-c", "libvmaf-header")
    ]
    bench_rebuild.add_limits(bench.run)
    found = bench.run.found()
    assert found["libvmaf-c"]["limit"].seconds == [4.2]
    assert found["libvmaf-header"]["limit"].seconds == [14.7]
    assert "limit" not in found["unchanged"]


def test_only_the_records_of_this_run_are_removed() -> None:
    """As `docker buildx du --verbose` lists them: its mounts, and what stands on its bases."""

    def record(number: int, description: str, parent: str = "") -> str:
        above = f"Parent:\t\t{parent}\n" if parent else ""
        return f"ID:\t\tid{number}\n{above}Mutable:\ttrue\nDescription:\t{description}\nType:\tx"

    mount, step = "cached mount /ccache from exec /bin/sh -c x with id ", "mount / from exec x"
    listing = "\n\n".join(
        [
            record(1, f'{mount}"/vmaf-ccache-amd64"'),
            record(2, f'{mount}"bench-r-ours/vmaf-ccache-amd64"'),
            record(3, f'{mount}"/bench-r-adr/vmaf-ccache-amd64"'),
            record(4, f'{mount}"bench-other-ours/vmaf-ccache-amd64"'),
            record(5, step, "id6"),
            record(6, "mount / from exec /bin/sh -c echo bench-r-ours", "id7"),
            record(7, "[base 1/2] ADD build/bootstrap/rootfs.tar /"),
            record(10, step, "id9"),
            record(9, step, "id8"),
            record(8, "[base 2/2] COPY --from=bench-r-ours . /", "id7"),
        ]
    )
    assert bench_rebuild.records(listing, "bench-r-") == ["id10", "id2", "id3", "id8", "id9"]


def test_a_half_written_file_is_never_a_run(bench: Bench) -> None:
    """The file is replaced at once."""
    bench.run.results = [Result("cold", "ours", "cpu", [80.0])]
    bench.keep()
    assert json.loads(bench.path.read_text())["results"][0]["seconds"] == [80.0]
    assert list(bench.path.parent.glob("*.part")) == []


@pytest.fixture
def fast(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have every build end at once, well; returns the list of what was built."""
    built: list[str] = []
    (tmp_path / "log").write_text("[cpu toolchain 1/2] Fetched 231 kB in 0s (1170 kB/s)\n")

    def bake(_bench: Bench, overlaid: object, _words: object, *, cwd: Path, what: str) -> Outcome:
        built.append(what)
        json.dumps(overlaid)
        assert cwd.is_dir()
        return Outcome(Build(), 0, datetime.now(UTC), 1.5, tmp_path / "log")

    def markers(image: str) -> dict[str, set[str]]:
        (scenario,) = (one for one in SCENARIOS.values() if built[-1].endswith(f"-{one.name}"))
        edits = (tmp_path / "trees").glob(f"{scenario.edit[0]}-edited/**/*.[ch]")
        found = {f"vmaf_bench_{m}" for e in edits for m in re.findall(NONCE, e.read_text())}
        return {name: found if name in scenario.found else set() for name in LIBRARIES if image}

    for project, file in (one.edit for one in SCENARIOS.values() if one.edit[0]):
        path = tmp_path / "sources" / f"{bench.run.name}-{project}" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#ifndef A\n{TEXT}#endif\n")
    monkeypatch.setattr(bench_rebuild, "_bake", bake)
    monkeypatch.setattr(bench_rebuild, "library_markers", markers)
    monkeypatch.setattr(bench_rebuild, "compared", lambda _scenario, _result: "")
    monkeypatch.setattr(bench_rebuild, "measure_limit", lambda _bench, target: built.append(target))
    monkeypatch.setattr(bench_rebuild, "forget", lambda _bench: built.append("forgotten"))
    monkeypatch.setattr(bench_rebuild, "begin", lambda **_: bench)
    monkeypatch.setattr(build, "check_disk", lambda _free: None)
    monkeypatch.setattr(engine, "require", lambda: None)
    monkeypatch.setattr(engine, "free_bytes", lambda _engine: None)
    return built


def test_a_quick_run(bench: Bench, fast: list[str]) -> None:
    """From the first build to the last word, each scenario of ours and its limit."""
    bench.run.quick = True
    found = list(bench_rebuild.figures(options.parse(["rebuild", "--quick"])))
    assert [figure.name for figure in found] == [
        f"{one.name}, cpu, ours" for one in SCENARIOS.values() if one.quick
    ]
    assert fast[:6] == ["frontend", "ours-cold", *["ours-unchanged"] * 3, "ours-touched"]
    assert fast[-2:] == ["cpu", "forgotten"]
    kept = performance.read(json.loads(bench.path.read_text()))
    assert kept.closed
    assert kept.found()["cold"]["ours"].downloaded_bytes == 231_000


def test_a_stale_image_fails_the_bench(
    bench: Bench, fast: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the name of what is stale, its figures kept and nothing removed."""
    none: dict[str, set[str]] = {name: set() for name in LIBRARIES}
    monkeypatch.setattr(bench_rebuild, "library_markers", lambda _image: none)
    given = options.parse(["rebuild", "--contender", "ours", "--scenario", "libvmaf-c"])
    with pytest.raises(UserError, match="libvmaf-c, ours: libvmaf should hold vmaf_bench_"):
        list(bench_rebuild.figures(given))
    assert "forgotten" not in fast
    assert not bench.run.closed
    assert "libvmaf-c" in performance.read(json.loads(bench.path.read_text())).found()
