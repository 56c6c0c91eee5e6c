"""What the rules look at: every Dockerfile, the stages as they build on each other, each step."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from scripts.core import git
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.dockerfile import bake, parser, shell
from scripts.dockerfile.parser import Dockerfile, Instruction, Mount, Stage

Place = tuple[str, str]
"""A file and the name of a stage in it."""

VENDOR = "docker/Dockerfile.vendor"
"""The file whose targets are in an overlay only."""


@dataclass(frozen=True)
class Step:
    """A RUN with all that it runs, recipes included, and the state that it runs in."""

    run: Instruction
    place: Place
    commands: tuple[shell.Command, ...]
    scripts: tuple[shell.Script, ...]
    """The words of the RUN itself, then each recipe that it comes to."""
    environment: Mapping[str, str]
    """ENV and ARG of the stage and its parents up to here, and what the scripts set."""
    user: str

    def caches(self) -> Iterator[Mount]:
        """Yield the cache mounts."""
        return (mount for mount in self.run.mounts if mount.kind == "cache")

    @property
    def text(self) -> str:
        """All that the step reads as a script."""
        return "\n".join(script.text for script in self.scripts)


@dataclass(frozen=True)
class Project:
    """The Dockerfiles of a bake file, or single ones."""

    files: Mapping[str, Dockerfile]
    contexts: Mapping[str, Mapping[str, Place | str]]
    """Of each file, the named contexts: a stage of another file, or an image."""
    images: Mapping[str, Place]
    """The stage that each tagged target is."""
    texts: Mapping[str, str]
    """Every file that a step may run or that starts builds, by its path in the checkout."""
    targets: Mapping[str, Any]
    """The targets as bake prints them; none where single files are read."""
    substitutes: Mapping[str, str] = field(default_factory=dict)
    """Images that an overlay puts in a stage's place, and that overlay."""
    replaceable: frozenset[Place] = frozenset()
    """Stages that an overlay replaces by a named context."""

    def stage(self, place: Place) -> Stage:
        """Return a stage by its place; the last one where the name is empty."""
        stages = self.files[place[0]].stages
        if not place[1]:
            return stages[-1]
        found = [stage for stage in stages if stage.name == place[1].lower()]
        if not found:
            raise UserError(
                "cannot read the policy's list of images",
                f"{place[0]} has no stage `{place[1]}`, which docker-bake.hcl asks for",
                "Name one of its stages as the target there.",
            )
        return found[-1]

    def places(self) -> Iterator[tuple[Place, Stage]]:
        """Yield every stage of every file."""
        for path, file in self.files.items():
            for stage in file.stages:
                yield (path, stage.name), stage

    def origin(self, path: str, name: str, before: int) -> Place | str:
        """Return what a FROM or --from names: a stage, or an external image as written.

        A named context replaces a stage of the same name, as in BuildKit.
        """
        lowered = name.lower()
        if (context := self.contexts.get(path, {}).get(lowered)) is not None:
            return context
        for stage in self.files[path].stages:
            if stage.start.line < before and stage.name == lowered:
                return path, stage.name
        return self.contexts.get(path, {}).get(name, name)

    def declares(self, place: Place, run: Instruction, argument: str) -> bool:
        """Whether an ARG is in effect in a step: its stage declares it, or a stage it builds on.

        A stage that a named context may replace does not pass its ARGs on, as an image has none.
        """
        for where, stage in reversed(self.chain(place)):
            if where[0] != place[0] or (where != place and where in self.replaceable):
                return False
            for one in stage.instructions:
                if where == place and one.line >= run.line:
                    break
                if one.name == "ARG" and argument in one.pairs():
                    return True
        return False

    def chain(self, place: Place) -> list[tuple[Place, Stage]]:
        """Return the stage and those it builds on, the first of them first."""
        found: list[tuple[Place, Stage]] = []
        here: Place | str = place
        while isinstance(here, tuple):
            stage = self.stage(here)
            here = (here[0], stage.name)
            found.insert(0, (here, stage))
            here = self.origin(here[0], stage.base, stage.start.line)
        return found

    def before(self, place: Place, instruction: Instruction) -> Iterator[Instruction]:
        """Yield the instructions that come before one, through all stages below it."""
        for where, stage in self.chain(place):
            for one in stage.instructions:
                if where[0] == place[0] and one.line == instruction.line:
                    return
                yield one

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every RUN of every stage."""
        return tuple(
            self._step(place, run)
            for place, stage in self.places()
            for run in stage.instructions
            if run.script is not None
        )

    def _step(self, place: Place, run: Instruction) -> Step:
        earlier = list(self.before(place, run))
        scripts = tuple(self._scripts(run, earlier))
        environment, user = state(earlier)
        for script in scripts:
            environment |= script.assigned
        commands = tuple(command for script in scripts for command in script.commands)
        return Step(run, place, commands, scripts, environment, user)

    def _scripts(self, run: Instruction, earlier: Sequence[Instruction]) -> Iterator[shell.Script]:
        """Yield the RUN's own words, then every recipe that they come to."""
        assert run.script is not None  # noqa: S101 - steps are made of RUNs alone
        where = [
            (mount.target, mount.source)
            for mount in run.mounts
            if mount.kind == "bind" and not mount.get("from")
        ]
        folder = "/"
        for one in earlier:
            if one.name == "WORKDIR":
                folder = str(PurePosixPath(folder) / one.words[0])
            elif one.name in {"COPY", "ADD"} and not one.flag("from") and len(one.words) > 1:
                where += _copied(one.words, folder, self.texts)
        done: set[str] = set()
        waiting = [run.script]
        while waiting:
            script = waiting.pop(0)
            yield script
            for command in script.commands:
                for word in _runs(command):
                    path = self._in_context(str(PurePosixPath(folder) / word), where)
                    if path and path not in done:
                        done.add(path)
                        waiting.append(self._recipe(path))

    def _in_context(self, path: str, where: Sequence[tuple[str, str]]) -> str | None:
        """Return the file of the checkout that a step sees at a path."""
        for target, source in where:
            if path == target or path.startswith(f"{target}/"):
                found = str(PurePosixPath(source) / path[len(target) :].lstrip("/"))
                if found in self.texts:
                    return found
            if "/" not in path.strip("/") and target.endswith(f"/bin{path}"):
                return source
        return None

    def _recipe(self, path: str) -> shell.Script:
        text = self.texts[path]
        if not text.startswith("#") or "python" in text.split("\n", 1)[0]:
            return shell.Script(text, path, (), {})
        return shell.read(text, path)


def state(instructions: Iterable[Instruction]) -> tuple[dict[str, str], str]:
    """Return the variables and the user that instructions leave behind."""
    environment: dict[str, str] = {}
    user = ""
    for one in instructions:
        if one.name in {"ENV", "ARG"}:
            environment |= one.pairs()
        elif one.name == "USER":
            user = parser.expanded(one.words[0], environment)
    return environment, user


def _runs(command: shell.Command) -> Iterator[str]:
    """Yield the words of a command that may name a script it runs."""
    if command.program in {".", "source", "sh", "bash", "dash"}:
        yield from command.words[1:2]
    elif command.words:
        yield command.words[0]


def _copied(
    words: Sequence[str], folder: str, texts: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the target and the source of each thing that a COPY brings."""
    *sources, target = words
    there = PurePosixPath(folder) / target
    for source in sources:
        clean = source.removeprefix("./").rstrip("/")
        is_file = clean in texts
        into = is_file and (target.endswith(("/", ".")) or len(sources) > 1)
        yield (
            str(there / PurePosixPath(clean).name if into else there),
            "" if clean == "." else clean,
        )


def of_repository(changed: Mapping[str, str] | None = None) -> Project:
    """Read the checkout as bake sees it; `changed` gives files other contents.

    Raises:
        UserError: a bake file or a Dockerfile cannot be read.
    """
    texts = _texts() | dict(changed or {})
    files: dict[str, Dockerfile] = {}
    contexts: dict[str, dict[str, Place | str]] = {}
    images: dict[str, Place] = {}
    everything: dict[str, Any] = {}
    substitutes: dict[str, str] = {}
    replaceable: set[Place] = set()
    overlays = sorted(path for path in texts if re.fullmatch(r"docker-bake\.\w+\.hcl", path))
    for overlay in [None, *overlays]:
        printed = _printed(texts["docker-bake.hcl"], *([texts[overlay]] if overlay else []))
        everything |= {name: target for name, target in printed.items() if name not in everything}
        for target in printed.values():
            path = target["dockerfile"]
            files.setdefault(path, parser.read(texts[path], path))
            for name, context in (target.get("contexts") or {}).items():
                if overlay is not None and any(s.name == name for s in files[path].stages):
                    replaceable.add((path, name))
                if overlay is None:
                    contexts.setdefault(path, {})[name] = _context(context, printed)
                elif context.startswith("docker-image://"):
                    substitutes[context.removeprefix("docker-image://")] = overlay
                elif path == VENDOR:
                    contexts.setdefault(path, {}).setdefault(name, _context(context, printed))
    for name, target in everything.items():
        if target.get("tags"):
            images[name] = (target["dockerfile"], target.get("target", ""))
    return Project(files, contexts, images, texts, everything, substitutes, frozenset(replaceable))


def _texts() -> dict[str, str]:
    """Return the files of the checkout that may be a script, by their path in it."""
    paths = [path for path in git.tracked() if (ROOT / path).is_file()]
    return {str(p): (ROOT / p).read_text(errors="replace") for p in paths if _is_small(p)}


def _is_small(path: Path) -> bool:
    return (ROOT / path).stat().st_size < 10**6


@cache
def _printed(*bake_texts: str) -> Mapping[str, Any]:
    """Return every target that bake files declare, whether an image needs it or not."""
    declared = re.findall(r'^target "([a-z0-9][\w-]*)"', "\n".join(bake_texts), re.MULTILINE)
    with TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.hcl" for number in range(len(bake_texts))]
        for file, text in zip(files, bake_texts, strict=True):
            file.write_text(text)
        printed = bake.bake_print(*dict.fromkeys(declared), files=map(str, files))
    targets: Mapping[str, Any] = printed["target"]
    return targets


def _context(context: str, targets: Mapping[str, Any]) -> Place | str:
    """Return what a named context is: a stage of another target, or an image or folder."""
    if context.startswith("target:"):
        target = targets[context.removeprefix("target:")]
        return target["dockerfile"], target.get("target", "")
    return context.removeprefix("docker-image://")


def of_files(paths: Sequence[str]) -> Project:
    """Read single Dockerfiles; what they run is looked for in the checkout or beside them.

    Raises:
        UserError: a file is missing or cannot be read.
    """
    files = {}
    for path in paths:
        if not Path(path).is_file():
            raise UserError(
                "cannot check a Dockerfile", f"there is no file {path}", "Give its path."
            )
        files[path] = parser.read(Path(path).read_text(), path)
    images = {path: (path, "") for path in files}
    return Project(files, {}, images, _texts(), {})
