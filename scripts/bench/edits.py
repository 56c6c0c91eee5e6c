"""Edit a copy of the checkout or of a source tree, as the scenarios require."""

import os
from pathlib import Path

from scripts.core.console import UserError
from scripts.dockerfile import parser

MARKER = "vmaf_bench_"
"""The prefix of the symbol that an edit adds to a library; the nonce of the build follows it."""
PACKAGES = ("bc", "ed", "time")
"""Small Debian packages; each repetition of the scenario adds another one to the toolchain."""

# Data and kernels that the compiler must not remove, so that the library contains the edit.
_IN_C = '\n__attribute__((used)) static const volatile char {0}[] = "{0}";\n'
_IN_CUDA = '\nextern "C" __global__ void {0}(unsigned *out) {{ *out = {1}u; }}\n'


def touch(tree: Path, nonce: str) -> None:
    """Give every file a new date, and add a file that no step reads to the build context."""
    for path in tree.rglob("*"):
        os.utime(path)
    (tree / "server" / f"{MARKER}{nonce}.txt").write_text(nonce)


def edit_source(tree: Path, file: str, nonce: str) -> None:
    """Add a symbol with the marker and the nonce to a source file.

    Raises:
        UserError: the source tree has no such file.
    """
    path = tree / file
    if not path.is_file():
        raise UserError(
            "cannot edit a source file",
            f"there is no {file} in the source tree",
            "Name another file in scripts/bench/scenarios.py.",
        )
    name, text = f"{MARKER}{nonce}", path.read_text()
    if path.suffix == ".cu":
        text += _IN_CUDA.format(name, int(nonce[:7], 16))
    elif path.suffix == ".h":  # inside the include guard
        before, end, after = text.rpartition("#endif")
        text = before + _IN_C.format(name) + end + after
    else:
        text += _IN_C.format(name)
    path.write_text(text)


def invalidate_compile_steps(recipe: Path, nonce: str) -> None:
    """Add a comment to the recipe that every compile step mounts."""
    recipe.write_text(f"{recipe.read_text()}# {nonce}\n")


def add_package(dockerfile: Path, package: str) -> None:
    """Add a package to the packages that the stage `toolchain` installs.

    Raises:
        UserError: the stage installs no packages.
    """
    text = dockerfile.read_text()
    lines = text.splitlines()
    for stage in parser.read(text, dockerfile.name).stages:
        for step in stage.instructions if stage.name == "toolchain" else ():
            if "apt.sh target" in step.source:
                new = step.source.replace("apt.sh target", f"apt.sh target {package}", 1)
                lines[step.line - 1 : step.last_line] = new.splitlines()
                dockerfile.write_text("\n".join(lines) + "\n")
                return
    raise UserError(
        "cannot add a package to the toolchain",
        f"the stage `toolchain` of {dockerfile.name} installs none",
        "Change `add_package` in scripts/bench/edits.py.",
    )
