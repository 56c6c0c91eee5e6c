"""Compare a build with earlier ones: which steps ran again, and why.

A step is compared with the latest build in which it ended. The first thing that differs, in the
order in which the step reads them, is its cause. If nothing differs, the step follows a step that
it reads and that ran or changed; otherwise its result was not in the cache.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import islice

from msgspec import Struct

from scripts.buildkit.rawjson import MOUNT
from scripts.buildkit.records import BuildRecord
from scripts.causes import inputs
from scripts.causes.differences import Cause, differences, in_instruction
from scripts.causes.graph import Graph, Node
from scripts.causes.matching import counterparts, ran, recorded
from scripts.core.console import UserError

NOT_RECORDED = (
    "the contents of secrets, the platform, the version of BuildKit, "
    "and what the engine removed from its cache"
)
"""What can differ between builds without being in their records."""

_SAME, _OTHERS = 20, 5
"""The number of builds of the same target, and of others, in which a step is looked up."""
_ABSENT = {"new", "needed", "failed"}
"""The kinds of causes of steps that ended in no earlier build."""


class Step(Struct):
    """A step that ran, or one that changed and that others follow."""

    stage: str
    number: str
    """Its position in the stage, such as `1/2`."""
    instruction: str
    seconds: float
    causes: list[Cause] = []
    """The first one, and whatever else changed; empty if it follows another step."""
    after: str = ""
    """The label of the step that it follows and that has the cause."""
    ran: bool = True

    @property
    def label(self) -> str:
        """The stage and the number."""
        return f"{self.stage} {self.number}"


class Explanation(Struct):
    """Why the steps of a build ran."""

    targets: list[str]
    started: datetime
    seconds: float
    compared: list[datetime]
    """The starts of the builds that it is compared with, the latest first."""
    steps: list[Step]
    """The steps that ran or changed, each after those that it follows."""
    cached: int
    """The number of steps whose results were in the cache."""

    @property
    def again(self) -> list[Step]:
        """The steps that ran."""
        return [step for step in self.steps if step.ran]

    def stages(self) -> dict[str, str]:
        """Return the cause of each stage in a few words, that of its first step that ran."""
        words: dict[str, str] = {}
        for step in self.again:
            words.setdefault(step.stage, self._short(step))
        return words

    def _short(self, step: Step) -> str:
        root = next((other for other in self.steps if other.label == step.after), step)
        if root.stage != step.stage:
            return f"after {root.stage}"
        first, *others = root.causes
        files = all(cause.kind == "file" for cause in others)
        more = f" +{len(others)}{' files' if files else ''}" if others else ""
        return f"{first.short}{more}"


@dataclass(frozen=True)
class _Past:
    """An earlier build, and its steps as the counterparts of the steps of the latest build."""

    build: BuildRecord
    counterparts: Mapping[Node, Node]
    stages: frozenset[str]

    def ended(self, node: Node) -> Node | None:
        """Return the counterpart of a step if it ended in this build."""
        before = self.counterparts.get(node)
        if before is None or before.index < 0:
            return before
        step = recorded(self.build, before)[1]
        return before if step and not step.failed else None


@dataclass
class _Verdict:
    """Why a step ran or would have run."""

    causes: list[Cause]
    root: Node
    """The step that has the causes."""


@dataclass
class _Comparison:
    """The comparison of the steps of a target with earlier builds."""

    latest: BuildRecord
    earlier: Sequence[BuildRecord]
    """The latest first."""
    target: str
    nodes: Sequence[Node]
    moved: dict[Node, _Verdict] = field(default_factory=dict)
    """The steps that ran or changed."""
    pasts: dict[datetime, _Past | None] = field(default_factory=dict)
    """Earlier builds by their start; None for builds whose inputs cannot be read."""
    used: set[datetime] = field(default_factory=set)
    """The starts of the builds that steps were compared with."""

    def _same_target(self) -> Iterator[_Past]:
        """Yield the earlier builds of the target, the latest first."""
        found = (build for build in self.earlier if self.target in build.targets)
        for build in islice(found, _SAME):
            if past := self._past(build, [self.target]):
                yield past

    def _past(self, build: BuildRecord, targets: Iterable[str]) -> _Past | None:
        if build.started not in self.pasts:
            graph = _graph(build.inputs)
            nodes = [node for name in targets for node in graph.nodes(name)] if graph else []
            stages = frozenset(node.stage for node in nodes)
            past = _Past(build, counterparts(self.nodes, nodes), stages) if nodes else None
            self.pasts[build.started] = past
        return self.pasts[build.started]

    def _baseline(self, node: Node) -> tuple[BuildRecord, Node] | None:
        """Return the latest build in which a step ended, of this target if there is one.

        If it ended in none, it is the latest successful build that did not need the step.
        """
        for past in self._same_target():
            if before := past.ended(node):
                return past.build, before
        others = (
            build
            for build in self.earlier
            if self.target not in build.targets
            and any(stage.name == node.stage for stage in build.stages)
        )
        for build in islice(others, _OTHERS):
            other = self._past(build, build.targets)
            if other and (before := other.ended(node)):
                return build, before
        # BuildKit does not start the steps of a cached result that nothing is exported from.
        for past in self._same_target():
            if past.build.outcome == "built" and (unneeded := past.counterparts.get(node)):
                return past.build, unneeded
        return None

    def explain(self) -> None:
        """Find the steps that ran or changed, and why."""
        for node in self.nodes:
            if verdict := self._verdict(node):
                self.moved[node] = verdict

    def _verdict(self, node: Node) -> _Verdict | None:
        """Return why a step ran or changed, given those before it; None if it did neither."""
        baseline = self._baseline(node)
        if baseline is None:
            causes = self._absent(node)
        else:
            self.used.add(baseline[0].started)
            causes = differences(baseline[1], node)
        has_run = ran(self.latest, node)
        if causes and (has_run or causes[0].kind not in _ABSENT):
            return _Verdict(causes, node)
        if baseline is None:
            return None
        moved = [parent for parent in node.parents if parent in self.moved]
        if moved:
            first = min(moved, key=lambda parent: not ran(self.latest, parent))
            return _Verdict([], self.moved[first].root)
        return _Verdict([self._unchanged(*baseline, node)], node) if has_run else None

    def _absent(self, node: Node) -> list[Cause]:
        """Return the cause of a step that ended in no earlier build."""
        past = next(self._same_target(), None)
        if past is None:
            return [Cause("new", self.target)]
        before = past.counterparts.get(node)
        if before is None and node.stage in past.stages:
            return [in_instruction(node, "added")]
        step = recorded(past.build, before)[1] if before else None
        return [Cause("failed" if step and step.failed else "needed")]

    def _unchanged(self, then: BuildRecord, before: Node, node: Node) -> Cause:
        """Return the cause of a step that ran although it and those before it are the same."""
        if _below(before) != _below(node):
            return in_instruction(node, "a step before it was removed")
        if before.index >= 0 and recorded(then, before)[1] is None:
            return Cause("needed")
        now = self.latest
        names = [(b.builder.name, b.builder.endpoint, b.builder.state) for b in (then, now)]
        if names[0] != names[1] and all(map(any, names)):
            return Cause("builder", now.builder.name)
        created = now.builder.cache_created
        is_new = created is not None and created > then.started
        return Cause("cache", detail="the compiler cache is new as well" if is_new else "")


def explain(
    latest: BuildRecord, earlier: Iterable[BuildRecord], targets: Sequence[str] = ()
) -> Explanation | None:
    """Return why the steps of a build ran; None if its inputs are not recorded.

    Args:
        latest: the build.
        earlier: other builds; later ones, those for another platform and those without recorded
            inputs are skipped.
        targets: the targets to explain, by default those of the build.
    """
    graph = _graph(latest.inputs)
    if graph is None:
        return None
    known = [
        build
        for build in earlier
        if build.inputs and build.started < latest.started and build.platform == latest.platform
    ]
    known.sort(key=lambda build: build.started, reverse=True)
    steps: dict[str, Step] = {}
    cached: set[str] = set()
    used: set[datetime] = set()
    names = list(targets or latest.targets)
    for target in names:
        comparison = _Comparison(latest, known, target, graph.nodes(target))
        comparison.explain()
        used |= comparison.used
        for step in _steps(comparison):
            steps.setdefault(step.label, step)
        for node in comparison.nodes:
            number, record = recorded(latest, node)
            if record and node.index >= 0 and not ran(latest, node):
                cached.add(f"{node.stage} {number}")
    roots = {step.after for step in steps.values() if step.ran}
    shown = [step for step in steps.values() if step.ran or step.label in roots]
    compared = sorted(used, reverse=True)
    return Explanation(names, latest.started, latest.seconds, compared, shown, len(cached))


def _steps(comparison: _Comparison) -> Iterable[Step]:
    """Yield the steps of a target that ran or changed."""
    for node, verdict in comparison.moved.items():
        number, record = recorded(comparison.latest, node)
        root = verdict.root
        yield Step(
            stage=node.stage,
            number=number,
            instruction=" ".join(MOUNT.sub("", node.text.replace("\\\n", " ")).split()),
            seconds=record.seconds if record else 0.0,
            causes=verdict.causes,
            after="" if root is node else f"{root.stage} {recorded(comparison.latest, root)[0]}",
            ran=ran(comparison.latest, node),
        )


@cache
def _graph(digest: str) -> Graph | None:
    """Return the steps of a build with these inputs; None if they cannot be read."""
    found = inputs.read(digest)
    try:
        return Graph(found) if found else None
    except UserError:  # the build failed because of it, or the store lacks the Dockerfile
        return None


def _below(node: Node) -> str:
    """Return the text of the step before a step in its stage; empty for the first one."""
    below = node.parents[0] if node.parents else None
    return below.text if below and below.stage == node.stage else ""
