"""Measure the contenders: fill the stores with a first build, then build on empty machines."""

import argparse
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.filesize import decimal

from scripts.bench import contenders as checkout
from scripts.bench import correctness, edits, registry
from scripts.bench import session as sessions
from scripts.bench.figure import Figure
from scripts.bench.fresh import machine, results, table, transports
from scripts.bench.fresh.machine import FILES
from scripts.bench.fresh.results import BASES, NOTHING, Row, Run
from scripts.bench.fresh.transports import CONTENDERS, TRANSPORTS, Contender, Stores, Transport
from scripts.bench.scenarios import SCENARIOS
from scripts.bench.session import State
from scripts.buildkit import records
from scripts.buildkit.records import BuildRecord
from scripts.caches import mounts, program, stream
from scripts.core import git, process
from scripts.core.console import UserError, console, say
from scripts.dockerfile import project
from scripts.engine import client
from scripts.images import bases, build, catalogue, export, sizes, sources

ROOTS = 2
"""How often the disk has what a build needs: on a machine, and in the stores."""


@dataclass
class Bench:
    """A run, and what its builds use."""

    run: Run
    path: Path
    directory: Path
    """The stores, which a resumed run continues to use."""
    base_source: str

    def write(self) -> None:
        """Write the results so far, atomically."""
        part = self.path.with_suffix(".part")
        part.write_bytes(results.encode(self.run))
        part.replace(self.path)

    def tag(self, name: str) -> str:
        """Return the tag of an image of this run."""
        return f"vmaf-bench/fresh-{name.replace('+', '-')}:{self.run.image}"

    @property
    def source(self) -> Path:
        """The source tree of libvmaf without an edit."""
        return self.directory / "libvmaf"

    def tree(self, scenario: str) -> Path:
        """Write the source tree of libvmaf, which has a new commit in one scenario."""
        edited, tree = SCENARIOS[scenario], FILES / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(self.source, tree, symlinks=True)
        if edited.project:
            edits.edit_source(tree, edited.file, self.run.nonce)
        return tree

    def build(self, scenario: str, name: str, values: Mapping[str, str]) -> BuildRecord:
        """Build the image of a scenario with environment variables; `name` is part of its tag.

        Raises:
            UserError: the build failed.
        """
        image = self.run.image
        with machine.variables(values):
            return build.build(
                [image],
                libvmaf=str(self.tree(scenario)),
                expected=records.lookups_by_stage(records.records()),
                tags={image: self.tag(name)},
            )


def begin(image: str, chosen: Sequence[Contender], *, resume: bool) -> Bench:
    """Start a run, or continue the newest one with its image and its contenders.

    Raises:
        UserError: there is no run to continue, or its files changed or its stores were removed.
    """
    base_source = bases.choose()
    if base_source == "bootstrap":
        bases.bootstrap()
    if resume:
        path = newest()
        run = results.decode(path)
        if why := obsolete(run):
            raise UserError("cannot resume the bench", why, "Start a new run without --resume.")
        say(f"resuming {path}")
    else:
        when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        names = [contender.name for contender in chosen]
        facts = {**sessions.machine(), "bases": base_source}
        run = Run(when, git.revision(), facts, image, names, checkout.digest())
        path = FILES / f"{run.name}.json"
        for directory in FILES.glob("*z"):  # of interrupted runs, which can no longer be resumed
            shutil.rmtree(directory)
    return Bench(run, path, FILES / run.name, base_source)


def obsolete(run: Run) -> str:
    """Return why a run cannot be resumed; empty if it can."""
    if run.closed or not run.filled:
        return "what its transports saved is removed"
    if (run.inputs, run.revision) != (checkout.digest(), git.revision()):
        return f"the checkout is no longer the one of {run.when}, at {run.revision}"
    return ""


def newest() -> Path:
    """Return the file of the newest run.

    Raises:
        UserError: there is none.
    """
    if paths := sorted(FILES.glob("*z.json")):
        return paths[-1]
    raise UserError(
        "there is no run of the bench", f"{FILES} has none", "Run `nox -s bench -- fresh`."
    )


def travelling(architecture: str) -> list[program.Mount]:
    """Return the mounts that the builder has, and that an archive has without being asked."""
    optional = {path for paths in stream.ON_REQUEST.values() for path in paths}
    present = {mount.id for mount in mounts.existing()}
    contract = stream.contract(mounts.declared(project.of_repository()), architecture)
    return [
        mount
        for mount in contract
        if mount.id in present and mount.declaration.mount.target not in optional
    ]


def needed(run: Run) -> list[str]:
    """Return the names of the transports that the contenders of a run use, as they save."""
    used = {name for contender in run.contenders for name in CONTENDERS[contender].transports}
    return [name for name in TRANSPORTS if name in used]


def fill(bench: Bench, stores: Stores, used: Mapping[str, Transport]) -> None:
    """Build the image on an empty machine, and let each transport save.

    Raises:
        UserError: the build or a save failed.
    """
    run = bench.run
    say("fresh: the first build")
    with machine.machine(stores.registry, BASES["libvmaf-c"]):
        filling = {k: v for transport in used.values() for k, v in transport.filling.items()}
        built = bench.build("base", NOTHING, filling)
        run.rows = [Row(NOTHING, NOTHING, run.image)]
        run.rows[0].measure(built.seconds, built.stages)
        say(f"fresh: built in {built.seconds:.0f} s")
        stores.mounts = travelling(program.builder().architecture)
        run.mounts = [mount.id for mount in stores.mounts]
        both = "archive+registry" in run.contenders
        shared = used["registry"].writing if both else {}
        for name, transport in used.items():
            say(f"fresh: {name} saves")
            try:
                saved = transport.save(shared if name == "archive" else {})
            except UserError as error:  # the others go on, and no build with it is measured
                say(f"fresh: FAILED: {name}: {error.what}: {error.why}")
                continue
            run.saves[name] = saved
            say(f"fresh: {name}: saved {decimal(saved.bytes)} in {saved.seconds:.1f} s")
        # The image that all contenders must build after the edit. It comes last, as it changes
        # the cache mounts.
        bench.build("libvmaf-c", "edited", {})
    run.filled = True
    bench.write()


def measure(
    bench: Bench, stores: Stores, used: Mapping[str, Transport], scenario: str, name: str
) -> Row:
    """Load and build on an empty machine, and check the image.

    Raises:
        UserError: a load or the build failed.
    """
    if missing := set(CONTENDERS[name].transports) - set(bench.run.saves):
        raise UserError("nothing to load", f"{', '.join(missing)} did not save", "Start a new run.")
    chosen = [used[transport] for transport in CONTENDERS[name].transports]
    values = {k: v for transport in chosen for k, v in transport.variables.items()}
    row = Row(scenario, name, bench.run.image)
    before = sum(transport.received() for transport in chosen)
    with machine.machine(stores.registry, BASES[scenario]):
        begin = time.monotonic()
        with machine.variables(values):
            for transport in chosen:
                transport.load()
        row.load = round(time.monotonic() - begin, 2) if chosen else 0.0
        built = bench.build(scenario, name, values)
    row.measure(built.seconds, built.stages)
    row.transferred = sum(transport.received() for transport in chosen) - before
    row.note = check(bench, scenario, bench.tag(name))
    row.digests_equal = not row.note
    process.run("docker", "image", "rm", bench.tag(name))
    return row


def check(bench: Bench, scenario: str, image: str) -> str:
    """Return what is wrong with an image; empty if it has the edit and the expected files."""
    state = State(bench.run.nonce, "", "")
    markers = correctness.library_markers(image, ("libvmaf",))
    if stale := correctness.stale_library(markers, SCENARIOS[scenario], state):
        return stale
    expected = bench.tag("edited" if SCENARIOS[scenario].project else NOTHING)
    different = correctness.differences(expected, image)
    return f"differs from {expected}: {'; '.join(different[:3])}" if different else ""


def pending(run: Run) -> list[tuple[str, str]]:
    """Return the scenarios and contenders that are not yet measured, in turns."""
    return [
        (scenario, name)
        for scenario in BASES
        for name in run.contenders
        if not run.row(scenario, name)
    ]


def measure_all(bench: Bench) -> list[str]:
    """Measure what is missing in a run; return what failed, after which the others go on.

    Raises:
        UserError: the first build or a save failed.
    """
    run = bench.run
    bench.directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        served = stack.enter_context(registry.run(bench.directory / "registry"))
        names = needed(run)
        redis = None
        if "redis" in names:
            redis = stack.enter_context(machine.redis(bench.directory / "redis"))

        def again(values: Mapping[str, str]) -> Sequence[records.StageRecord]:
            return bench.build("base", NOTHING, values).stages

        stores = Stores(served, redis, bench.directory, again)
        used = {name: TRANSPORTS[name](stores) for name in names}
        unique = {place: f"{run.name}-{place}" for place in set(BASES.values())}
        machine.publish(served, run.name, unique, bench.base_source)
        export.source_tree("libvmaf", bench.source, bench.base_source)
        architecture = program.builder().architecture
        if "archive" in used:
            program.find(architecture)  # its build is not a part of a save
        if not run.filled:
            fill(bench, stores, used)
        contract = stream.contract(mounts.declared(project.of_repository()), architecture)
        stores.mounts = [mount for mount in contract if mount.id in run.mounts]

        def one(scenario: str, name: str) -> Row:
            return measure(bench, stores, used, scenario, name)

        return measure_pending(bench, one)


def measure_pending(bench: Bench, one: Callable[[str, str], Row]) -> list[str]:
    """Measure what is missing in a run; return what failed.

    Args:
        bench: the run, which gets the results without a fault.
        one: measures a scenario and a contender.
    """
    failed = []
    for number, (scenario, name) in enumerate(left := pending(bench.run), 1):
        say(f"fresh: {number} of {len(left)}: {name}, {SCENARIOS[scenario].title}")
        try:
            row = one(scenario, name)
        except UserError as error:
            failed.append(f"{name}, {scenario}: {error.what}: {error.why}")
            say(f"fresh: FAILED: {failed[-1]}")
            continue
        say(f"fresh: {name}: loaded in {row.load:.1f} s, built in {row.value:.1f} s")
        if row.note:
            failed.append(f"{name}, {scenario}: {row.note}")
            say(f"fresh: WRONG: {failed[-1]}")
            continue
        bench.run.rows.append(row)
        bench.write()
    return failed


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield the seconds of each contender after all builds are measured.

    Raises:
        UserError: an option is invalid, a build failed, or an image is wrong.
    """
    if options.update_docs:
        update_docs()
        return
    (image,) = catalogue.choose([options.image])
    chosen = transports.choose(options.contender)
    FILES.mkdir(parents=True, exist_ok=True)
    registry.programs()
    bench = begin(image.name, chosen, resume=options.resume)
    space = ROOTS * sizes.needed_bytes([bench.run.image])
    sizes.check_disk(client.free_bytes(client.require()), space)
    try:
        failed = measure_all(bench)
    except KeyboardInterrupt:
        if bench.run.filled:
            say(f"the results so far are in {bench.path}; `-- fresh --resume` continues the run")
        raise
    for row in bench.run.rows:
        yield Figure(f"{row.scenario}, {row.target}, {row.contender}", row.total, "s")
    console.print(table.generated(bench.run), markup=False, soft_wrap=True)
    if failed:
        raise UserError(
            "a contender failed",
            "\n".join(failed),
            f"The results are in {bench.path}; `-- fresh --resume` measures what is missing.",
        )
    bench.run.closed = True
    bench.write()
    clean_up(bench)


def clean_up(bench: Bench) -> None:
    """Remove the images of a run, its stores, and the copies of its sources."""
    for name in (NOTHING, "edited"):
        process.run("docker", "image", "rm", bench.tag(name))
    for directory in (bench.directory, FILES / "tree"):
        shutil.rmtree(directory, ignore_errors=True)
    shutil.rmtree(sources.copy_of("libvmaf", str(FILES / "tree")), ignore_errors=True)


def update_docs() -> None:
    """Store the newest run in docs/ and update the page and its chart.

    Raises:
        UserError: there is neither a run on this machine nor one in docs/.
    """
    if not results.STORED.exists() or list(FILES.glob("*z.json")):
        run = results.decode(newest())
        results.STORED.write_bytes(results.encode(run))
    table.update()
