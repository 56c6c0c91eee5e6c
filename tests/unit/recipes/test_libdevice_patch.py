"""What libdevice.patch replaces gives the same results for all arguments."""

import shutil
from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.paths import ROOT

PATCH = ROOT / "docker" / "recipes" / "fetch" / "libvmaf" / "libdevice.patch"
MAIN = """
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#define __device__
#define __forceinline__ inline
#define __clz __builtin_clz
static FUNCTION
}
int main(void) {
    unsigned wrong = 0;
    for (uint32_t i = 1; i < 65536; i++)
        wrong += log_generate(i) != (uint16_t)roundf(log2f((float)i) * 2048.f);
    struct { unsigned bpc; } src;
    for (src.bpc = 1; src.bpc <= 32; src.bpc++) {
        unsigned OLD
        unsigned NEW
        wrong += old_value != new_value;
    }
    printf("%u\\n", wrong);
    return 0;
}
"""
"""Counts the arguments with another result: of log_generate all that have a logarithm, of pow all
bit depths. The closing brace of log_generate is not in the patch."""


def changed(sign: str) -> list[str]:
    """Return the lines that the patch removes (`-`) or adds (`+`)."""
    lines = PATCH.read_text().splitlines()
    return [line[1:] for line in lines if line.startswith(sign) and not line.startswith(sign * 3)]


def mismatches(directory: Path, constant: str = "0x80058e75u") -> int:
    """Return for how many arguments the patched code gives another result."""
    (new_shift, *function), old_shift = changed("+"), changed("-")[0]
    program = MAIN.replace("FUNCTION", "\n".join(function).replace("0x80058e75u", constant))
    for name, line in (("old_value", old_shift), ("new_value", new_shift)):
        _, _, value = line.partition("=")
        program = program.replace(name.partition("_")[0].upper(), f"{name} ={value}")
    (directory / "check.c").write_text(program)
    command = ("gcc", "-O1", "-fno-builtin", "-o", "check", "check.c", "-lm")
    compiled = process.run(*command, cwd=directory)
    assert not compiled.returncode, compiled.stderr
    return int(process.output(str(directory / "check")))


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc on this machine")
def test_patched_functions_equal_those_of_libdevice(tmp_path: Path) -> None:
    """The logarithm and the power of two are equal for every argument; another constant is not."""
    assert mismatches(tmp_path) == 0
    assert mismatches(tmp_path, "0x80058bafu") > 0
