"""The scenarios of the rebuild bench: the changes after which an image is built again."""

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.core.console import UserError

COLD = "cold"
"""The first scenario, in which nothing is cached."""


@dataclass(frozen=True)
class Scenario:
    """A change, and the image that is built after it."""

    name: str
    title: str
    target: str = "cpu"
    after: str = COLD
    """The scenario that must be built before this one; empty if there is none."""
    project: str = ""
    """The project whose source tree is edited: `libvmaf` or `ffmpeg`."""
    file: str = ""
    """The file that is edited, relative to the source tree."""
    edited_libraries: tuple[str, ...] = ()
    """The libraries of the image that must contain the edit afterwards."""
    compiles: tuple[str, ...] = ()
    """The projects whose compile steps run again."""
    quick: bool = False
    """Whether `--quick` includes it."""
    bounded: bool = False
    """Whether a limit is computed, which requires that all work is in compile steps."""
    repeats: bool = True
    """Whether a second build does the same work as the first."""


_BOTH = ("libvmaf", "ffmpeg")
_LIST = (
    Scenario(
        COLD, "first build, nothing cached", after="", compiles=_BOTH, quick=True, repeats=False
    ),
    Scenario("unchanged", "nothing changed", quick=True),
    Scenario("touched", "dates and an unrelated file changed", quick=True),
    Scenario(
        "libvmaf-c",
        "a .c file of libvmaf edited",
        project="libvmaf",
        file="libvmaf/src/libvmaf.c",
        edited_libraries=("libvmaf",),
        compiles=("libvmaf",),
        quick=True,
        bounded=True,
    ),
    Scenario(
        "libvmaf-header",
        "a public header of libvmaf edited",
        project="libvmaf",
        file="libvmaf/include/libvmaf/libvmaf.h",
        edited_libraries=("libvmaf", "libavfilter"),
        compiles=_BOTH,
        quick=True,
        bounded=True,
    ),
    Scenario(
        "ffmpeg-c",
        "a .c file of FFmpeg edited",
        project="ffmpeg",
        file="libavfilter/vf_libvmaf.c",
        edited_libraries=("libavfilter",),
        compiles=("ffmpeg",),
        quick=True,
        bounded=True,
    ),
    Scenario(
        "recompile", "libvmaf and FFmpeg invalidated", compiles=_BOTH, quick=True, bounded=True
    ),
    Scenario("package", "a package added to the toolchain", compiles=_BOTH),
    Scenario("base", "another base image", compiles=_BOTH),
    Scenario("second", "a second variant after the first", "cuda12", compiles=_BOTH, repeats=False),
    Scenario(
        "libvmaf-cu",
        "a .cu file of libvmaf edited",
        "cuda12",
        after="second",
        project="libvmaf",
        file="libvmaf/src/feature/cuda/integer_motion/motion_score.cu",
        edited_libraries=("libvmaf",),
        compiles=("libvmaf",),
        bounded=True,
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in _LIST}
"""The scenarios by name, in the order in which they are measured."""


def titles() -> dict[str, str]:
    """Return the title of each scenario by its name."""
    return {scenario.name: scenario.title for scenario in SCENARIOS.values()}


def choose(names: Sequence[str], *, quick: bool) -> list[Scenario]:
    """Return the named scenarios, or all, with the scenarios that they depend on.

    Raises:
        UserError: there is no scenario with one of the names.
    """
    if unknown := [name for name in names if name not in SCENARIOS]:
        listing = "\n".join(f"  {name:<15} {title}" for name, title in titles().items())
        raise UserError("no such scenario", f"`{unknown[0]}`", f"The scenarios are:\n{listing}")
    chosen = set(names or (name for name in SCENARIOS if SCENARIOS[name].quick or not quick))
    for name in reversed(SCENARIOS):
        if name in chosen:
            chosen.add(SCENARIOS[name].after)
    return [scenario for scenario in SCENARIOS.values() if scenario.name in chosen]
