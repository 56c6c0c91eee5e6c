"""A set of Dockerfiles with the stages, steps and images that they define."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from scripts.core import git
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.dockerfile import bake, parser, shell
from scripts.dockerfile.parser import Dockerfile, Instruction, Mount, Stage
from scripts.dockerfile.step_files import DEFAULT_PATH, MAX_SCRIPT_BYTES, BuildContext, StepFiles

VENDOR = "docker/Dockerfile.vendor"
"""The Dockerfile whose named contexts are in an overlay."""


@dataclass(frozen=True)
class StageReference:
    """A stage of a Dockerfile."""

    file: str
    name: str
    """As in `Stage.name`; empty for the last stage of the file."""


@dataclass(frozen=True)
class ExternalImage:
    """An image or context that no Dockerfile of the project builds."""

    reference: str


@dataclass(frozen=True)
class Step:
    """A RUN, the scripts that it runs, and its initial environment and user."""

    run: Instruction
    stage: StageReference
    commands: tuple[shell.Command, ...]
    """The commands of all scripts."""
    scripts: tuple[shell.Script, ...]
    """The shell commands of the RUN, then each script that they run."""
    environment: Mapping[str, str]
    """The ENV and ARG of the stage and its parents, and the assignments of the scripts."""
    user: str

    def caches(self) -> Iterator[Mount]:
        """Yield the cache mounts."""
        return (mount for mount in self.run.mounts if mount.type == "cache")

    def has_cache_at(self, directory: str) -> bool:
        """Whether a cache mount is at a directory, or at a parent of the directory."""
        targets = (Path(mount.target) for mount in self.caches())
        return any(Path(directory).is_relative_to(target) for target in targets)

    @property
    def text(self) -> str:
        """The text of all scripts."""
        return "\n".join(script.text for script in self.scripts)


@dataclass(frozen=True)
class Project:
    """The Dockerfiles of the checkout, or Dockerfiles of other projects."""

    files: Mapping[str, Dockerfile]
    contexts: Mapping[str, Mapping[str, StageReference | ExternalImage]] = field(
        default_factory=dict
    )
    """The named contexts of each file."""
    images: Mapping[str, StageReference] = field(default_factory=dict)
    """The stage of each target with a tag."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """The files of the checkout, by path; empty for Dockerfiles of other projects."""
    targets: Mapping[str, bake.Target] = field(default_factory=dict)
    """The targets of the bake files; empty for Dockerfiles of other projects."""
    replacement_images: Mapping[str, str] = field(default_factory=dict)
    """The images that replace a stage, with the path of the overlay that names them."""
    replaceable: frozenset[StageReference] = frozenset()
    """The stages that an overlay replaces by a named context."""
    directories: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """The directories that may be the build context of another project's Dockerfile."""

    @property
    def is_foreign(self) -> bool:
        """Whether the Dockerfiles belong to another project."""
        return not self.targets

    def stage(self, reference: StageReference) -> Stage:
        """Return a stage.

        Raises:
            UserError: the file has no stage of this name.
        """
        stages = self.files[reference.file].stages
        if not reference.name:
            return stages[-1]
        matches = [stage for stage in stages if stage.name == reference.name.lower()]
        if not matches:
            raise UserError(
                "cannot read the policy's list of images",
                f"{reference.file} has no stage `{reference.name}`, which docker-bake.hcl names",
                "Name one of its stages as the target in docker-bake.hcl.",
            )
        return matches[-1]

    def stages(self) -> Iterator[tuple[StageReference, Stage]]:
        """Yield every stage of every file."""
        for path, file in self.files.items():
            for stage in file.stages:
                yield StageReference(path, stage.name), stage

    def resolve(self, name: str, file: str, line: int) -> StageReference | ExternalImage:
        """Return what a name in a FROM or --from on a line of a file refers to.

        As in BuildKit, a named context replaces a stage of the same name, and a stage may only
        be named after its FROM.
        """
        context = self.contexts.get(file, {}).get(name.lower())
        if context is not None:
            return context
        for number, stage in enumerate(self.files[file].stages):
            if stage.start.line < line and name.lower() in {stage.name, str(number)}:
                return StageReference(file, stage.name)
        return ExternalImage(name)

    def declares(self, reference: StageReference, run: Instruction, variable: str) -> bool:
        """Whether an ARG or ENV of a step's stage, or of a parent stage, sets a variable.

        A stage that a named context may replace does not pass its ARGs on, as an image has none.
        """
        for below, stage in reversed(self.chain(reference)):
            is_own = below == reference
            if below.file != reference.file or (not is_own and below in self.replaceable):
                return False
            for instruction in stage.instructions:
                if is_own and instruction.line >= run.line:
                    break
                if instruction.name in {"ARG", "ENV"} and variable in instruction.pairs():
                    return True
        return False

    def chain(self, reference: StageReference) -> list[tuple[StageReference, Stage]]:
        """Return a stage and its parent stages, the base first."""
        stages: list[tuple[StageReference, Stage]] = []
        origin: StageReference | ExternalImage = reference
        while isinstance(origin, StageReference):
            stage = self.stage(origin)
            stages.insert(0, (StageReference(origin.file, stage.name), stage))
            origin = self.resolve(stage.base, origin.file, stage.start.line)
        return stages

    def is_on_build_machine(self, reference: StageReference) -> bool:
        """Whether a stage runs on the build machine's platform, whatever the image's is."""
        _, first = self.chain(reference)[0]
        return "BUILDPLATFORM" in first.start.flag("platform")

    def before(self, reference: StageReference, instruction: Instruction) -> Iterator[Instruction]:
        """Yield the instructions before an instruction of a stage, parent stages first."""
        for below, stage in self.chain(reference):
            for earlier in stage.instructions:
                if below.file == reference.file and earlier.line == instruction.line:
                    return
                yield earlier

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every RUN of every stage."""
        return tuple(
            self._step(reference, run, run.script)
            for reference, stage in self.stages()
            for run in stage.instructions
            if run.script is not None
        )

    def _step(self, reference: StageReference, run: Instruction, script: shell.Script) -> Step:
        earlier = list(self.before(reference, run))
        environment, user = state(earlier)
        context = BuildContext(self.texts, self.directories.get(reference.file, ()))
        files = StepFiles(context, environment.get("PATH", DEFAULT_PATH))
        for instruction in earlier:
            files.apply(instruction)
        for mount in run.mounts:
            files.mount(mount)
        scripts = tuple(files.scripts(script))
        for step_script in scripts:
            environment |= step_script.assignments
        commands = tuple(command for step_script in scripts for command in step_script.commands)
        return Step(run, reference, commands, scripts, environment, user)


def state(instructions: Iterable[Instruction]) -> tuple[dict[str, str], str]:
    """Return the variables and the user that instructions set; by default, the user is empty."""
    environment: dict[str, str] = {}
    user = ""
    for instruction in instructions:
        if instruction.name in {"ENV", "ARG"}:
            environment |= instruction.pairs()
        elif instruction.name == "USER":
            user = parser.expanded(instruction.arguments[0], environment)
    return environment, user


def of_repository(changed: Mapping[str, str] | None = None) -> Project:
    """Read the Dockerfiles that the bake files of the checkout name.

    Args:
        changed: the contents of files to add or replace, by path.

    Raises:
        UserError: a bake file or a Dockerfile cannot be read.
    """
    texts = _texts() | dict(changed or {})
    files: dict[str, Dockerfile] = {}
    contexts: dict[str, dict[str, StageReference | ExternalImage]] = {}
    every_target: dict[str, bake.Target] = {}
    replacement_images: dict[str, str] = {}
    replaceable: set[StageReference] = set()
    overlays = sorted(path for path in texts if re.fullmatch(r"docker-bake\.\w+\.hcl", path))
    for overlay in [None, *overlays]:
        bake_files = ["docker-bake.hcl", *([overlay] if overlay else [])]
        targets = bake.declared_targets(*(texts[path] for path in bake_files))
        every_target = {**targets, **every_target}
        for target in targets.values():
            path = target.dockerfile
            file = files.setdefault(path, parser.read(texts[path], path))
            for name, value in target.contexts.items():
                context = _context(value, targets)
                if overlay is None:
                    contexts.setdefault(path, {})[name] = context
                    continue
                if name in {stage.name for stage in file.stages}:
                    replaceable.add(StageReference(path, name))
                if value.startswith("docker-image://") and isinstance(context, ExternalImage):
                    replacement_images[context.reference] = overlay
                elif path == VENDOR:
                    contexts.setdefault(path, {}).setdefault(name, context)
    images = {
        name: StageReference(target.dockerfile, target.target)
        for name, target in every_target.items()
        if target.tags
    }
    return Project(
        files, contexts, images, texts, every_target, replacement_images, frozenset(replaceable)
    )


def _texts() -> dict[str, str]:
    """Return the small files of the checkout by path."""
    return {
        str(path): (ROOT / path).read_text(errors="replace")
        for path in git.tracked()
        if (ROOT / path).is_file() and (ROOT / path).stat().st_size < MAX_SCRIPT_BYTES
    }


def _context(value: str, targets: Mapping[str, bake.Target]) -> StageReference | ExternalImage:
    """Return the stage or image of a named context in a bake file."""
    if value.startswith("target:"):
        target = targets[value.removeprefix("target:")]
        return StageReference(target.dockerfile, target.target)
    return ExternalImage(value.removeprefix("docker-image://"))


def of_files(paths: Sequence[str]) -> Project:
    """Read single Dockerfiles, of this project or of others.

    The scripts that a Dockerfile copies or mounts are looked up in its directory, then in the
    root of the git checkout that contains it.

    Raises:
        UserError: a file is missing or cannot be read.
    """
    files, directories = {}, {}
    for path in paths:
        if not Path(path).is_file():
            raise UserError(
                "cannot check a Dockerfile",
                f"there is no file {path}",
                "Pass the path of a Dockerfile.",
            )
        files[path] = parser.read(Path(path).read_text(errors="replace"), path)
        directories[path] = _likely_contexts(Path(path).resolve().parent)
    images = {path: StageReference(path, "") for path in files}
    return Project(files, images=images, directories=directories)


def _likely_contexts(directory: Path) -> Sequence[Path]:
    """Return a Dockerfile's directory, and the root of the git checkout that contains it."""
    roots = (above for above in (directory, *directory.parents) if (above / ".git").exists())
    return tuple(dict.fromkeys([directory, *list(roots)[:1]]))
