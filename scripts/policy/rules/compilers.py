"""Rules on compile steps, recipes looked into."""

import re
from collections import defaultdict
from collections.abc import Iterator

from scripts.dockerfile import shell
from scripts.dockerfile.project import Project, Step
from scripts.policy import commands
from scripts.policy.commands import Kind
from scripts.policy.rule import Fault, rule, step_rule


@step_rule("a compile step without the cache compiles everything anew, at each build")
def compile_mount(_project: Project, step: Step) -> Iterator[Fault]:
    """Each compile step has a cache mount at CCACHE_DIR, recipes looked into."""
    found = commands.first(step, Kind.COMPILE)
    if not found:
        return
    folder = commands.ccache_folder(step.environment)
    if folder not in {mount.target for mount in step.caches()}:
        yield found, f"`{' '.join(found.words[:3])}` compiles without a cache mount at {folder}"


@step_rule("on a tmpfs ccache remembers the headers it has read, and a small file is made at once")
def ccache_memory(_project: Project, step: Step) -> Iterator[Fault]:
    """A step with the compiler cache has CCACHE_TEMPDIR and CCACHE_BASEDIR on tmpfs mounts."""
    folder = commands.ccache_folder(step.environment)
    if folder not in {mount.target for mount in step.caches()}:
        return
    memory = {each.target for each in step.run.mounts if each.kind == "tmpfs"}
    for name in ("CCACHE_TEMPDIR", "CCACHE_BASEDIR"):
        place = step.environment.get(name, "")
        if not any(place == each or place.startswith(f"{each}/") for each in memory):
            yield step.run, f"no tmpfs holds {name} ({place or 'not set'})"


@step_rule("a compiler started without ccache fills no cache and finds nothing in one")
def compile_launcher(_project: Project, step: Step) -> Iterator[Fault]:
    """Each compile is started through a launcher that is named."""
    for command in step.commands:
        if commands.kind(command) is Kind.COMPILE and commands.lacks_launcher(command, step):
            yield command, f"`{' '.join(command.words[:3])}` has no compiler launcher"


@step_rule("FFmpeg's configure looks for no launcher by itself, not even in CC")
def ffmpeg_launchers(_project: Project, step: Step) -> Iterator[Fault]:
    """FFmpeg's configure gets --cc and --cxx with ccache."""
    for command in step.commands:
        if commands.is_ffmpeg_configure(command):
            for option in ("--cc", "--cxx"):
                if not any(re.match(rf"{re.escape(option)}=.*\bccache ", w) for w in command.words):
                    yield command, f"FFmpeg is configured without {option}='ccache ...'"


@step_rule("cmake has a launcher for each language, and one alone leaves the other uncached")
def cmake_launchers(_project: Project, step: Step) -> Iterator[Fault]:
    """Cmake gets its launchers for C and for C++."""
    for command in step.commands:
        if commands.is_cmake_configure(command):
            for language in ("C", "CXX"):
                name = f"CMAKE_{language}_COMPILER_LAUNCHER"
                given = any(w.startswith((f"-D{name}=", f"-D{name}:")) for w in command.words)
                if not given and name not in {**step.environment, **command.prefix}:
                    yield command, f"cmake is configured without -D{name}=ccache"


@rule("variants that share the cache find each other's work: 118 s instead of 474 s for FFmpeg")
def ccache_shared(project: Project) -> Iterator[Fault]:
    """One id, with the architecture in it, is mounted wherever anything is compiled."""
    mounts = [
        (step, mount)
        for step in project.steps
        for mount in step.caches()
        if mount.target == commands.ccache_folder(step.environment) and mount.get("id")
    ]
    shared = mounts[0][1].get("id") if mounts else ""
    for step, mount in mounts:
        name = mount.get("id")
        if name != shared:
            yield step.run, f"the compiler cache is `{name}` here and `{shared}` elsewhere"
        elif "TARGETARCH" not in name:
            yield step.run, f"the id `{name}` does not carry $TARGETARCH"


@step_rule("a prefix covers one command: what follows && runs without it")
def env_prefix(_project: Project, step: Step) -> Iterator[Fault]:
    """A variable set for the first command of a chain is set for those that read it too."""
    chains: dict[tuple[str, int], list[shell.Command]] = defaultdict(list)
    for command in step.commands:
        chains[command.file, command.chain].append(command)
    for chain in chains.values():
        first, *rest = chain
        for name, value in first.prefix.items():
            reader = commands.reader(name)
            for later in rest:
                if (
                    reader is not None
                    and commands.kind(later) is reader
                    and name not in later.prefix
                ):
                    shown = f"{name}={value or chr(39) * 2}"
                    yield first, f"{shown} reaches `{first.program}` and not `{later.program}`"
                    break


@rule("Meson takes sccache before ccache, for C too, wherever it finds one")
def no_sccache(project: Project) -> Iterator[Fault]:
    """Sccache is on no PATH where Meson runs."""
    for step in project.steps:
        if not any(command.program == "meson" for command in step.commands):
            continue
        earlier = list(project.before(step.place, step.run))
        for one in (*earlier, step.run):
            installs = one.script is not None and any(
                _installs(command, "sccache") for command in one.script.commands
            )
            copies = (
                one.name in {"COPY", "ADD"}
                and re.search(r"bin/(sccache)?$", one.words[-1])
                and ("sccache" in one.source)
            )
            if installs or copies:
                yield step.run, f"meson runs where {one.file}:{one.line} has put sccache on PATH"


def _installs(command: shell.Command, what: str) -> bool:
    return "install" in command.words and any(
        re.fullmatch(rf"{what}(=.*)?", word) for word in command.words
    )
