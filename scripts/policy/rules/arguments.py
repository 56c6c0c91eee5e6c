"""Rules on ARG and USER."""

import re
from collections.abc import Iterator

from scripts.dockerfile.parser import Dockerfile, Instruction
from scripts.dockerfile.project import Project, StageReference, state
from scripts.policy.rule import Fault, Scope, rule


@rule("An argument that nothing reads has no effect.", Scope.PROJECT)
def arg_used(project: Project) -> Iterator[Fault]:
    """Each ARG is read by its stage, by a stage that builds on it, or by their scripts."""
    for file in project.files.values():
        yield from _unused_global_arguments(file)
    for reference, stage in project.stages():
        users = [
            (user, user_stage)
            for user, user_stage in project.stages()
            if reference in [below for below, _ in project.chain(user)]
        ]
        for argument in stage.instructions:
            for name in argument.pairs() if argument.name == "ARG" else ():
                is_read = any(
                    _reads_variable(project, user, other, name)
                    for user, user_stage in users
                    for other in user_stage.instructions
                    if user != reference or other.line > argument.line
                )
                if not is_read:
                    yield argument, f"{name} is read by nothing after it"


def _unused_global_arguments(file: Dockerfile) -> Iterator[Fault]:
    bases = " ".join(stage.start.arguments[0] for stage in file.stages)
    redeclared = {
        name
        for stage in file.stages
        for other in stage.instructions
        if other.name == "ARG"
        for name in other.pairs()
    }
    for argument in file.arguments:
        for name in argument.pairs():
            if not _expands(bases, name) and name not in redeclared:
                yield argument, f"{name} is read by no FROM and redeclared in no stage"


def _expands(text: str, name: str) -> bool:
    return bool(re.search(rf"\$(?:{name}\b|\{{{name}\b)", text))


def _reads_variable(
    project: Project, reference: StageReference, instruction: Instruction, name: str
) -> bool:
    """Whether an instruction, or a script that it runs, reads a variable."""
    if instruction.name == "ARG":
        return any(_expands(value, name) for value in instruction.pairs().values())
    if _expands(instruction.source, name):
        return True
    steps = (s for s in project.steps if s.stage == reference and s.run is instruction)
    return any(_expands(step.text, name) for step in steps)


@rule("An ARG is part of the cache key of every later RUN.", Scope.ANY)
def arg_late(project: Project) -> Iterator[Fault]:
    """No RUN comes between an ARG and the first instruction that reads it."""
    for reference, stage in project.stages():
        for number, argument in enumerate(stage.instructions):
            for name in argument.pairs() if argument.name == "ARG" else ():
                later = stage.instructions[number + 1 :]
                reads = [_reads_variable(project, reference, other, name) for other in later]
                between = later[: reads.index(True)] if any(reads) else ()
                if any(other.name == "RUN" for other in between):
                    line = later[len(between)].line
                    yield argument, f"{name} is first read on line {line}, after a RUN"


@rule(
    "Its value changes with each commit, so the steps after it would never be cached.",
    Scope.PROJECT,
)
def arg_no_time(project: Project) -> Iterator[Fault]:
    """No ARG declares SOURCE_DATE_EPOCH."""
    for file in project.files.values():
        for argument in file.instructions:
            if argument.name == "ARG" and "SOURCE_DATE_EPOCH" in argument.pairs():
                yield argument, "`ARG SOURCE_DATE_EPOCH` is in the cache key of the steps after it"


@rule(
    "Without USER, an image runs as root. Kubernetes cannot check whether a named user is root.",
    Scope.PROJECT,
)
def user_numeric(project: Project) -> Iterator[Fault]:
    """An image ends with `USER UID:GID`, both numbers."""
    for image, reference in project.images.items():
        stages = [stage for _, stage in project.chain(reference)]
        instructions = [instruction for stage in stages for instruction in stage.instructions]
        users = [instruction for instruction in instructions if instruction.name == "USER"]
        user = state(instructions)[1]
        if not users:
            yield project.stage(reference).start, f"the image {image} has no USER and runs as root"
        elif not re.fullmatch(r"\d+:\d+", user):
            yield users[-1], f"`USER {user}` is not of the form 1000:1000"
