"""Rules on ARG, ENV and USER."""

import re
from collections.abc import Iterator

from scripts.dockerfile.parser import Instruction
from scripts.dockerfile.project import Place, Project, state
from scripts.policy.rule import Fault, rule


@rule("an argument that nothing reads is a promise that nothing keeps")
def arg_used(project: Project) -> Iterator[Fault]:
    """Each ARG is read by its stage, or by one that builds on it."""
    for file in project.files.values():
        for one in file.arguments:
            bases = " ".join(stage.start.words[0] for stage in file.stages)
            for name in one.pairs():
                if not _reads(bases, name) and not any(
                    name in other.pairs()
                    for stage in file.stages
                    for other in stage.instructions
                    if other.name == "ARG"
                ):
                    yield one, f"{name} is read by no FROM and redeclared in no stage"
    for place, stage in project.places():
        for one in stage.instructions:
            if one.name != "ARG":
                continue
            heirs = [
                (where, heir)
                for where, heir in project.places()
                if place in [step[0] for step in project.chain(where)]
            ]
            for name in one.pairs():
                used = any(
                    _uses(project, where, other, name)
                    for where, heir in heirs
                    for other in heir.instructions
                    if where != place or other.line > one.line
                )
                if not used:
                    yield one, f"{name} is read by nothing after it"


def _reads(text: str, name: str) -> bool:
    return bool(re.search(rf"\$(?:{name}\b|\{{{name}\b)", text))


def _uses(project: Project, place: tuple[str, str], one: Instruction, name: str) -> bool:
    """Whether an instruction, or a recipe that it runs, reads a variable."""
    if one.name == "ARG":
        return any(_reads(value, name) for value in one.pairs().values())
    if _reads(one.source, name):
        return True
    step = next((s for s in project.steps if s.place == place and s.run is one), None)
    return step is not None and _reads(step.text, name)


@rule("an argument comes into the key of every RUN after it, whether it is read or not")
def arg_late(project: Project) -> Iterator[Fault]:
    """No RUN stands between an ARG and the first that reads it."""
    for place, stage in project.places():
        for number, one in enumerate(stage.instructions):
            for name in one.pairs() if one.name == "ARG" else ():
                later = stage.instructions[number + 1 :]
                reads = [_uses(project, place, other, name) for other in later]
                early = later[: reads.index(True)] if any(reads) else ()
                if any(other.name == "RUN" for other in early):
                    yield one, f"{name} is first read on line {later[len(early)].line}, after a RUN"


def _final_user(project: Project, place: Place) -> tuple[Instruction, str]:
    """Return the user that an image ends with, and the instruction that says so."""
    every = [one for _, stage in project.chain(place) for one in stage.instructions]
    says = [one for one in every if one.name == "USER"]
    return (says or [project.stage(place).start])[-1], state(every)[1] or "root"


@rule("a program that needs no root should not have it")
def user_nonroot(project: Project) -> Iterator[Fault]:
    """Each image ends with a USER other than root."""
    for place in project.images.values():
        where, user = _final_user(project, place)
        if user.partition(":")[0] in {"0", "root"}:
            yield where, f"the image {project.stage(place).name} runs as root"


@rule("Kubernetes cannot tell a named user from root, and refuses to start it")
def user_numeric(project: Project) -> Iterator[Fault]:
    """An image's USER is a number, its group as well."""
    for place in project.images.values():
        where, user = _final_user(project, place)
        if user != "root" and not re.fullmatch(r"\d+:\d+", user):
            yield where, f"`USER {user}` is not of the form 1000:1000"


_SECRET = re.compile(r"(?i)(^|_)(passw(or)?d|secret|token|api_?key|private_?key|credentials?)(_|$)")


@rule("what is in ARG or ENV is in the image's history, for all to read")
def no_secret(project: Project) -> Iterator[Fault]:
    """No ARG or ENV is named like a secret: a secret mount is for those."""
    for file in project.files.values():
        for one in (*file.arguments, *(i for s in file.stages for i in s.instructions)):
            if one.name in {"ARG", "ENV"}:
                for name in filter(_SECRET.search, one.pairs()):
                    yield one, f"{name} is named like a secret"
