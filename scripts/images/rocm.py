"""The release of ROCm that the HIP code of a libvmaf tree needs, as far as the tree states it.

It is stated by a version of a dependency, or by an #error for older releases, where HIP is built;
or by the description of an option. Comments do not count, as they also describe other releases.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_COMMENT = re.compile(r"#.*")
_DEPENDENCY = re.compile(
    r"dependency\(\s*'(?:hip|hip-lang|amdhip64|hsa-runtime64|rocm)'((?:[^()]|\([^()]*\))*)\)"
)
_OPTIONAL = re.compile(r"required\s*:\s*false")
_AT_LEAST = re.compile(r"'>=?\s*(\d+)")
_ERROR = re.compile(r"#\s*if\s+HIP_VERSION_MAJOR\s*<\s*(\d+)\s*\n\s*#\s*error\b")
_OPTION = re.compile(r"(?ms)^\s*option\(\s*'enable_hip(?:cc)?'.*?(?=^\s*option\(|\Z)")
_STATED = re.compile(
    r"(?<!not )(?<!n't )\b(?:requires?|needs?)\b[^.;]*?\bROCm\s*(?:>=\s*)?(\d+)", re.IGNORECASE
)


class Requirement(NamedTuple):
    """The oldest release of ROCm that a tree accepts."""

    release: int
    """The major version."""
    file: str
    """The file that states it, relative to libvmaf's directory."""


def requirement(libvmaf: Path) -> Requirement | None:
    """Return the newest release of ROCm that a tree requires; None if it states no release.

    Args:
        libvmaf: the directory of libvmaf in the tree.
    """
    return max(_requirements(libvmaf), default=None)


def _requirements(libvmaf: Path) -> Iterator[Requirement]:
    builds = [libvmaf / "meson.build", libvmaf / "src" / "meson.build"]
    for path in (*builds, *sorted(libvmaf.glob("src/**/hip/**/*")), *_options(libvmaf)):
        if path.is_file():
            text = path.read_text(errors="replace")
            name = str(path.relative_to(libvmaf))
            yield from (Requirement(release, name) for release in _releases(path.name, text))


def _options(libvmaf: Path) -> tuple[Path, Path]:
    return libvmaf / "meson_options.txt", libvmaf / "meson.options"


def _releases(name: str, text: str) -> Iterator[int]:
    """Yield the releases that a file requires."""
    if name == "meson.build":
        for dependency in _DEPENDENCY.findall(_COMMENT.sub("", text)):
            if not _OPTIONAL.search(dependency):
                yield from map(int, _AT_LEAST.findall(dependency))
    elif name in ("meson_options.txt", "meson.options"):
        for option in _OPTION.findall(text):
            yield from map(int, _STATED.findall(option))
    else:
        yield from map(int, _ERROR.findall(text))
