"""How long rebuilds take: ours, what people use today, and the least there is to it.

Each contender (see contenders.py) is built again and again as its files change, in
turns with the others. No cache is emptied for it: a contender begins cold because
its base image holds a file that no other has, and its cache mounts a namespace of
their own. Nothing of a bench is left in the tags that people use.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts import bases, build, compare, contenders, engine, performance, progress, report
from scripts.console import UserError, console, say
from scripts.contenders import CONTENDERS, LIMIT, OURS, Contender
from scripts.figures import Figure, middle
from scripts.paths import RECORDS, ROOT, RUN
from scripts.performance import Result, Run
from scripts.policy import dockerfile
from scripts.registry import BASES, Registry, programs, serve

FOLDER = RECORDS / "bench"
MARKER = "vmaf_bench_"
"""What every edit leaves in the binaries, its nonce behind it."""
LIBRARIES = ("libvmaf", "libavfilter")
"""Those that an edit may be found in."""
TAGS = "vmaf-bench"
BASE_MARKER = "etc/vmaf-bench"
"""The file that makes a base image another one."""
PACKAGES = ("bc", "ed", "time")
"""Small ones, added to the toolchain in turn."""
COLD = "cold"
"""The scenario that all others come after."""
ROUNDS = 3
SHORT, SHORT_WHEN_QUICK = 60.0, 10.0
"""Seconds under which a build is repeated."""
_GIVEN = {"libvmaf": "libvmaf-source", "ffmpeg": "ffmpeg-source"}

# What Debian's container images tell apt, and a bootstrapped base does not.
_DOCKER_CLEAN = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
"""

# Data and kernels that stay in the binary, so that it is seen there.
_IN_C = '\n__attribute__((used)) static const volatile char {0}[] = "{0}";\n'
_IN_CUDA = '\nextern "C" __global__ void {0}(unsigned *out) {{ *out = {1}u; }}\n'


@dataclass(frozen=True)
class Scenario:
    """Something that changes, and the image that is built then."""

    name: str
    title: str
    target: str = "cpu"
    after: str = COLD
    """The scenario that must have been built before."""
    edit: tuple[str, str] = ("", "")
    """A project, and the file of its tree that is edited."""
    found: tuple[str, ...] = ()
    """The libraries of the image that the edit is then found in."""
    compiles: tuple[str, ...] = ()
    """The projects that must be compiled, or configured and linked at least."""
    quick: bool = False
    bounded: bool = False
    """Whether it has a limit: what is not apt's work."""
    repeats: bool = True
    """Whether a second build can be as the first."""


_HEADER = "libvmaf/include/libvmaf/libvmaf.h"
_BOTH = ("libvmaf", "ffmpeg")
SCENARIOS = {
    one.name: one
    for one in (
        Scenario(
            COLD,
            "first build, nothing cached",
            after="",
            compiles=_BOTH,
            quick=True,
            repeats=False,
        ),
        Scenario("unchanged", "nothing changed", quick=True),
        Scenario("touched", "dates and an unrelated file changed", quick=True),
        Scenario(
            "libvmaf-c",
            "a .c file of libvmaf edited",
            edit=("libvmaf", "libvmaf/src/libvmaf.c"),
            found=("libvmaf",),
            compiles=("libvmaf",),
            quick=True,
            bounded=True,
        ),
        Scenario(
            "libvmaf-header",
            "a public header of libvmaf edited",
            edit=("libvmaf", _HEADER),
            found=("libvmaf", "libavfilter"),
            compiles=_BOTH,
            quick=True,
            bounded=True,
        ),
        Scenario(
            "ffmpeg-c",
            "a .c file of FFmpeg edited",
            edit=("ffmpeg", "libavfilter/vf_libvmaf.c"),
            found=("libavfilter",),
            compiles=("ffmpeg",),
            quick=True,
            bounded=True,
        ),
        Scenario(
            "recompile", "libvmaf and FFmpeg invalidated", compiles=_BOTH, quick=True, bounded=True
        ),
        Scenario("package", "a package added to the toolchain", compiles=_BOTH),
        Scenario("base", "another base image", compiles=_BOTH),
        Scenario(
            "second", "a second variant after the first", "cuda12", compiles=_BOTH, repeats=False
        ),
        Scenario(
            "libvmaf-cu",
            "a .cu file of libvmaf edited",
            "cuda12",
            after="second",
            edit=("libvmaf", "libvmaf/src/feature/cuda/integer_motion/motion_score.cu"),
            found=("libvmaf",),
            compiles=("libvmaf",),
            bounded=True,
        ),
    )
}
"""In the order they are measured in."""


@dataclass(frozen=True)
class State:
    """What is not the same as in a fresh checkout, and what keeps a contender apart."""

    nonce: str
    base: str
    namespace: str
    repeat: int = 0


@dataclass
class Bench:
    """A run of the bench, under way."""

    run: Run
    path: Path
    kind: str
    """Where the base image is from."""
    colds: int = 1
    """How often a first build is made, each with a base and cache mounts of its own."""
    registry: Registry | None = None
    """Runs where a contender needs it."""

    def keep(self) -> None:
        """Write down what was measured so far, whole or not at all."""
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.run.data(), indent=1) + "\n")
        part.replace(self.path)

    def state(self, contender: Contender, repeat: int = 0) -> State:
        """Return a new state of a contender: it keeps its base and its cache mounts."""
        apart = f"bench-{self.run.name}-{OURS.name if contender is LIMIT else contender.name}"
        return State(uuid.uuid4().hex[:12], apart, apart, repeat)

    def wanted(self, result: Result) -> int:
        """Return how often a scenario is to be built."""
        if result.scenario == COLD:
            return self.colds
        short = SHORT_WHEN_QUICK if self.run.quick else SHORT
        again = result.seconds and result.seconds[0] < short
        return ROUNDS if again and SCENARIOS[result.scenario].repeats else 1


def tag(contender: Contender, target: str) -> str:
    """Return what a contender's image is called: never the name of an image of ours."""
    return f"{TAGS}/{contender.name}:{target}"


# --- what is built --------------------------------------------------------------


def touch(tree: Path, nonce: str) -> None:
    """Give every file a new date, and the context a file that no step reads."""
    for path in tree.rglob("*"):
        os.utime(path)
    (tree / "server" / f"{MARKER}{nonce}.txt").write_text(nonce)


def edit(tree: Path, file: str, nonce: str) -> None:
    """Change what a source file compiles to, so that the change can be found.

    Raises:
        UserError: there is no such file.
    """
    path = tree / file
    if not path.is_file():
        raise UserError(
            "cannot edit a source file",
            f"there is no {file} in the source tree",
            "Name another in SCENARIOS of scripts/bench_rebuild.py.",
        )
    name, text = f"{MARKER}{nonce}", path.read_text()
    if path.suffix == ".cu":
        text += _IN_CUDA.format(name, int(nonce[:7], 16))
    elif path.suffix == ".h":  # inside its guard, or a file that includes it twice has two
        before, end, after = text.rpartition("#endif")
        text = before + _IN_C.format(name) + end + after
    else:
        text += _IN_C.format(name)
    path.write_text(text)


def prepare(
    scenario: Scenario, contender: Contender, state: State, sources: Mapping[str, Path]
) -> tuple[State, dict[str, str]]:
    """Write the files of a build; returns its state and the named contexts.

    `sources` are pristine trees by project, asked for only where one is edited.
    """
    tree = FOLDER / "trees" / contender.name
    contender.write(tree)
    contexts: dict[str, str] = {}
    if scenario.name == "touched":
        touch(tree, state.nonce)
    if scenario.name == "recompile":
        recipe = tree / "docker" / "recipes" / "compile" / "compile.sh"
        recipe.write_text(f"{recipe.read_text()}# {state.nonce}\n")
    if scenario.name == "package":
        file = tree / contenders.PRODUCTION
        package = PACKAGES[state.repeat % len(PACKAGES)]
        file.write_text(contenders.add_package(file.read_text(), package))
    if scenario.name == "base":
        state = replace(state, base=f"{state.base}-{state.nonce}")
    if scenario.name == COLD and state.repeat:  # what comes after goes on with the first one's
        again = f"{state.namespace}-{state.repeat}"
        state = replace(state, base=again, namespace=again)
    project, file_name = scenario.edit
    if project:
        copy = FOLDER / "trees" / f"{project}-edited"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(sources[project], copy, symlinks=True)
        edit(copy, file_name, state.nonce)
        contexts[_GIVEN[project]] = str(copy)
    return state, contexts


def overlay(
    contender: Contender, target: str, state: State, kind: str, contexts: Mapping[str, str]
) -> dict[str, Any]:
    """Return the bake file that tells a contender's build from the one of a user."""
    made = build.overlay([], kind=kind, namespace=state.namespace, environment=os.environ)
    targets = made["target"]
    targets["_common"]["contexts"] = {bases.BASE: "target:bench-base", **contexts}
    # The stand-ins for what is pulled elsewhere are no part of what is measured.
    targets["_bootstrap"]["context"] = str(ROOT)
    targets["bench-base"] = bench_base(state, kind)
    if contender.remote and kind == "bootstrap":
        # Nothing reads it: any folder is better than to compile the frontend in each build.
        (marker,) = targets["bench-base"]["contexts"].values()
        targets["_common"]["contexts"][bases.FRONTEND] = marker
    targets[target] = {"tags": [tag(contender, target)], "output": ["type=docker"]}
    return made


def bench_base(state: State, kind: str) -> dict[str, Any]:
    """Return the bake target that makes a base image which is no other contender's."""
    return {
        "context": str(ROOT),
        "dockerfile-inline": f"{base_lines(kind)}\nCOPY --from={state.namespace} . /\n",
        "contexts": {state.namespace: str(base_context(state, kind))},
    }


def base_lines(kind: str) -> str:
    """Return the lines of a Dockerfile that make the base image as users have it.

    In one target with the marker: a target more makes every build slower.
    """
    if kind != "bootstrap":
        return f"FROM {bases.BASE}"
    text = (ROOT / contenders.BOOTSTRAP).read_text()
    (stage,) = (
        one for one in dockerfile.read(text, contenders.BOOTSTRAP).stages if one.name == "base"
    )
    return "\n".join(one.source for one in (stage.start, *stage.instructions))


def base_context(state: State, kind: str) -> Path:
    """Write what the base image has that no other has, and what a pulled one has."""
    folder = FOLDER / "trees" / "base"
    shutil.rmtree(folder, ignore_errors=True)
    files = {BASE_MARKER: f"{state.base}\n"}
    if kind == "bootstrap":
        files["etc/apt/apt.conf.d/docker-clean"] = _DOCKER_CLEAN
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def bake(
    bench: Bench, contender: Contender, what: str, target: str, overlaid: Mapping[str, Any]
) -> progress.Outcome:
    """Build one target of a contender's tree to its end; `what` is for the log's name."""
    tree = FOLDER / "trees" / contender.name
    words = []
    if contender.remote and bench.registry:
        bench.registry.empty()
        words = bench.registry.words(target)
    return _bake(bench, overlaid, [*words, target], cwd=tree, what=f"{contender.name}-{what}")


def pushed_base(bench: Bench, state: State) -> str:
    """Put a base image into the registry before the clock runs; return the context it is.

    Users pull theirs, so it is none of the layers that are kept. It is made once: the dates
    of its files are those of its making.

    Raises:
        UserError: it cannot be built.
    """
    assert bench.registry  # noqa: S101 - for mypy: it runs where a contender needs it
    image = bench.registry.base(state.base)
    if state.base not in bench.registry.tags(BASES):
        made = build.overlay([], kind=bench.kind, environment=os.environ)
        output = f"type=image,name={image},push=true"
        made["target"]["bench-base"] = {**bench_base(state, bench.kind), "output": [output]}
        words = [bench.registry.builder, "bench-base"]
        outcome = _bake(bench, made, words, cwd=ROOT, what="base")
        if outcome.returncode:
            raise report.failure(outcome)
    return f"docker-image://{image}"


def _bake(
    bench: Bench, overlaid: Mapping[str, Any], words: Sequence[str], *, cwd: Path, what: str
) -> progress.Outcome:
    file = FOLDER / "trees" / "overlay.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(overlaid))
    command = ["docker", "buildx", "bake", "--progress=rawjson"]
    for name in (*bases.OVERLAYS[bench.kind], str(file)):
        command += ["--file", name]
    log = RECORDS / "logs" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-bench-{what}.log"
    os.environ["SOURCE_DATE_EPOCH"] = build.epoch(os.environ)
    # Where nothing is said of an output, buildx would load the stages as well.
    os.environ["BUILDX_NO_DEFAULT_LOAD"] = "1"
    return progress.follow([*command, *words], cwd=cwd, log=log)


# --- one build --------------------------------------------------------------------


def sample(bench: Bench, scenario: Scenario, contender: Contender, result: Result) -> None:
    """Build once and write down what it took, and whether the image is what it should be.

    Raises:
        UserError: the build failed.
    """
    outcome, state = built(bench, scenario, contender, len(result.seconds))
    result.add(outcome.seconds, report.stages(outcome.build), performance.downloaded(outcome.log))
    wrong = stale(library_markers(tag(contender, scenario.target)), scenario, state)
    if contender is OURS and not wrong:
        wrong = compared(scenario, result)
    if wrong:
        result.note = wrong
        say(f"STALE: {scenario.name}, {contender.name}: {wrong}")
    bench.keep()


def built(
    bench: Bench, scenario: Scenario, contender: Contender, repeat: int = 0
) -> tuple[progress.Outcome, State]:
    """Build a contender's image as a scenario has it, once more where BuildKit lost itself.

    Raises:
        UserError: the build failed.
    """
    project, _ = scenario.edit
    sources = {project: pristine(bench, project)} if project else {}
    for last in (False, True):
        state, contexts = prepare(scenario, contender, bench.state(contender, repeat), sources)
        made = overlay(contender, scenario.target, state, bench.kind, contexts)
        if contender.remote:
            made["target"]["_common"]["contexts"][bases.BASE] = pushed_base(bench, state)
        outcome = bake(bench, contender, scenario.name, scenario.target, made)
        if not outcome.returncode:
            break
        race = build.is_race((outcome.build.text or [""])[-1])
        if last or not race or not scenario.repeats:  # what was done before the race stays cached
            raise report.failure(outcome)
        say("BuildKit lost its own state, a known fault of it; measuring once more")
    return outcome, state


def pristine(bench: Bench, project: str) -> Path:
    """Return the tree that the images are built from by default, fetched once a bench.

    Raises:
        UserError: it cannot be built.
    """
    folder = FOLDER / "sources" / f"{bench.run.name}-{project}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = build.overlay([], kind=bench.kind, environment=os.environ)
    made["target"]["bench-source"] = {
        "inherits": ["_production"],
        "target": _GIVEN[project],
        # As one file: buildx 0.13 may wait forever while it writes thousands.
        "output": [f"type=tar,dest={folder}.tar"],
    }
    outcome = _bake(bench, made, ["bench-source"], cwd=ROOT, what=f"{project}-source")
    if outcome.returncode:
        raise report.failure(outcome)
    part = Path(f"{folder}.part")
    shutil.rmtree(part, ignore_errors=True)
    with tarfile.open(f"{folder}.tar") as archive:
        archive.extractall(part, filter="tar")
    part.rename(folder)
    Path(f"{folder}.tar").unlink()
    return folder


def stand_in(bench: Bench) -> None:
    """Build what others pull, before the clock runs: it is no part of a build of the images.

    Raises:
        UserError: it cannot be built.
    """
    if bench.kind == "bootstrap":
        made = build.overlay([], kind=bench.kind, environment=os.environ)
        outcome = _bake(bench, made, ["frontend"], cwd=ROOT, what="frontend")
        if outcome.returncode:
            raise report.failure(outcome)


def measure_limit(bench: Bench, target: str) -> None:
    """Measure what no cache can save of a target's compile steps, by project.

    It is built out of our caches, so that compiling itself takes next to nothing.

    Raises:
        UserError: the build failed, or nobody told the time.
    """
    outcome, _ = built(bench, Scenario("limit", "", target), LIMIT)
    for stage in report.stages(outcome.build):
        project = stage.name.removesuffix(f"-{target}")
        if project in _GIVEN and (told := stage.measures.get("limit")):
            rest = max(step["seconds"] for step in stage.steps.values()) - told["until"]
            bench.run.limits[f"{project}-{target}"] = {
                "configure": told["configure"],
                "link": told["link"],
                "install": round(max(rest, 0.0), 2),
            }
    if not all(f"{project}-{target}" in bench.run.limits for project in _GIVEN):
        raise UserError(
            "cannot measure the limit",
            f"the compile steps of {target} did not say how long their links took",
            f"See scripts/limit.sh and {outcome.log}.",
        )
    bench.keep()


def add_limits(run: Run) -> None:
    """Put a limit beside each of our results that has one."""
    for name, row in run.found().items():
        scenario = SCENARIOS[name]
        parts = [run.limits.get(f"{project}-{scenario.target}") for project in scenario.compiles]
        if not scenario.bounded or OURS.name not in row or not all(parts):
            continue
        limit = run.result(name, LIMIT.name, scenario.target)
        kinds = ("configure", "link", "install")
        work = {kind: sum(part[kind] for part in parts if part) for kind in kinds}
        work["export"] = row[OURS.name].export
        limit.stages = {kind: [round(seconds, 2)] for kind, seconds in work.items()}
        limit.seconds = [round(sum(work.values()), 2)]


# --- correctness --------------------------------------------------------------------


def library_markers(image: str) -> dict[str, set[str]]:
    """Return the markers of edits in an image's libraries.

    Raises:
        UserError: a library cannot be read.
    """
    found, folder = {}, "/usr/local/lib"
    for name in LIBRARIES:
        done = subprocess.run(
            [
                *("docker", "run", "--rm", "--entrypoint=sh", image),
                "-c",
                f"cat {folder}/{name}.so.*",
            ],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise UserError(
                f"cannot read {name} of {image}",
                done.stderr.decode(errors="replace").strip(),
                "The image was just built: see whether the engine still answers.",
            )
        markers = re.findall(rf"{MARKER}[0-9a-f]{{12}}".encode(), done.stdout)
        found[name] = {marker.decode() for marker in markers}
    return found


def stale(markers: Mapping[str, set[str]], scenario: Scenario, state: State) -> str:
    """Say what is stale in an image: an edit that is missing, or an earlier one that stayed."""
    for name, there in markers.items():
        expected = {f"{MARKER}{state.nonce}"} if name in scenario.found else set()
        if there != expected:
            return (
                f"{name} should hold {', '.join(expected) or 'no edit'} "
                f"and holds {', '.join(sorted(there)) or 'none'}"
            )
    return ""


def compared(scenario: Scenario, result: Result) -> str:
    """Compare an image with the cold build of the same inputs; say what is different.

    An edit is new in every build, so that there is none to compare with: its marker is
    what tells of it.
    """
    image = tag(OURS, scenario.target)
    cold = f"{image}-cold"
    if scenario.name == COLD and len(result.seconds) == 1:
        subprocess.run(["docker", "tag", image, cold], check=True)
        return ""
    if scenario.edit[0] or scenario.target != SCENARIOS[COLD].target:
        return ""
    found = [] if identity(cold) == identity(image) else differences(cold, image)
    result.digests_equal = not found
    return f"unlike the cold build: {'; '.join(found[:3])}" if found else ""


def identity(image: str) -> str:
    """Return an image's digest: two of one digest need not be compared file by file.

    Raises:
        UserError: there is no such image.
    """
    if found := engine.output("docker", "image", "inspect", "--format={{.Id}}", image).strip():
        return found
    raise UserError(
        "cannot compare images", f"{image} is gone", "Begin a new run, without --resume."
    )


def differences(one: str, other: str) -> list[str]:
    """Return how our own files of two images differ, a line each.

    Debian's own and what installing them made, dates in logs and the like, are no cache's work.
    """
    return [
        f"{found.path} ({found.what})"
        for found in compare.differences(compare.listing(one), compare.listing(other))
        if found.owner == "ours"
    ]


# --- the run ------------------------------------------------------------------------


def plan(names: Sequence[str], *, quick: bool) -> list[Scenario]:
    """Return the named scenarios, or all, with those that they need before them.

    Raises:
        UserError: there is no scenario of that name.
    """
    if unknown := [name for name in names if name not in SCENARIOS]:
        listing = "\n".join(f"  {one.name:<15} {one.title}" for one in SCENARIOS.values())
        raise UserError("no such scenario", f"`{unknown[0]}`", f"There are:\n{listing}")
    wanted = set(names or (one.name for one in SCENARIOS.values() if one.quick or not quick))
    for name in reversed(SCENARIOS):
        if name in wanted:
            wanted.add(SCENARIOS[name].after)
    return [one for one in SCENARIOS.values() if one.name in wanted]


def choose(names: Sequence[str], *, quick: bool) -> list[Contender]:
    """Return the named contenders, or all; a quick run has ours alone.

    Raises:
        UserError: there is no contender of that name.
    """
    if unknown := [name for name in names if name not in CONTENDERS]:
        listing = "\n".join(f"  {one.name:<10} {one.what}" for one in CONTENDERS.values())
        raise UserError("no such contender", f"`{unknown[0]}`", f"There are:\n{listing}")
    return [
        one
        for one in CONTENDERS.values()
        if (one.name in names if names else one is OURS or not quick)
    ]


def turns(
    bench: Bench, scenarios: Sequence[Scenario], those: Sequence[Contender]
) -> Iterator[tuple[Scenario, Contender, Result]]:
    """Yield what is still to be built, the contenders in turns, until all have enough builds."""
    rows = {
        scenario.name: [
            (one, bench.run.result(scenario.name, one.name, scenario.target)) for one in those
        ]
        for scenario in scenarios
    }
    for scenario in scenarios:
        for number in range(max(ROUNDS, bench.colds)):
            for contender, result in rows[scenario.name]:
                if len(result.seconds) == number < bench.wanted(result):
                    yield scenario, contender, result


def machine() -> dict[str, Any]:
    """Describe this machine as far as it decides the times."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    answering = engine.require()
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(memory / 1e9),
        "system": platform.platform(),
        "engine": answering.version,
        "buildx": answering.buildx,
    }


def begin(*, resume: bool, quick: bool) -> Bench:
    """Return a new bench, or the newest one to go on with.

    Raises:
        UserError: there is none to go on with, or its files or caches are gone.
    """
    kind = bases.choose()
    if kind == "bootstrap":
        bases.bootstrap()
    if not resume:
        when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        described = {**machine(), "bases": kind}
        run = Run(when, build.revision(), described, contenders.digest(), quick)
        return Bench(run, FOLDER / f"{run.name}{RUN}", kind)
    path = newest()
    run = performance.read(json.loads(path.read_text()))
    if run.inputs != contenders.digest():
        raise UserError(
            "cannot go on with the bench",
            f"the files that {path} was built from have changed since",
            f"Check {run.revision} out, or begin a new run without --resume.",
        )
    if run.closed:
        raise UserError(
            "cannot go on with the bench",
            f"the cache mounts of {path} are removed: what followed would not be warm",
            "Begin a new run; `--keep` leaves one open.",
        )
    say(f"going on with {path}")
    run.quick = run.quick and quick
    return Bench(run, path, kind)


def newest() -> Path:
    """Return the file of the latest run.

    Raises:
        UserError: there is none.
    """
    if paths := sorted(FOLDER.glob(f"*{RUN}")):
        return paths[-1]
    raise UserError(
        "there is no run of the bench", f"none is in {FOLDER}", "Run `nox -s bench -- rebuild`."
    )


def measure(bench: Bench, scenarios: Sequence[Scenario], those: Sequence[Contender]) -> None:
    """Build all there is to build, and keep each figure at once.

    Raises:
        UserError: a build failed.
    """
    build.check_disk(engine.free_bytes(engine.require()))
    stand_in(bench)
    with ExitStack() as stack:
        for scenario, contender, result in turns(bench, scenarios, those):
            if contender.remote and not bench.registry:
                bench.registry = stack.enter_context(serve(FOLDER / "registry" / bench.run.name))
            done = sum(bool(one.seconds) for one in bench.run.results)
            say(
                f"rebuild: {done} of {len(bench.run.results)} done; now {scenario.name} "
                f"({scenario.title}), {contender.name}, build {len(result.seconds) + 1}"
            )
            sample(bench, scenario, contender, result)
            say(f"rebuild: {scenario.name}, {contender.name}: {result.seconds[-1]:.1f} s")
    bench.registry = None
    if OURS not in those:
        return
    for target in dict.fromkeys(one.target for one in scenarios if one.bounded):
        if f"ffmpeg-{target}" not in bench.run.limits:
            say(f"rebuild: the limit of {target}")
            measure_limit(bench, target)
    add_limits(bench.run)
    bench.keep()


def forget(bench: Bench) -> None:
    """Remove the images, layers and cache mounts of a run, and no others."""
    tags = engine.output("docker", "images", "--format={{.Repository}}:{{.Tag}}", f"{TAGS}/*")
    if tags.split():
        engine.output("docker", "image", "rm", *tags.split())
    listing = engine.output("docker", "buildx", "du", "--verbose")
    if found := records(listing, f"bench-{bench.run.name}-"):
        which = f'--filter=id="{"|".join(found)}"'
        say(f"rebuild: removing {len(found)} records of this run from the builder")
        engine.output("docker", "buildx", "prune", "--force", which)
    for name in ("trees", "sources", "registry"):
        shutil.rmtree(FOLDER / name, ignore_errors=True)


def records(listing: str, namespace: str) -> list[str]:
    """Return what a run left in the builder, out of `docker buildx du --verbose`.

    Cache mounts are in its namespace; layers descend from a base image with its marker.
    """
    parents: dict[str, set[str]] = {}
    found = set()
    for record in listing.split("\n\n"):
        fields = dict(re.findall(r"^([A-Z][\w ]*):\s*(.*)$", record, re.MULTILINE))
        if "ID" not in fields:
            continue
        name, description = fields["ID"].rstrip("*"), fields.get("Description", "")
        parents[name] = set(re.findall(r"\w+", fields.get("Parent", "")))
        its_own = (
            rf'^cached mount .* with id "/?{namespace}[^"]*"$',
            rf"COPY --from={namespace}\S* \. /$",
        )
        if any(re.search(pattern, description) for pattern in its_own):
            found.add(name)
    while more := {name for name, above in parents.items() if above & found} - found:
        found |= more
    return sorted(found)


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield the medians of a run, once all of it is measured.

    Raises:
        UserError: an option is wrong, a build failed, or a result is stale.
    """
    if options.draw:
        publish()
        return
    scenarios = plan(options.scenario, quick=options.quick)
    those = choose(options.contender, quick=options.quick)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if any(one.remote for one in those):
        programs()
    bench = begin(resume=options.resume, quick=options.quick)
    bench.colds = options.cold
    left_out = [name for name in CONTENDERS if name not in {one.name for one in those}]
    if left_out:
        say(f"rebuild: left out: {', '.join(left_out)}")
    try:
        measure(bench, scenarios, those)
    except KeyboardInterrupt:
        say(f"what was measured is in {bench.path}: `-- rebuild --resume` goes on with it")
        raise
    for one in bench.run.results:
        if one.seconds:
            yield middle(f"{one.scenario}, {one.target}, {one.contender}", one.seconds, "s")
    console.print(performance.table(bench.run, titles()), markup=False, soft_wrap=True)
    if wrong := [one for one in bench.run.results if one.note]:
        raise UserError(
            "the bench found a stale image",
            "\n".join(f"{one.scenario}, {one.contender}: {one.note}" for one in wrong),
            f"Its images and caches are left to look at; the figures are in {bench.path}.",
        )
    if not options.keep:
        bench.run.closed = True
        bench.keep()
        forget(bench)


def titles() -> dict[str, str]:
    """Return what each scenario is to people."""
    return {one.name: one.title for one in SCENARIOS.values()}


def publish() -> None:
    """Put the latest run into docs/, where there is one here; draw what is in docs/ anew.

    Raises:
        UserError: nothing was measured, here or in docs/.
    """
    if not performance.history() or list(FOLDER.glob(f"*{RUN}")):
        performance.keep(performance.read(json.loads(newest().read_text())))
    performance.draw(titles())
    say(f"drawn: {performance.PAGE.relative_to(ROOT)} and its charts")
