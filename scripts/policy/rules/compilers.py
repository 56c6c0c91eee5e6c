"""Rules on steps that compile, in the RUN or in a script."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from scripts.dockerfile.parser import Instruction
from scripts.dockerfile.project import Project, StageReference, Step
from scripts.policy import commands
from scripts.policy.commands import Purpose
from scripts.policy.rule import Fault, Scope, rule, step_rule

if TYPE_CHECKING:
    from scripts.dockerfile.shell import Command


_PROXY = "/run/cache/remote.py"
"""Where the recipes expect the proxy of the remote cache."""


@step_rule("Without it, each build compiles everything again.", Scope.CCACHE)
def compile_mount(_project: Project, step: Step) -> Iterator[Fault]:
    """A step that compiles has a cache mount at `$CCACHE_DIR`."""
    command = commands.first(step, Purpose.COMPILE)
    directory = commands.ccache_directory(step.environment)
    if command and not step.has_cache_at(directory):
        yield command, f"{command.shown} compiles without a cache mount at {directory}"


@step_rule(
    "ccache remembers headers only on a tmpfs, and no layer contains a tmpfs.", Scope.PROJECT
)
def ccache_memory(_project: Project, step: Step) -> Iterator[Fault]:
    """A step with the compiler cache has `$CCACHE_TEMPDIR` and `$CCACHE_BASEDIR` on a tmpfs."""
    if not step.has_cache_at(commands.ccache_directory(step.environment)):
        return
    targets = {mount.target for mount in step.run.mounts if mount.type == "tmpfs"}
    for name in ("CCACHE_TEMPDIR", "CCACHE_BASEDIR"):
        path = step.environment.get(name, "")
        if not any(path == target or path.startswith(f"{target}/") for target in targets):
            yield step.run, f"no tmpfs contains {name} ({path or 'not set'})"


@step_rule("A worker whose mounts are empty would compile what others have.", Scope.PROJECT)
def remote_cache(_project: Project, step: Step) -> Iterator[Fault]:
    """A step with the compiler cache mounts the optional secret `remote-cache` as a file.

    Its user can read the file, and the proxy that reads it is mounted where a recipe starts it.
    """
    if not step.has_cache_at(commands.ccache_directory(step.environment)):
        return
    user = step.user.partition(":")[0] or "0"
    secrets = [mount for mount in step.run.mounts if mount.get("id") == "remote-cache"]
    if not any(mount.type == "secret" and mount.get("uid") == user for mount in secrets):
        yield step.run, f"no secret remote-cache is readable for the user {user}"
    for mount in secrets:
        if mount.get("env") or mount.get("required"):
            yield step.run, "the secret remote-cache is a variable, or required"
    targets = {mount.target for mount in step.run.mounts if mount.type == "bind"}
    if _PROXY in step.text and not targets & {_PROXY, _PROXY.rpartition("/")[0]}:
        yield step.run, f"its recipe starts {_PROXY}, which is not mounted"


@step_rule("A compiler without a launcher uses no cache.", Scope.CCACHE)
def compile_launcher(_project: Project, step: Step) -> Iterator[Fault]:
    """Each compile command names its launcher: `ccache gcc`, `CC='ccache gcc'`, `RUSTC_WRAPPER`."""
    for command in step.commands:
        if commands.purpose(command) is Purpose.COMPILE and commands.lacks_launcher(command, step):
            yield command, f"{command.shown} has no compiler launcher"


@step_rule("FFmpeg's configure uses no launcher by itself and ignores CC.", Scope.CCACHE)
def ffmpeg_launchers(_project: Project, step: Step) -> Iterator[Fault]:
    """FFmpeg's configure gets `--cc='ccache gcc'` and `--cxx='ccache g++'`."""
    for command in filter(commands.is_ffmpeg_configure, step.commands):
        for option in ("--cc", "--cxx"):
            launcher = re.compile(rf"{option}=.*\bccache ")
            if not any(map(launcher.match, command.argv)):
                yield command, f"FFmpeg is configured without {option}='ccache ...'"


@step_rule("Without a launcher, CMake compiles a language without ccache.", Scope.CCACHE)
def cmake_launchers(_project: Project, step: Step) -> Iterator[Fault]:
    """CMake gets `CMAKE_C_COMPILER_LAUNCHER` and `CMAKE_CXX_COMPILER_LAUNCHER`."""
    for command in filter(commands.is_cmake_configure, step.commands):
        for language in ("C", "CXX"):
            name = f"CMAKE_{language}_COMPILER_LAUNCHER"
            options = (f"-D{name}=", f"-D{name}:")
            is_option = any(argument.startswith(options) for argument in command.argv)
            if not is_option and name not in {**step.environment, **command.assignments}:
                yield command, f"cmake is configured without -D{name}=ccache"


@rule("Variants with different caches cannot reuse each other's results.", Scope.CCACHE)
def ccache_shared(project: Project) -> Iterator[Fault]:
    """All steps that compile mount the same cache id, which contains `$TARGETARCH`."""
    mounts = [
        (step, mount)
        for step in project.steps
        for mount in step.caches()
        if mount.target == commands.ccache_directory(step.environment) and mount.get("id")
    ]
    shared = mounts[0][1].get("id") if mounts else ""
    for step, mount in mounts:
        name = mount.get("id")
        if name != shared:
            yield step.run, f"the compiler cache is `{name}` here and `{shared}` elsewhere"
        elif "TARGETARCH" not in name:
            yield step.run, f"the id `{name}` does not contain $TARGETARCH"


@step_rule("`CC=x ./configure && make` runs make without CC.", Scope.ANY)
def env_prefix(_project: Project, step: Step) -> Iterator[Fault]:
    """A variable that is set for the first command of a chain is set for its later readers, too."""
    chains: dict[tuple[str, int], list[Command]] = defaultdict(list)
    for command in step.commands:
        chains[command.file, command.chain].append(command)
    for first, *rest in chains.values():
        for name, value in first.assignments.items():
            reader = commands.reader(name)
            unset = (
                later
                for later in rest
                if reader is not None
                and commands.purpose(later) is reader
                and name not in later.assignments
            )
            for later in list(unset)[:1]:
                shown = f"{name}={value or chr(39) * 2}"
                yield first, f"{shown} reaches `{first.program}` and not `{later.program}`"


@rule("Meson prefers sccache to ccache.", Scope.CCACHE)
def no_sccache(project: Project) -> Iterator[Fault]:
    """Where Meson runs, sccache is not on PATH."""
    for step in project.steps:
        if not any(command.program == "meson" for command in step.commands):
            continue
        for reference, stage in project.chain(step.stage):
            for earlier in stage.instructions:
                if reference == step.stage and earlier.line > step.run.line:
                    break
                if (
                    _installs_sccache(earlier)
                    or _copies_sccache(earlier)
                    or _copies_programs(project, reference, earlier)
                ):
                    location = f"{earlier.file}:{earlier.line}"
                    yield step.run, f"meson runs, and {location} has put sccache on PATH"


def _installs_sccache(instruction: Instruction) -> bool:
    commands_run = instruction.script.commands if instruction.script else ()
    return any(
        "install" in command.argv and any(re.fullmatch(r"sccache(=.*)?", a) for a in command.argv)
        for command in commands_run
    )


def _copies_programs(project: Project, reference: StageReference, instruction: Instruction) -> bool:
    """Whether an instruction copies the directory of a stage in which sccache is installed."""
    name = instruction.flag("from") if instruction.name == "COPY" else ""
    directories = [path.rstrip("/*") for path in instruction.arguments[:-1]] if name else []
    if not {"", "/usr", "/usr/bin"} & set(directories):
        return False
    origin = project.resolve(name, reference.file, instruction.line)
    return isinstance(origin, StageReference) and any(
        _installs_sccache(other)
        for _, stage in project.chain(origin)
        for other in stage.instructions
    )


def _copies_sccache(instruction: Instruction) -> bool:
    is_copy = instruction.name in {"COPY", "ADD"} and "sccache" in instruction.source
    return is_copy and bool(re.search(r"bin/(sccache)?$", instruction.arguments[-1]))
