"""The type of a rule, and the decorators `rule` and `step_rule` that create a rule."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from scripts.dockerfile import shell
from scripts.dockerfile.parser import Instruction
from scripts.dockerfile.project import Project, Step

UNUSED = "exemption-used"
"""The rule that scripts/policy/check.py applies, after all other rules."""


class Scope(Enum):
    """The Dockerfiles that a rule applies to; all rules apply to the project's own."""

    ANY = "Every Dockerfile"
    CCACHE = "Dockerfiles that use ccache"
    PROJECT = "This project"


@dataclass(frozen=True)
class Finding:
    """A line that breaks a rule."""

    rule: str
    file: str
    line: int
    message: str
    last_line: int = 0
    """The last line of the instruction, if it has several lines."""
    via: tuple[str, int] | None = None
    """The file and line of the command, if it is in a script that the RUN runs."""
    allowed: str = ""
    """The reason of the exemption for the finding; empty without an exemption."""


@dataclass(frozen=True)
class Rule:
    """One rule of the policy."""

    id: str
    requirement: str
    """The requirement, in a sentence."""
    reason: str
    """The consequence of breaking the rule, in a sentence."""
    scope: Scope
    check: Callable[[Project], Iterator[Finding]]


Location = Instruction | shell.Command | tuple[str, int]
"""The location of a finding; a tuple is a file and a line."""
Fault = tuple[Location, str]
"""A location and the message about it."""
Check = Callable[[Project], Iterator[Fault]]
StepCheck = Callable[[Project, Step], Iterator[Fault]]


def rule(reason: str, scope: Scope) -> Callable[[Check], Rule]:
    """Create a rule from a function that checks the project.

    The function's name is the rule's id, and the first paragraph of its docstring is the
    requirement.
    """

    def make(function: Check) -> Rule:
        def check(project: Project) -> Iterator[Finding]:
            return (_finding(_id(function), *fault) for fault in function(project))

        return Rule(_id(function), _requirement(function), reason, scope, check)

    return make


def step_rule(reason: str, scope: Scope) -> Callable[[StepCheck], Rule]:
    """Create a rule from a function that checks a step; see `rule`.

    A fault in a script is reported at the RUN that runs the script.
    """

    def make(function: StepCheck) -> Rule:
        def check(project: Project) -> Iterator[Finding]:
            return (
                _finding(_id(function), *fault, run=step.run)
                for step in project.steps
                for fault in function(project, step)
            )

        return Rule(_id(function), _requirement(function), reason, scope, check)

    return make


def _id(function: Check | StepCheck) -> str:
    return function.__name__.replace("_", "-")


def _requirement(function: Check | StepCheck) -> str:
    text = inspect.getdoc(function) or ""
    return " ".join(text.partition("\n\n")[0].split())


def _finding(
    rule_id: str, location: Location, message: str, run: Instruction | None = None
) -> Finding:
    """Return the finding; a fault in a script is reported at the RUN, if that is given."""
    if isinstance(location, tuple):
        return Finding(rule_id, *location, message)
    if run is None:
        last = location.last_line if isinstance(location, Instruction) else location.line
        return Finding(rule_id, location.file, location.line, message, last)
    if location.file == run.file:
        return Finding(rule_id, run.file, run.line, message, run.last_line)
    via = (location.file, location.line)
    message = f"{message} ({location.file}:{location.line})"
    return Finding(rule_id, run.file, run.line, message, run.last_line, via)
