"""Find the steps of a build in its record, and their counterparts in another build."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from scripts.buildkit.rawjson import CONTEXT
from scripts.buildkit.records import BuildRecord, StepRecord
from scripts.causes.graph import Node


def recorded(build: BuildRecord, node: Node) -> tuple[str, StepRecord | None]:
    """Return a step's number, such as `1/2`, and its record; None if BuildKit did not start it."""
    found: list[tuple[str, str, StepRecord]] = []
    for stage in build.stages:
        for key, step in stage.steps.items() if stage.name == node.stage else ():
            position = re.match(r"(\d+)/(\d+) ", key)
            if not position:
                continue
            # The FROM of an image counts as a step, and so does no other FROM.
            number, of = int(position[1]), int(position[2])
            if of - node.count in {0, 1} and of - number == node.count - 1 - node.index:
                found.append((position[0].strip(), key[position.end() :], step))
    # Two targets may build a stage with different arguments.
    same = [each for each in found if _is_shown_as(node.expanded, each[1])]
    for number_of, _, step in same or found:
        return number_of, step
    from_image = node.index < 0
    return f"{node.index + 1 + from_image}/{node.count + from_image}", None


def ran(build: BuildRecord, node: Node) -> bool:
    """Whether a step ran in a build; the FROM of an image only names what others run on.

    BuildKit reports the times of a step that another build at the same time has just run. Such a
    step ended before this build loaded its Dockerfile, by the same clock.
    """
    step = recorded(build, node)[1]
    if step is None or step.cached or node.index < 0:
        return False
    loads = (stage.steps.values() for stage in build.stages if stage.name == CONTEXT)
    starts = [start for steps in loads for load in steps for start, _ in load.spans]
    begin = min(starts, default=build.started)
    return not step.spans or any(end >= begin for _, end in step.spans)


def _is_shown_as(text: str, shown: str) -> bool:
    """Whether BuildKit shows an instruction as this text.

    A variable that is left in the instruction may have any value: BuildKit sets some by itself,
    such as TARGETARCH.
    """
    parts = re.split(r"\$\{?\w+\}?", _plain(text))
    return bool(re.fullmatch(".*".join(map(re.escape, parts)), _plain(shown)))


def _plain(text: str) -> str:
    """Return an instruction without its options and its spacing."""
    return " ".join(re.sub(r"\s--\w+=\S+", "", text.replace("\\\n", " ")).split())


def counterparts(now: Sequence[Node], before: Sequence[Node]) -> dict[Node, Node]:
    """Return the step of an earlier build for each step that had one.

    The steps of a stage are aligned by their text; an edited step is the counterpart of the step
    at its place.
    """
    earlier = _by_stage(before)
    anywhere = {stage: nodes for (_, stage), nodes in earlier.items()}
    found: dict[Node, Node] = {}
    for key, nodes in _by_stage(now).items():
        found.update(_aligned(nodes, earlier.get(key) or anywhere.get(key[1], [])))
    return found


def _by_stage(nodes: Sequence[Node]) -> dict[tuple[str, str], list[Node]]:
    groups: dict[tuple[str, str], list[Node]] = {}
    for node in nodes:
        groups.setdefault((node.target, node.stage), []).append(node)
    return groups


def _aligned(now: Sequence[Node], before: Sequence[Node]) -> Iterator[tuple[Node, Node]]:
    old, new = [node.text for node in before], [node.text for node in now]
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for kind, start, end, begin, stop in matcher.get_opcodes():
        if kind in {"equal", "replace"}:
            yield from zip(now[begin:stop], before[start:end], strict=False)
