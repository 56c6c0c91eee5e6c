"""The builds of the rebuild bench.

A cold build does not empty any cache. It is cold because its base image contains a unique file,
and because its cache mounts have a separate namespace.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts.bench import edits
from scripts.bench.contenders import BOOTSTRAP, PRODUCTION, Contender
from scripts.bench.registry import BASES
from scripts.bench.scenarios import COLD, Scenario
from scripts.bench.session import DIRECTORY, Session, State
from scripts.buildkit import failure, progress
from scripts.core.console import say
from scripts.core.paths import ROOT
from scripts.dockerfile import parser
from scripts.images import bases, build, export, remote_cache
from scripts.images.overlay import overlay as machine_overlay

TAGS = "vmaf-bench"
"""The repository of the contenders' images, which is not used for the project's images."""
BASE_MARKER = "etc/vmaf-bench"
"""The file that makes a base image unique."""

# The content of a file that Debian's container images have and a bootstrapped base lacks.
_DOCKER_CLEAN = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
"""


def tag(contender: Contender, target: str) -> str:
    """Return the tag of a contender's image."""
    return f"{TAGS}/{contender.name}:{target}"


def tree(contender: Contender) -> Path:
    """Return the directory with the files of a contender."""
    return DIRECTORY / "trees" / contender.name


def prepare(
    scenario: Scenario, contender: Contender, state: State, sources: Mapping[str, Path]
) -> tuple[State, dict[str, str]]:
    """Write the files of a build; return its state and its named contexts.

    Args:
        scenario: the change to make.
        contender: the contender to build.
        state: the state of the build before the change.
        sources: the unmodified source trees by project, for scenarios that edit one.
    """
    files = tree(contender)
    contender.write(files)
    contexts: dict[str, str] = {}
    if scenario.name == "touched":
        edits.touch(files, state.nonce)
    if scenario.name == "recompile":
        edits.invalidate_compile_steps(compile_recipe(files), state.nonce)
    if scenario.name == "package":
        package = edits.PACKAGES[state.repeat % len(edits.PACKAGES)]
        edits.add_package(files / PRODUCTION, package)
    if scenario.name == "base":
        state = replace(state, base=f"{state.base}-{state.nonce}")
    if scenario.name == COLD and state.repeat:  # later scenarios continue from the first build
        unique = f"{state.namespace}-{state.repeat}"
        state = replace(state, base=unique, namespace=unique)
    if scenario.project:
        copy = DIRECTORY / "trees" / f"{scenario.project}-edited"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(sources[scenario.project], copy, symlinks=True)
        edits.edit_source(copy, scenario.file, state.nonce)
        contexts[export.SOURCES[scenario.project]] = str(copy)
    return state, contexts


def compile_recipe(files: Path) -> Path:
    """Return the path of the recipe that all compile steps mount."""
    return next((files / "docker" / "recipes").rglob("compile.sh"))


def overlay(
    contender: Contender, target: str, state: State, base_source: str, contexts: Mapping[str, str]
) -> dict[str, Any]:
    """Return the bake file that adds the state of a build to a contender's files."""
    bake_file = machine_overlay(
        _directory(), base_source=base_source, namespace=state.namespace, environment=settings()
    )
    targets = bake_file["target"]
    targets["_common"]["contexts"] = {bases.BASE: "target:bench-base", **contexts}
    # The bootstrapped images replace images that other machines pull. They are not part of a
    # contender and are built from this checkout.
    targets["_bootstrap"]["context"] = str(ROOT)
    targets["bench-base"] = base_target(state, base_source)
    if contender.remote and base_source == "bootstrap":
        # No step reads this context, but without it each build would compile the frontend.
        (marker,) = targets["bench-base"]["contexts"].values()
        targets["_common"]["contexts"][bases.FRONTEND] = marker
    targets[target] = {"tags": [tag(contender, target)], "output": ["type=docker"]}
    return bake_file


def settings() -> dict[str, str]:
    """Return the settings of the host, without the remote cache, which would warm every build."""
    return {name: value for name, value in os.environ.items() if name != remote_cache.VARIABLE}


def _directory() -> Path:
    """Create the directory of the overlay and its secrets; return its path."""
    directory = DIRECTORY / "trees"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def base_target(state: State, base_source: str) -> dict[str, Any]:
    """Return the bake target of the base image that is unique to a contender."""
    return {
        "context": str(ROOT),
        "dockerfile-inline": f"{base_lines(base_source)}\nCOPY --from={state.namespace} . /\n",
        "contexts": {state.namespace: str(base_context(state, base_source))},
    }


def base_lines(base_source: str) -> str:
    """Return the Dockerfile lines of the default base image.

    The target that adds the marker contains them, as a separate target would slow each build down.
    """
    if base_source != "bootstrap":
        return f"FROM {bases.BASE}"
    stages = parser.read((ROOT / BOOTSTRAP).read_text(), BOOTSTRAP).stages
    (stage,) = (stage for stage in stages if stage.name == "base")
    return "\n".join(line.source for line in (stage.start, *stage.instructions))


def base_context(state: State, base_source: str) -> Path:
    """Write the files to add to the base image: the marker and, if bootstrapped, docker-clean."""
    directory = DIRECTORY / "trees" / "base"
    shutil.rmtree(directory, ignore_errors=True)
    files = {BASE_MARKER: f"{state.base}\n"}
    if base_source == "bootstrap":
        files["etc/apt/apt.conf.d/docker-clean"] = _DOCKER_CLEAN
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def image(
    session: Session, scenario: Scenario, contender: Contender, repeat: int = 0
) -> tuple[progress.Outcome, State]:
    """Build a contender's image in a scenario; repeat the build after a race in BuildKit.

    Raises:
        UserError: the build failed.
    """
    project = scenario.project
    sources = {project: source_tree(session, project)} if project else {}
    for last in (False, True):
        state, contexts = prepare(scenario, contender, session.state(contender, repeat), sources)
        bake_file = overlay(contender, scenario.target, state, session.base_source, contexts)
        arguments = []
        if contender.remote and session.registry:
            bake_file["target"]["_common"]["contexts"][bases.BASE] = pushed_base(session, state)
            session.registry.empty()
            arguments = session.registry.arguments(scenario.target)
        outcome = bake(
            session,
            bake_file,
            [*arguments, scenario.target],
            directory=tree(contender),
            name=f"{contender.name}-{scenario.name}",
        )
        if not outcome.returncode:
            break
        race = build.is_race((outcome.build.text or [""])[-1])
        # In a repeated build, the steps that ran before the race are cached.
        if last or not race or not scenario.repeats:
            raise failure.failure(outcome)
        say("measuring the build again after a known race in BuildKit")
    return outcome, state


def pushed_base(session: Session, state: State) -> str:
    """Push a base image to the registry before the measurement; return its named context.

    Users pull their base image, so it is not part of the cached layers. It is built only once,
    because its files have the dates of the build.

    Raises:
        UserError: the base image cannot be built.
    """
    assert session.registry  # noqa: S101 (for mypy; the registry runs for remote contenders)
    name = session.registry.base(state.base)
    if state.base not in session.registry.tags(BASES):
        bake_file = machine_overlay(
            _directory(), base_source=session.base_source, environment=settings()
        )
        output = f"type=image,name={name},push=true"
        target = {**base_target(state, session.base_source), "output": [output]}
        bake_file["target"]["bench-base"] = target
        bake_or_raise(session, bake_file, [session.registry.builder, "bench-base"], "base")
    return f"docker-image://{name}"


def source_tree(session: Session, project: str) -> Path:
    """Return the default source tree of a project, which is fetched once in each run.

    Raises:
        UserError: the stage that fetches it cannot be built.
    """
    directory = DIRECTORY / "sources" / f"{session.run.name}-{project}"
    export.source_tree(project, directory, session.base_source)
    return directory


def build_frontend(session: Session) -> None:
    """Build the syntax frontend before the measurement if it cannot be pulled.

    Raises:
        UserError: the frontend cannot be built.
    """
    if session.base_source == "bootstrap":
        bake_file = machine_overlay(
            _directory(), base_source=session.base_source, environment=settings()
        )
        bake_or_raise(session, bake_file, ["frontend"], "frontend")


def bake_or_raise(
    session: Session, bake_file: Mapping[str, Any], arguments: Sequence[str], name: str
) -> None:
    """Run bake in the checkout.

    Raises:
        UserError: the build failed.
    """
    outcome = bake(session, bake_file, arguments, directory=ROOT, name=name)
    if outcome.returncode:
        raise failure.failure(outcome)


def bake(
    session: Session,
    bake_file: Mapping[str, Any],
    arguments: Sequence[str],
    *,
    directory: Path,
    name: str,
) -> progress.Outcome:
    """Run bake in a directory with an additional bake file; `name` is part of the log's name."""
    return export.bake(
        bake_file,
        arguments,
        name=f"bench-{name}",
        file=_directory() / "overlay.json",
        base_source=session.base_source,
        cwd=directory,
    )
