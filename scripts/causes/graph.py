"""The steps of a build with everything that they read, from the recorded inputs.

A step is an instruction that makes a layer. Its facts are what decides whether it runs: its text,
the variables in its scope, and the files and images that it reads. Its parents are the steps whose
results it reads.
"""

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from scripts.causes import inputs, store
from scripts.causes.inputs import Inputs, Target
from scripts.dockerfile import parser
from scripts.dockerfile.parser import Dockerfile, Instruction, Stage

LAYERS = ("RUN", "COPY", "ADD", "WORKDIR")
"""The instructions that BuildKit numbers in a stage, besides the FROM of an image."""
_VARIABLE = re.compile(r"\$\{?(\w+)")


@dataclass(frozen=True)
class Fact:
    """Something that a step reads."""

    kind: str
    """`instruction`, `argument`, `setting`, `files`, `base`, `context` or `from`."""
    name: str
    """The variable, the image's reference, or the named context that has the files."""
    value: str
    """For `files`, the digest of the manifest and the path in the context, in `DIGEST:PATH`."""


@dataclass(eq=False)
class Node:
    """A step."""

    target: str
    """The bake target, whose arguments it has."""
    stage: str
    instruction: Instruction
    facts: tuple[Fact, ...]
    """In the order in which the step reads them."""
    expanded: str
    """The instruction with the values of variables, as BuildKit shows it."""
    parents: tuple["Node", ...]
    """In the order in which the step reads their results; the step below it in the image first."""
    index: int = 0
    """The position among the steps of the stage, from 0; -1 for the FROM of an image."""
    count: int = 1
    """The number of instructions of the stage that make a layer."""

    @property
    def text(self) -> str:
        """The instruction as the file has it, without comments."""
        return without_comments(self.instruction)


@dataclass(frozen=True)
class _State:
    """The result of the instructions so far, for the next one."""

    end: Node | None = None
    pending: tuple[Fact, ...] = ()
    """What FROM read, until a step follows."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    """ENV by name, and USER, WORKDIR and SHELL."""

    def expanded(self, text: str) -> str:
        """Return a text with the values of variables; ENV hides an ARG of the same name."""
        return parser.expanded(text, {**self.arguments, **self.settings})


@dataclass(frozen=True)
class _Origin:
    """What a name in FROM or --from refers to."""

    kind: str
    """`target`, `stage`, `directory`, `image` or `scratch`."""
    name: str

    @property
    def description(self) -> str:
        """What decides a step besides the contents; the path of a directory does not."""
        return self.kind if self.kind == "directory" else f"{self.kind} {self.name}"


def without_comments(instruction: Instruction) -> str:
    """Return the lines of an instruction without the comments between them."""
    lines = instruction.source.splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


class Graph:
    """The steps of the targets of a build."""

    def __init__(self, recorded: Inputs) -> None:
        """Read the Dockerfiles that the inputs name.

        Raises:
            UserError: a Dockerfile has an error, or is no longer in the store.
        """
        self._inputs = recorded
        self._stages: dict[tuple[str, str], _State] = {}
        self._files = {name: self._read(target) for name, target in recorded.targets.items()}

    def nodes(self, target: str) -> list[Node]:
        """Return the steps that a target needs, each after its parents; empty if unknown.

        The steps of all named contexts are included, such as those of the frontend.
        """
        found: dict[Node, None] = {}
        queue = [target] if target in self._inputs.targets else []

        def visit(node: Node) -> None:
            if node not in found:
                for parent in node.parents:
                    visit(parent)
                found[node] = None

        for name in queue:  # it grows in the loop
            if end := self._target(name).end:
                visit(end)
            for context in self._inputs.targets[name].contexts.values():
                kind, _, other = context.partition(":")
                if kind == "target" and other not in queue:
                    queue.append(other)
        return list(found)

    def _target(self, name: str) -> _State:
        target = self._inputs.targets[name]
        return self._stage(name, target.target.lower() or self._files[name].stages[-1].name)

    def _read(self, target: Target) -> Dockerfile:
        digest = self._inputs.dockerfiles.get(target.dockerfile, "")
        text = target.inline or (store.get(digest) or b"").decode(errors="replace")
        return parser.read(text, target.dockerfile)

    def _resolve(self, target: str, name: str, line: int) -> _Origin:
        """Return what a name refers to; a named context replaces a stage of the same name."""
        given = self._inputs.targets[target].contexts
        contexts = {key.lower(): value for key, value in given.items()}
        if value := contexts.get(name.lower()):
            kind, _, rest = value.partition(":")
            if kind == "target":
                return _Origin("target", rest)
            if kind == "docker-image":
                return _Origin("image", rest.removeprefix("//"))
            return _Origin("directory", value)
        for number, stage in enumerate(self._files[target].stages):
            if stage.start.line < line and name.lower() in {stage.name, str(number)}:
                return _Origin("stage", stage.name)
        return _Origin("scratch" if name == "scratch" else "image", name)

    def _stage(self, target: str, name: str) -> _State:
        if (target, name) not in self._stages:
            stages = [stage for stage in self._files[target].stages if stage.name == name]
            self._stages[target, name] = self._run(target, stages[-1]) if stages else _State()
        return self._stages[target, name]

    def _run(self, target: str, stage: Stage) -> _State:
        """Return the state after the last instruction of a stage."""
        globals_ = self._globals(target)
        base = parser.expanded(stage.start.arguments[0], globals_)
        state = self._from(target, stage, base)
        count = sum(instruction.name in LAYERS for instruction in stage.instructions)
        if state.end and state.end.index < 0 and state.end.stage == stage.name:
            state.end.count = count
        index = 0
        for instruction in stage.instructions:
            if instruction.name in LAYERS:
                node = self._node(target, stage, instruction, state)
                node.index, node.count = index, count
                index += 1
                state = replace(state, end=node, pending=())
            state = _after(instruction, state, globals_, self._inputs.targets[target].args)
        return state

    def _globals(self, target: str) -> dict[str, str]:
        """Return the values of each ARG before the first FROM."""
        values: dict[str, str] = {}
        for instruction in self._files[target].arguments:
            for name, default in instruction.pairs().items():
                given = self._inputs.targets[target].args.get(name)
                values[name] = parser.expanded(default, values) if given is None else given
        return values

    def _from(self, target: str, stage: Stage, base: str) -> _State:
        """Return the state after the FROM of a stage."""
        origin = self._resolve(target, base, stage.start.line)
        below = self._end(target, origin) or _State()
        if origin.kind == "target":  # an image: it has settings, but no build arguments
            below = replace(below, arguments={})
        through = [fact.value for fact in below.pending if fact.kind == "from"]
        facts = [Fact("from", "", " ".join([origin.description, *through]))]
        facts += [fact for fact in below.pending if fact.kind != "from"]
        if origin.kind == "directory":
            facts.append(self._reading(origin.name, "", base))
        elif origin.kind == "image":
            reference = inputs.normalized(origin.name)
            base_fact = Fact("base", origin.name, self._inputs.images.get(reference, ""))
            node = Node(
                *(target, stage.name, stage.start, (facts[0], base_fact)),
                *(f"FROM {origin.name}", ()),
                index=-1,
            )
            return _State(node)
        return replace(below, pending=tuple(facts))

    def _end(self, target: str, origin: _Origin) -> _State | None:
        """Return the state at the end of a stage; None if the origin is not a stage."""
        if origin.kind == "target":
            return self._target(origin.name)
        return self._stage(target, origin.name) if origin.kind == "stage" else None

    def _reading(self, context: str, path: str, name: str = "") -> Fact:
        return Fact("files", name, f"{self._inputs.contexts.get(context, '')}:{path}")

    def _node(self, target: str, stage: Stage, instruction: Instruction, state: _State) -> Node:
        parents = [state.end] if state.end else []
        facts = [Fact("instruction", instruction.name, without_comments(instruction))]
        facts += _scope(instruction, state)
        for name, path in _sources(instruction, state):
            origin = self._resolve(target, name, instruction.line) if name else None
            if origin is None:
                facts.append(self._reading(self._inputs.targets[target].context, path))
                continue
            facts.append(Fact("context", name, origin.description))
            if origin.kind == "directory":
                facts.append(self._reading(origin.name, path, name))
            elif origin.kind == "image":
                reference = inputs.normalized(origin.name)
                facts.append(Fact("base", name, self._inputs.images.get(reference, "")))
            elif below := self._end(target, origin):
                facts += [replace(fact, name=name) for fact in below.pending]
                parents += [below.end] if below.end else []
        unique = tuple(dict.fromkeys(facts + list(state.pending)))
        shown = state.expanded(without_comments(instruction))
        return Node(target, stage.name, instruction, unique, shown, tuple(dict.fromkeys(parents)))


def _after(
    instruction: Instruction,
    state: _State,
    globals_: Mapping[str, str],
    given: Mapping[str, str | None],
) -> _State:
    """Return the state after an instruction that sets a variable or a setting."""
    if instruction.name == "ARG":
        arguments = dict(state.arguments)
        for name, default in instruction.pairs().items():
            value = given.get(name)
            if value is None:
                value = state.expanded(default) or globals_.get(name) or arguments.get(name)
            if value is not None:
                arguments[name] = value
        return replace(state, arguments=arguments)
    settings = dict(state.settings)
    if instruction.name == "ENV":
        settings |= {name: state.expanded(value) for name, value in instruction.pairs().items()}
    elif instruction.name in {"USER", "WORKDIR", "SHELL"}:
        settings[instruction.name] = state.expanded(" ".join(instruction.arguments))
    return replace(state, settings=settings)


def _scope(instruction: Instruction, state: _State) -> Iterator[Fact]:
    """Yield the variables that a step can read: a RUN all, others those that their text names."""
    reads: Callable[[str], bool]
    if instruction.name == "RUN":
        reads = bool
    else:
        named = {*_VARIABLE.findall(instruction.source), "WORKDIR"}
        reads = named.__contains__
    for name, value in state.arguments.items():
        if reads(name):
            yield Fact("argument", name, value)
    for name, value in state.settings.items():
        if reads(name):
            yield Fact("setting", name, value)


def _sources(instruction: Instruction, state: _State) -> Iterator[tuple[str, str]]:
    """Yield what a step mounts or copies: the name after `from=`, empty for the context; a path."""
    if instruction.name == "RUN":
        for mount in instruction.mounts:
            origin = mount.get("from")
            if mount.type == "bind" or origin:
                yield state.expanded(origin), state.expanded(mount.source)
    elif instruction.name in {"COPY", "ADD"}:
        for source in instruction.arguments[:-1]:
            if "://" not in source and not source.startswith(("<<", "git@")):
                yield state.expanded(instruction.flag("from")), state.expanded(source)


@cache
def files_below(digest: str, path: str) -> Mapping[str, str] | None:
    """Return the entries of the files at or below a path, which may have wildcards, by path.

    It is None if the manifest is no longer in the store.
    """
    files = inputs.read_manifest(digest)
    path = path.removeprefix("./").strip("/")
    if files is None or path in {"", "."}:
        return files
    patterns = (path, f"{path}/*")
    if any(character in path for character in "*?["):
        return {
            name: entry
            for name, entry in files.items()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        }
    return {
        name: entry for name, entry in files.items() if name == path or name.startswith(f"{path}/")
    }
