"""The purpose of a command is recognised."""

from pathlib import Path

import pytest

from scripts.dockerfile import shell
from scripts.policy import commands
from scripts.policy.commands import Purpose
from tests.support.dockerfiles import only_step


def command(text: str) -> shell.Command:
    """Return the first command of a script."""
    return shell.read(text, "s.sh").commands[0]


@pytest.mark.parametrize(
    ("text", "purpose"),
    [
        ("gcc -c a.c", Purpose.COMPILE),
        ("ccache x86_64-linux-gnu-g++-13 -c a.cc", Purpose.COMPILE),
        ("gcc --version", None),
        ("gcc -dumpfullversion", None),
        ("ccache --zero-stats", None),
        ("hipcc -fsyntax-only -x hip /dev/null", None),
        ("meson setup build", Purpose.COMPILE),
        ("meson --version", None),
        ("cmake --install build", None),
        ("cmake --build build", Purpose.COMPILE),
        ("cargo vendor", None),
        ("cargo build", Purpose.COMPILE),
        ("apt-get -q update", Purpose.APT),
        ("apt-cache show jq", None),
        ("go build ./...", Purpose.GO_COMPILE),
        ("go mod download", Purpose.GO_DOWNLOAD),
        ("go version", None),
        ("python3 -m pip install x", Purpose.PIP),
        ("pip --version", None),
    ],
)
def test_purpose_is_none_for_commands_that_only_inform(text: str, purpose: Purpose | None) -> None:
    """A command that prints, links, checks or unpacks has no purpose that a rule is about."""
    assert commands.purpose(command(text)) is purpose


@pytest.mark.parametrize(
    ("text", "compiles"),
    [
        ("make", True),
        ("make -j4", True),
        ("make -j 4", True),
        ('make -j "$(nproc)"', True),
        ("make -C src all", True),
        ("make clean", False),
        ("make -C src clean", False),
        ("make -j 4 clean", False),
        ("make distclean", False),
        ("make install", False),
        ("make -C build DESTDIR=/out install", False),
        ("make install-headers install-libs", False),
        ("make clean all", True),
        ("make all install", True),
        ("make DESTDIR=/out", True),
        ("ninja -C build", True),
        ("ninja -C build clean", False),
        ("ninja -t clean", False),
        ("ninja -C build install", True),
    ],
)
def test_targets_that_compile_nothing_are_no_compile_step(text: str, *, compiles: bool) -> None:
    """`make clean` and `make install` compile nothing, but a target beside them may."""
    assert (commands.purpose(command(text)) is Purpose.COMPILE) is compiles


@pytest.mark.parametrize(
    ("script", "lacks"),
    [
        ("gcc -c a.c", True),
        ("ccache gcc -c a.c", False),
        ("gcc -o a a.o", False),
        ("meson setup b", True),
        ("CC='ccache gcc' meson setup b", False),
        ("make", True),
        ("CC='ccache gcc' make", False),
        ("./configure --cc='ccache gcc'", False),
        ("./configure", True),
        ("cargo build", True),
        ("RUSTC_WRAPPER=sccache cargo build", False),
    ],
)
def test_launcher_is_found_in_arguments_and_variables(
    script: str, *, lacks: bool, tmp_path: Path
) -> None:
    """The launcher of a compile command is in its arguments, in CC or in RUSTC_WRAPPER."""
    step = only_step(tmp_path, f"FROM scratch\nRUN {script}\n")
    assert commands.lacks_launcher(step.commands[0], step) is lacks
