"""What a rule is, and how one is written: `@rule(reason)` above a function that yields faults."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scripts.dockerfile import shell
from scripts.dockerfile.parser import Instruction
from scripts.dockerfile.project import Project, Step


@dataclass(frozen=True)
class Finding:
    """A line that breaks a rule."""

    rule: str
    file: str
    line: int
    message: str
    last_line: int = 0
    """The end of the instruction, where it has more lines than one."""
    via: tuple[str, int] | None = None
    """The line of the recipe that does it, where it is not in the Dockerfile itself."""
    allowed: str = ""
    """The reason of the exemption beside it, where there is one."""


@dataclass(frozen=True)
class Rule:
    """One rule: its id, what it is for in a line, and its check."""

    id: str
    reason: str
    check: Callable[[Project], Iterator[Finding]]


RULES: dict[str, Rule] = {}
"""Every rule by its id, once scripts.policy.rules is imported."""
UNUSED = "exemption-used"
"""The rule on exemptions, which are known only when all others have been applied."""


Where = Instruction | shell.Command | tuple[str, int]
Fault = tuple[Where, str]
"""Where, and what is wrong there."""
Check = Callable[[Project], Iterator[Fault]]
StepCheck = Callable[[Project, Step], Iterator[Fault]]


def rule(reason: str) -> Callable[[Check], Check]:
    """Register a rule on the whole project, its id made of the function's name."""

    def register(function: Check) -> Check:
        name = function.__name__.replace("_", "-")
        RULES[name] = Rule(
            name, reason, lambda project: (_finding(name, *fault) for fault in function(project))
        )
        return function

    return register


def step_rule(reason: str) -> Callable[[StepCheck], StepCheck]:
    """Register a rule on each step: what a recipe does is reported at the RUN that runs it."""

    def register(function: StepCheck) -> StepCheck:
        name = function.__name__.replace("_", "-")
        RULES[name] = Rule(
            name,
            reason,
            lambda project: (
                _finding(name, *fault, run=step.run)
                for step in project.steps
                for fault in function(project, step)
            ),
        )
        return function

    return register


def _finding(name: str, where: Where, message: str, run: Instruction | None = None) -> Finding:
    """Return the finding, at the RUN where one is given and a recipe is at fault."""
    if isinstance(where, tuple):
        return Finding(name, *where, message)
    if run is None:
        last = where.last_line if isinstance(where, Instruction) else where.line
        return Finding(name, where.file, where.line, message, last)
    if where.file == run.file:
        return Finding(name, run.file, run.line, message, run.last_line)
    via = (where.file, where.line)
    shown = f"{message} ({where.file}:{where.line})"
    return Finding(name, run.file, run.line, shown, run.last_line, via)
