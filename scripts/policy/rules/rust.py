"""Rules on steps that run cargo."""

import re
from collections.abc import Iterator

from scripts.dockerfile.project import Project, Step
from scripts.dockerfile.shell import Command
from scripts.policy import commands
from scripts.policy.rule import Fault, Scope, step_rule


def _cargo(step: Step, *, compiles: bool = False) -> Iterator[Command]:
    """Yield the commands by which a step fetches or compiles crates, or only the latter."""
    return (command for command in step.commands if commands.runs_cargo(command, compiles=compiles))


@step_rule("Without them, every build downloads the crates again.", Scope.ANY)
def cargo_mounts(_project: Project, step: Step) -> Iterator[Fault]:
    """A step that fetches or compiles crates has cache mounts for cargo's registry and git."""
    home = step.environment.get("CARGO_HOME", "/root/.cargo")
    for command in list(_cargo(step))[:1]:
        for directory in (f"{home}/registry", f"{home}/git"):
            if not step.has_cache_at(directory):
                yield command, f"cargo runs without a cache mount at {directory}"


@step_rule("Without it, every build compiles all crates again.", Scope.ANY)
def cargo_sccache(_project: Project, step: Step) -> Iterator[Fault]:
    """A step that compiles crates by sccache has a cache mount at `$SCCACHE_DIR`."""
    directory = step.environment.get("SCCACHE_DIR", "/root/.cache/sccache")
    for command in list(_cargo(step, compiles=True))[:1]:
        wrapper = {**step.environment, **command.assignments}.get("RUSTC_WRAPPER", "")
        if re.search(r"\bsccache$", wrapper) and not step.has_cache_at(directory):
            yield command, f"sccache runs without a cache mount at {directory}"


@step_rule("Without it, cargo may take other releases than those in Cargo.lock.", Scope.ANY)
def cargo_locked(_project: Project, step: Step) -> Iterator[Fault]:
    """A command that fetches or compiles crates has `--locked`."""
    for command in _cargo(step):
        if not {"--locked", "--frozen"} & set(command.argv):
            yield command, f"{command.shown} has no --locked"


@step_rule("Crates compile C without a cache by default, or by sccache.", Scope.CCACHE)
def cargo_c_launcher(_project: Project, step: Step) -> Iterator[Fault]:
    """A step that compiles crates has `CC='ccache gcc'`, as all C code is in one cache."""
    for command in list(_cargo(step, compiles=True))[:1]:
        compiler = {**step.environment, **command.assignments}.get("CC", "")
        if not re.search(r"\bccache ", compiler):
            yield command, f"cargo compiles C with `{compiler or 'cc'}`, not by ccache"


@step_rule("A layer would contain it, and sccache has its results, too.", Scope.PROJECT)
def cargo_target(_project: Project, step: Step) -> Iterator[Fault]:
    """The target directory of cargo is on a tmpfs."""
    targets = {mount.target for mount in step.run.mounts if mount.type == "tmpfs"}
    for command in _cargo(step, compiles=True):
        environment = {**step.environment, **command.assignments}
        path = commands.cargo_target(command) or environment.get("CARGO_TARGET_DIR", "target")
        if not any(path == target or path.startswith(f"{target}/") for target in targets):
            yield command, f"no tmpfs contains the target directory {path}"
