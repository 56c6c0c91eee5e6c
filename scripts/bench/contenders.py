"""The contenders of the rebuild bench: this checkout, and the same files with patches applied.

Each contender is a directory with the files of the checkout that a build reads. The patches in
scripts/bench/patches/ change them to another way to build the images. They apply to the current
files, so that all contenders build the same image. A patch that does not apply is an error,
because a contender that equals the project would have a ratio of 1 in every scenario.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from scripts.bench.results import LIMIT, PROJECT
from scripts.core import git, process
from scripts.core.console import UserError
from scripts.core.paths import ROOT

PATCHES = ROOT / "scripts" / "bench" / "patches"
INPUTS = (".dockerignore", "Dockerfile*", "LICENSE", "dev", "docker", "docker-bake*.hcl", "server")
"""The files that a build reads, and the bake files."""
PRODUCTION = "docker/Dockerfile.production-gpu"
BOOTSTRAP = "docker/bootstrap/Dockerfile"
"""The Dockerfile of the bootstrapped base images, which is the same for all contenders."""


@dataclass(frozen=True)
class Contender:
    """One way to build the images."""

    name: str
    title: str
    patches: Sequence[str] = ()
    """The names of the patches, in the order in which they are applied."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Additional files, by their path in the tree."""
    remote: bool = False
    """Whether its layers are stored only in a registry."""

    def write(self, directory: Path) -> None:
        """Write the files of the contender to a directory; remove its earlier content.

        Raises:
            UserError: a patch does not apply.
        """
        shutil.rmtree(directory, ignore_errors=True)
        for path in git.tracked(*INPUTS):
            copy = directory / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, copy)
        for name in self.patches:
            apply(PATCHES / f"{name}.patch", directory)
        for name, source in self.files.items():
            shutil.copy2(source, directory / name)


def apply(patch: Path, directory: Path) -> None:
    """Apply a patch to the files of a directory.

    Raises:
        UserError: the patch does not apply, or changes nothing.
    """
    # Without the ceiling, git would find the checkout around the directory and skip every file.
    environment = {**process.environment(), "GIT_CEILING_DIRECTORIES": str(directory.parent)}
    done = process.run(
        "git", "apply", "--whitespace=nowarn", str(patch), cwd=directory, env=environment
    )
    if done.returncode:
        raise UserError(
            f"cannot apply {patch.name}",
            done.stderr.strip(),
            "The files changed since the patch was written. docs/performance.md says how to "
            "write it again.",
        )


PROJECT_CONTENDER = Contender(PROJECT, "this checkout")
LIMIT_CONTENDER = Contender(
    LIMIT,
    "the work that no cache can save: configure, link, install, export",
    ("limit",),
    files={"docker/recipes/clock.sh": ROOT / "scripts" / "bench" / "clock.sh"},
)
"""The lower bound: this checkout, with compile steps that measure their parts."""
_COMPETITORS = (
    Contender("before", "no cache mounts, no compiler cache", ("before",)),
    Contender("adr", "ADR-0923 as written: cache mounts, a ccache for each variant", ("adr",)),
    Contender(
        "registry",
        "the same as `before`, with its layers in a registry (type=registry, mode=max)",
        ("before", "registry"),
        remote=True,
    ),
    PROJECT_CONTENDER,
)
CONTENDERS: Mapping[str, Contender] = {contender.name: contender for contender in _COMPETITORS}


def digest() -> str:
    """Return the SHA-256 of all files of this checkout that a build reads."""
    total = sha256()
    for path in git.tracked(*INPUTS):
        total.update(f"{path} {sha256((ROOT / path).read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def choose(names: Sequence[str], *, quick: bool) -> list[Contender]:
    """Return the named contenders; by default all, or only the project in a quick run.

    Raises:
        UserError: there is no contender with one of the names.
    """
    if unknown := [name for name in names if name not in CONTENDERS]:
        listing = "\n".join(f"  {known.name:<10} {known.title}" for known in CONTENDERS.values())
        raise UserError("no such contender", f"`{unknown[0]}`", f"The contenders are:\n{listing}")
    if names:
        return [contender for contender in CONTENDERS.values() if contender.name in names]
    return [PROJECT_CONTENDER] if quick else list(CONTENDERS.values())
