"""Tests of runcache, called as the recipe calls it, with a configure that counts its runs."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

LAUNCHERS = Path(__file__).parents[1] / "src"

# A configure script that looks for a header, writes a file, a link and a program, and prints.
CONFIGURE = """#!/bin/sh
echo called >>"$CALLS"
[ ! -f "$REACH/fail" ] || { echo no >config.log; exit 3; }
echo "looking" && echo "warned" >&2
mkdir -p build/deep empty
header=$REACH/include/x.h
{ [ -f "$header" ] && echo "HAVE_X $(cat "$header")"; echo "$*"; } >build/deep/config.h
ln -sf deep/config.h build/config.h
printf '#!/bin/sh\\n' >build/run.sh && chmod 755 build/run.sh
"""


@dataclass
class Trial:
    """A directory with a configure script, its inputs, and a cache."""

    directory: Path
    tool: Path = LAUNCHERS / "runcache.py"
    environment: dict[str, str] = field(default_factory=dict)
    runs: int = 0
    out: str = ""
    err: str = ""
    work: Path = Path()

    def __post_init__(self) -> None:
        """Write the configure script."""
        self.reach = self.directory / "reach"
        (self.reach / "include").mkdir(parents=True)
        self.configure = self.reach / "configure"
        self.configure.write_text(CONFIGURE)
        self.configure.chmod(0o755)

    @property
    def calls(self) -> int:
        """Return how often configure itself has run."""
        file = self.directory / "calls"
        return len(file.read_text().splitlines()) if file.exists() else 0

    @property
    def log(self) -> list[str]:
        """Return the logged result of each call."""
        return (self.directory / "log").read_text().splitlines()

    def run(self, *words: str, within: str = "", names: Iterable[Path] | None = None) -> int:
        """Call configure through runcache, in an empty directory."""
        self.runs += 1
        self.work = self.directory / "work" / within
        subprocess.run(["rm", "-rf", self.directory / "work"], check=True)
        self.work.mkdir(parents=True)
        listed = self.reach.rglob("*") if names is None else names
        done = subprocess.run(
            [sys.executable, "-IS", str(self.tool), str(self.configure), *words],
            input=b"".join(os.fsencode(name) + b"\0" for name in listed),
            cwd=self.work,
            env={
                "PATH": os.environ["PATH"],
                "CALLS": str(self.directory / "calls"),
                "REACH": str(self.reach),
                "DEPCACHE_DIR": str(self.directory / "store"),
                "DEPCACHE_LOG": str(self.directory / "log"),
                **self.environment,
            },
            capture_output=True,
            check=False,
        )
        self.out, self.err = done.stdout.decode(), done.stderr.decode()
        return done.returncode

    def left(self) -> dict[str, tuple[int, str]]:
        """Return the files in the working directory: mode, and content or link target."""
        return {
            str(path.relative_to(self.work)): (
                path.lstat().st_mode,
                str(path.readlink())
                if path.is_symlink()
                else (path.is_file() and path.read_text()) or "",
            )
            for path in self.work.rglob("*")
        }


@pytest.fixture(name="trial")
def _trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_hit_restores_files_and_output(trial: Trial) -> None:
    """A hit of runcache restores files, links, modes, empty directories and both outputs."""
    assert trial.run("--with") == 0
    first = (trial.left(), trial.out, trial.err)
    assert trial.run("--with") == 0
    assert (trial.left(), trial.out, trial.err) == first
    assert first[1:] == ("looking\n", "warned\n")
    assert trial.calls == 1
    assert trial.log == ["miss configure", "hit configure"]


def test_restored_files_have_the_current_time(trial: Trial) -> None:
    """Files that runcache restores have the current time, so that make does not remake them."""
    trial.run()
    source = trial.directory / "source"
    source.touch()
    trial.run()
    config = trial.work / "build" / "deep" / "config.h"
    assert config.stat().st_mtime >= int(source.stat().st_mtime)


def _header(trial: Trial) -> None:
    (trial.reach / "include" / "x.h").write_text("1")


def _content(trial: Trial) -> None:
    trial.configure.write_text(CONFIGURE.replace("HAVE_X", "HAS_X"))


def _mode(trial: Trial) -> None:
    (trial.reach / "tool").chmod(0o755)


def _link(trial: Trial) -> None:
    (trial.reach / "link").unlink()
    (trial.reach / "link").symlink_to("include")


def _folder(trial: Trial) -> None:
    (trial.reach / "more").mkdir()


def _environment(trial: Trial) -> None:
    trial.environment["CPPFLAGS"] = "-DX"


CHANGES: Sequence[Callable[[Trial], None]] = (
    _header, _content, _mode, _link, _folder, _environment,
)  # fmt: skip


def stale(trial: Trial, change: Callable[[Trial], None]) -> bool:
    """Return whether a run is a hit although an input has changed."""
    (trial.reach / "tool").write_text("x")
    (trial.reach / "link").symlink_to("configure")
    trial.run()
    change(trial)
    trial.run()
    return trial.calls == 1


@pytest.mark.parametrize("change", CHANGES)
def test_changed_input_is_a_miss(trial: Trial, change: Callable[[Trial], None]) -> None:
    """A new file, a changed content, mode, link, directory or variable is a miss of runcache."""
    assert not stale(trial, change)


# Faults in runcache, and the change that runcache overlooks with each of them.
MUTANTS = {
    "content": ("return total.digest()", 'return b""', _content),
    "mode": ("name, found.st_mode, what", "name, 0, what", _mode),
    "link": ("what = os.fsencode(Path(os.fsdecode(name)).readlink())", "pass", _link),
    "names": ("sorted(set(names))", "[n for n in names if n.endswith(b'configure')]", _header),
    "environment": ("if not word.startswith(FREE)", "if False", _environment),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_planted_fault_is_detected(tmp_path: Path, fault: str) -> None:
    """A runcache with a planted fault has a hit after a change of an input."""
    text = (LAUNCHERS / "runcache.py").read_text()
    before, after, change = MUTANTS[fault]
    assert text.count(before) == 1
    (tmp_path / "runcache.py").write_text(text.replace(before, after))
    (tmp_path / "depcache.py").write_bytes((LAUNCHERS / "depcache.py").read_bytes())
    assert stale(Trial(tmp_path / "trial", tmp_path / "runcache.py"), change)


def test_arguments_and_directory_are_in_the_key(trial: Trial) -> None:
    """Other arguments, another split of them and another directory are misses of runcache."""
    trial.run("--a", "b")
    trial.run("--a b")
    trial.run("--a", "b", within="deeper")
    assert trial.calls == 3


def test_order_of_the_input_list_is_ignored(trial: Trial) -> None:
    """The order in which a file system lists the input files has no effect on runcache."""
    names = [*trial.reach.rglob("*")]
    trial.run(names=names)
    trial.run(names=[*reversed(names), *names])
    assert trial.calls == 1


def test_variables_of_the_cache_are_ignored(trial: Trial) -> None:
    """The cache directory and the container's host name are not inputs of runcache."""
    trial.run()
    trial.environment = {"CCACHE_DIR": "/elsewhere", "HOSTNAME": "other"}
    trial.run()
    assert trial.calls == 1


def test_failures_are_not_cached(trial: Trial) -> None:
    """A command that fails under runcache gives its own status and output, and is not cached."""
    (trial.reach / "fail").touch()
    assert trial.run() == 3
    assert (trial.work / "config.log").read_text() == "no\n"
    assert trial.run() == 3
    assert trial.calls == 2
    assert trial.log == ["bypass configure"] * 2


def test_nonempty_directory_bypasses_the_cache(trial: Trial) -> None:
    """Runcache runs the command in a directory that has files, as they may be inputs."""
    for _ in range(2):
        trial.work = trial.directory
        subprocess.run(
            [sys.executable, "-IS", str(trial.tool), str(trial.configure)],
            input=b"",
            cwd=trial.reach,
            env={"PATH": os.environ["PATH"], "CALLS": str(trial.directory / "calls"),
                 "REACH": str(trial.reach), "DEPCACHE_DIR": str(trial.directory / "store")},
            capture_output=True,
            check=True,
        )  # fmt: skip
    assert trial.calls == 2


def test_disable_variable_bypasses_the_cache(trial: Trial) -> None:
    """With DEPCACHE_DISABLE=1, runcache runs each command and stores nothing."""
    trial.environment["DEPCACHE_DISABLE"] = "1"
    trial.run()
    trial.run()
    assert trial.calls == 2
    assert trial.log == ["bypass configure"] * 2


def test_truncated_result_is_a_miss(trial: Trial) -> None:
    """A truncated result is a miss of runcache."""
    trial.run()
    for path in (trial.directory / "store").rglob("*"):
        if path.is_file() and path.stat().st_size > 300:
            path.write_bytes(path.read_bytes()[:-9])
    assert trial.run() == 0
    assert trial.calls == 2
    assert "config.h" in str(trial.left())


def test_unwritable_cache_does_not_fail_the_command(trial: Trial) -> None:
    """A command succeeds under runcache if its result cannot be stored."""
    (trial.directory / "store").write_text("a file")
    assert trial.run() == 0
    assert trial.log == ["bypass configure"]


def test_vanished_input_is_not_cached(trial: Trial) -> None:
    """If a listed input vanishes, runcache runs the command and stores nothing."""
    assert trial.run(names=[trial.reach / "gone"]) == 0
    assert trial.log == ["bypass configure"]


def test_call_without_a_command_prints_help(trial: Trial) -> None:
    """Without a command, runcache prints its help."""
    done = subprocess.run(
        [sys.executable, str(trial.tool)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "find /usr /etc -print0 | runcache.py" in done.stderr


def test_both_programs_have_one_version(trial: Trial) -> None:
    """Depcache and runcache print the same version."""
    tools = (trial.tool, trial.tool.with_name("depcache.py"))
    printed = [
        subprocess.check_output([sys.executable, "-IS", str(tool), "--version"], text=True)
        for tool in tools
    ]
    assert [line.split()[0] for line in printed] == ["runcache", "depcache"]
    assert len({line.split()[1] for line in printed}) == 1
