"""What the rebuild bench compares: this checkout, and the same files as others would write them.

Each contender is a folder with all that a build may see of the checkout, some of it
changed. The changes are made to today's files, so that all contenders build the same
image, and one that finds nothing to change is an error: a contender that is secretly
ours would make every ratio 1.
"""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from scripts import lint
from scripts.console import UserError
from scripts.paths import ROOT
from scripts.policy import dockerfile

LAUNCHER_OFF = "DEPCACHE_DISABLE=1"
"""Makes our launcher hand everything through, where a recipe still calls it."""
CCACHE_OFF = "CCACHE_DISABLE=1"
"""Makes ccache do so; where it is called most, its name is taken out of the recipe too."""
SEEN = (".dockerignore", "Dockerfile*", "dev", "docker", "docker-bake*.hcl", "server")
"""What a build may see, and the bake files."""
PRODUCTION = "docker/Dockerfile.production-gpu"
BOOTSTRAP = "docker/bootstrap/Dockerfile"
"""Makes the images that are pulled elsewhere: nobody's contender."""

CLOCK = "/run/limit"
"""Where the limit's clock is: not on PATH, and out of the reach of what is kept of configure."""
CLEANUP = "rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb"
"""How a RUN ended before there were cache mounts."""

Change = Callable[[str], str]
"""Rewrites a file."""


@dataclass(frozen=True)
class Contender:
    """One way to build the images."""

    name: str
    what: str
    """For people."""
    dockerfiles: Sequence[Change] = ()
    recipes: Mapping[str, Sequence[Change]] = field(default_factory=dict)
    """By the file's name."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """What its tree has besides, and where that is."""
    remote: bool = False
    """Whether its layers are kept in a registry alone."""

    def rewrite(self, path: str, text: str) -> str:
        """Return a file of the checkout as this contender has it.

        Raises:
            UserError: a change finds nothing that it could change.
        """
        changes: Sequence[Change] = ()
        if path == PRODUCTION:
            changes = self.dockerfiles
        elif path.startswith(("docker/recipes/compile/", "docker/recipes/lib/")):
            changes = self.recipes.get(Path(path).name, ())
        for change in changes:
            before, text = text, change(text)
            if text == before:
                raise UserError(
                    f"cannot make the contender `{self.name}`",
                    f"`{change.__name__}` finds nothing to change in {path}",
                    "Make scripts/contenders.py agree with the file again.",
                )
        return text

    def write(self, folder: Path) -> None:
        """Write the contender's tree, in the place of an earlier one."""
        shutil.rmtree(folder, ignore_errors=True)
        for path in lint.tracked(*SEEN):
            copy = folder / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, copy)
            if str(path) == PRODUCTION or str(path).startswith("docker/recipes/"):
                copy.write_text(self.rewrite(str(path), copy.read_text()))
        for name, path in self.files.items():
            shutil.copy2(path, folder / name)


def digest() -> str:
    """Return the SHA-256 of all that builds of this checkout may see."""
    total = sha256()
    for path in lint.tracked(*SEEN):
        total.update(f"{path} {sha256((ROOT / path).read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def edited(
    text: str, change: Callable[[dockerfile.Stage, dockerfile.Instruction], str | None]
) -> str:
    """Rewrite a Dockerfile an instruction at a time; None leaves it as it is."""
    lines = text.splitlines()
    parsed = dockerfile.read(text, PRODUCTION)
    for stage in reversed(parsed.stages):
        for instruction in reversed((stage.start, *stage.instructions)):
            if (new := change(stage, instruction)) is not None:
                lines[instruction.line - 1 : instruction.last_line] = new.splitlines()
    return "\n".join(lines) + "\n"


def compiles(stage: dockerfile.Stage) -> bool:
    """Whether a step of the stage has the compiler cache."""
    return any(mount.target == "/ccache" for step in stage.instructions for mount in step.mounts)


def _environment(*words: str) -> Change:
    """Return a change that sets variables wherever something is compiled."""

    def set_environment(text: str) -> str:
        def change(stage: dockerfile.Stage, instruction: dockerfile.Instruction) -> str | None:
            if instruction is not stage.start or not compiles(stage):
                return None
            return f"{instruction.source}\nENV {' '.join(words)}"

        return edited(text, change)

    return set_environment


def without_cache_mounts(text: str) -> str:
    """Drop every cache mount; apt's leavings go at the end of the step, as the habit was."""

    def change(_stage: dockerfile.Stage, step: dockerfile.Instruction) -> str | None:
        caches = [mount for mount in step.mounts if mount.kind == "cache"]
        if not caches:
            return None
        source = re.sub(r"--mount=type=cache\S*\s+(\\\n\s*)?", "", step.source)
        if any(mount.target.startswith("/var/") for mount in caches):
            source += f" \\\n    && {CLEANUP}"
        return source

    return edited(text, change)


def without_memory(text: str) -> str:
    """Leave /tmp and /build on the layer's file system, where ccache remembers no headers."""
    return re.sub(r"--mount=type=tmpfs,\S+\s+(\\\n\s*)?", "", text)


def without_interface(text: str) -> str:
    """Compile FFmpeg against libvmaf itself."""
    return text.replace("/out/libvmaf/interface/ /", "/out/libvmaf/dev/ /out/libvmaf/runtime/ /")


def cache_of_each_variant(text: str) -> str:
    """Give each variant a compiler cache of its own."""

    def change(stage: dockerfile.Stage, step: dockerfile.Instruction) -> str | None:
        if not any(mount.target == "/ccache" for mount in step.mounts):
            return None
        variant = stage.name.partition("-")[2]
        return step.source.replace("id=vmaf-ccache-", f"id=vmaf-ccache-{variant}-")

    return edited(text, change)


def with_debians_habits(text: str) -> str:
    """Leave apt as the base image has it: packages deleted, an index fetched in each step."""
    kept = r"#clear .*Post-Invoke|Keep-Downloaded-Packages|List-Cleanup|force-unsafe-io|-mmin"
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not re.search(kept, line))


def with_probes_in_ccache(text: str) -> str:
    """Let ccache keep configure's probes, whose names are other ones each time."""
    return text.replace("CCACHE_DISABLE=1 ", "")


def without_syntax(text: str) -> str:
    """Leave the syntax to the builder, which need not build a frontend then: it knows this one."""
    return re.sub(r"\A# syntax=.*\n", "", text)


def without_ccache(text: str) -> str:
    """Call the compilers themselves: even a ccache that is switched off takes its time."""
    return re.sub(r"\bccache (?=gcc|g\+\+|\$\{)", "", text)


def without_launcher(text: str) -> str:
    """Call nasm and nvcc themselves."""
    return re.sub(r"^launch .*\n", "", text, flags=re.MULTILINE)


def with_ccaches_habits(text: str) -> str:
    """Leave ccache as it is, and remove the build tree, which is in the layer."""
    kept, removed = r"^export CCACHE_DEPEND=1$", "trap 'rm -rf /build/*' EXIT"
    return re.sub(kept, removed, text, flags=re.MULTILINE)


def with_configure_alone(text: str) -> str:
    """Run configure each time, take what it writes as it is, and call make as everybody does."""
    text = re.sub(r"^reach \| \S+ ", "", text, flags=re.MULTILINE)
    text = re.sub(r"^.*\bpython3 .*/split-config\.py .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(jobs=|! grep .*jobs=).*\n", "", text, flags=re.MULTILINE)
    return text.replace('make -j"$jobs" -r --silent V=1', 'make -j"$(nproc)" --silent')


def with_limit(text: str) -> str:
    """Mount the clock in the place of make and ninja."""

    def change(stage: dockerfile.Stage, step: dockerfile.Instruction) -> str | None:
        if not stage.name.startswith(("libvmaf-", "ffmpeg-")) or not compiles(stage):
            return None
        clock = f"--mount=type=bind,source=docker/recipes/limit.sh,target={CLOCK}/"
        mounts = "".join(f"{clock}{tool} \\\n    " for tool in ("make", "ninja"))
        return re.sub(r"^RUN ", f"RUN {mounts}", step.source) if step.mounts else None

    return edited(text, change)


def by_the_clock(text: str) -> str:
    """Have make and ninja say how long the links take that no cache can save."""
    return re.sub(r"^( *)(make|ninja) (?=-[Cj])", rf"\1{CLOCK}/\2 ", text, flags=re.MULTILINE)


_ADRS_RECIPES = {
    "apt.sh": (with_debians_habits,),
    "compile.sh": (with_ccaches_habits,),
    "ffmpeg.sh": (with_probes_in_ccache, with_configure_alone, without_launcher),
    "libvmaf.sh": (without_launcher,),
}
_RECIPES_BEFORE = {
    **_ADRS_RECIPES,
    "ffmpeg.sh": (with_probes_in_ccache, with_configure_alone, without_launcher, without_ccache),
    "libvmaf.sh": (without_launcher, without_ccache),
}
_BEFORE = (
    _environment(CCACHE_OFF, LAUNCHER_OFF),
    without_memory,
    without_cache_mounts,
    without_interface,
)

BEFORE = Contender("before", "no cache mounts, no compiler cache", _BEFORE, _RECIPES_BEFORE)
REGISTRY = Contender(
    "registry",
    "the same, its layers kept in a registry (type=registry, mode=max)",
    (*_BEFORE, without_syntax),
    _RECIPES_BEFORE,
    remote=True,
)
ADR = Contender(
    "adr",
    "ADR-0923 as written: cache mounts, a ccache for each variant",
    (_environment(LAUNCHER_OFF), without_memory, cache_of_each_variant, without_interface),
    _ADRS_RECIPES,
)
OURS = Contender("ours", "this checkout")
LIMIT = Contender(
    "limit",
    "what no cache can save: configure, link, install, export",
    (with_limit,),
    {"ffmpeg.sh": (by_the_clock,), "libvmaf.sh": (by_the_clock,)},
    files={"docker/recipes/limit.sh": ROOT / "scripts" / "limit.sh"},
)
"""Not in the race: it is ours, with a clock in it."""

CONTENDERS: Mapping[str, Contender] = {one.name: one for one in (BEFORE, ADR, REGISTRY, OURS)}


def add_package(text: str, package: str) -> str:
    """Add a package to what the toolchain stage installs."""

    def change(stage: dockerfile.Stage, step: dockerfile.Instruction) -> str | None:
        if stage.name != "toolchain" or "apt.sh install" not in step.source:
            return None
        return step.source.replace("apt.sh install", f"apt.sh install {package}", 1)

    return edited(text, change)
