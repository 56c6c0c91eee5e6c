"""Mutants of images: each has one fault, and a property that must fail on it.

A mutant adds a few lines of Dockerfile to an existing image, so all mutants are built in seconds.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.mutants.patches import Patch
from tests.support.properties import Property

GENERIC_FAILURES = (
    "",
    "assert False",
    "assert not True\n +  where True = any(...)",
    "assert 1 == 0\n +  where 1 = ProgramResult(command='x', code=1, stdout='', stderr='').code",
    "assert 'root' == 'vmaf'",
    "assert 'x' in ''",
    "Regex pattern did not match.",
    "not found",
    "no such file or directory",
    "permission denied",
    "read-only file system",
    "no space left on device",
    "segmentation fault",
    "docker: Error response from daemon: pull access denied, repository does not exist.",
    'exec: "vmaf": executable file not found in $PATH: unknown.',
    *(f"`x` ended with {code}:\n" for code in (1, 2, 125, 126, 127)),
    " ".join(map(str, range(10_000))),
)
"""Messages of failures that do not depend on the fault."""


@dataclass(frozen=True)
class Mutant:
    """An image with one fault, and the property that must fail on it."""

    name: str
    """The fault, in a few words joined by hyphens."""
    test: Property
    expected_failure: str
    """A regular expression that matches the message of the failure and names the fault."""
    dockerfile: str = ""
    """The lines of the Dockerfile after FROM."""
    base: str = "cpu"
    """The image of the bake file that the mutant is based on."""
    patches: Mapping[str, Patch] = field(default_factory=dict)
    """Changes to files of the base, by path."""
    platform: str = ""
    """The platform in its configuration; its files stay those of the base."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """The arguments of a parametrised property."""

    @property
    def tag(self) -> str:
        """The tag of the mutant's image."""
        return f"vmaf-mutant:{self.name}"


def based_on(base: str, *mutants: Mutant) -> tuple[Mutant, ...]:
    """Return the mutants with another base, an image of the bake file."""
    return tuple(replace(mutant, base=base) for mutant in mutants)


def matches(expected_failure: str, message: str) -> bool:
    """Return whether a message is the expected failure."""
    return bool(re.search(expected_failure, message))


def matching_lines(expected_failure: str, message: str) -> str:
    """Return the lines of a message that the expected failure matches, usually one line."""
    match = re.search(expected_failure, message)
    first, last = match.span() if match else (0, 0)
    before, after = message[:first], message[last:]
    return before.rpartition("\n")[2] + message[first:last] + after.partition("\n")[0]


def unspecific_matches(expected_failure: str, test: Property) -> Iterator[str]:
    """Yield the texts that any failure of a test may contain and the expected failure matches.

    Such an expected failure does not name the fault and would accept other failures. The texts are
    `GENERIC_FAILURES`, and the source of the test, which pytest prints with the failure.
    """
    for text in (*GENERIC_FAILURES, *inspect.getsource(test).splitlines()):
        if matches(expected_failure, text):
            yield text


def as_root(script: str) -> str:
    """Return the lines that run a script as root and restore the user of the image."""
    return f"USER root\nRUN {script}\nUSER vmaf"


def add_file(path: str) -> str:
    """Return the lines that add a file in a layer."""
    return f"COPY <<end {path}\nplanted\nend"


def script(path: str, text: str) -> str:
    """Return the lines that add a shell script."""
    return f"COPY --chmod=755 <<'script' {path}\n#!/bin/sh\n{text}\nscript"


def wrap(program: str, text: str) -> str:
    """Return the lines that rename a program to `.real` and install a script in its place."""
    path = f"/usr/local/bin/{program}"
    return as_root(f"mv {path} {path}.real") + "\n" + script(path, text)


def crash(program: str) -> str:
    """Return the lines that replace a program with one that exits as after a segmentation fault."""
    return wrap(program, "exit 139")
