"""The keeper of what configure leaves, called as the recipe calls it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

LAUNCHERS = Path(__file__).parents[1] / "src"

# A configure: it looks for a header, and leaves a file, a link, a program and words.
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
    """A folder with a configure, what it can reach, and a store."""

    folder: Path
    tool: Path = LAUNCHERS / "runcache.py"
    environment: dict[str, str] = field(default_factory=dict)
    runs: int = 0
    out: str = ""
    err: str = ""
    work: Path = Path()

    def __post_init__(self) -> None:
        """Write configure."""
        self.reach = self.folder / "reach"
        (self.reach / "include").mkdir(parents=True)
        self.configure = self.reach / "configure"
        self.configure.write_text(CONFIGURE)
        self.configure.chmod(0o755)

    @property
    def calls(self) -> int:
        """How often configure itself has run."""
        file = self.folder / "calls"
        return len(file.read_text().splitlines()) if file.exists() else 0

    @property
    def log(self) -> list[str]:
        """What the tool said of its calls."""
        return (self.folder / "log").read_text().splitlines()

    def run(self, *words: str, within: str = "", names: Iterable[Path] | None = None) -> int:
        """Call configure through the tool, in an empty folder."""
        self.runs += 1
        self.work = self.folder / "work" / within
        subprocess.run(["rm", "-rf", self.folder / "work"], check=True)
        self.work.mkdir(parents=True)
        listed = self.reach.rglob("*") if names is None else names
        done = subprocess.run(
            [sys.executable, "-IS", str(self.tool), str(self.configure), *words],
            input=b"".join(os.fsencode(name) + b"\0" for name in listed),
            cwd=self.work,
            env={
                "PATH": os.environ["PATH"],
                "CALLS": str(self.folder / "calls"),
                "REACH": str(self.reach),
                "DEPCACHE_DIR": str(self.folder / "store"),
                "DEPCACHE_LOG": str(self.folder / "log"),
                **self.environment,
            },
            capture_output=True,
            check=False,
        )
        self.out, self.err = done.stdout.decode(), done.stderr.decode()
        return done.returncode

    def left(self) -> dict[str, tuple[int, str]]:
        """Return what is in the working folder: mode, and content or target."""
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


def test_second_run_leaves_and_says_the_same(trial: Trial) -> None:
    """Files, links, modes, empty folders and both streams come back without a run."""
    assert trial.run("--with") == 0
    first = (trial.left(), trial.out, trial.err)
    assert trial.run("--with") == 0
    assert (trial.left(), trial.out, trial.err) == first
    assert first[1:] == ("looking\n", "warned\n")
    assert trial.calls == 1
    assert trial.log == ["miss configure", "hit configure"]


def test_files_come_back_as_new(trial: Trial) -> None:
    """What make has built from must not be older than what it builds from it."""
    trial.run()
    source = trial.folder / "source"
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
    """Whether a run is answered from the store though something has changed."""
    (trial.reach / "tool").write_text("x")
    (trial.reach / "link").symlink_to("configure")
    trial.run()
    change(trial)
    trial.run()
    return trial.calls == 1


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_within_reach_runs_it_again(trial: Trial, change: Callable[[Trial], None]) -> None:
    """A file that comes, changes its content, mode or target; a folder; a variable."""
    assert not stale(trial, change)


# Faults, and the change that each of them makes the tool overlook.
MUTANTS = {
    "content": ("return total.digest()", 'return b""', _content),
    "mode": ("name, found.st_mode, what", "name, 0, what", _mode),
    "link": ("what = os.fsencode(Path(os.fsdecode(name)).readlink())", "pass", _link),
    "names": ("sorted(set(names))", "[n for n in names if n.endswith(b'configure')]", _header),
    "environment": ("if not word.startswith(FREE)", "if False", _environment),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_faulty_tool_is_found(tmp_path: Path, fault: str) -> None:
    """Each planted fault makes the property above fail."""
    text = (LAUNCHERS / "runcache.py").read_text()
    before, after, change = MUTANTS[fault]
    assert text.count(before) == 1
    (tmp_path / "runcache.py").write_text(text.replace(before, after))
    (tmp_path / "depcache.py").write_bytes((LAUNCHERS / "depcache.py").read_bytes())
    assert stale(Trial(tmp_path / "trial", tmp_path / "runcache.py"), change)


def test_words_and_folder_are_part_of_the_key(trial: Trial) -> None:
    """Another option, the same words cut elsewhere, another folder."""
    trial.run("--a", "b")
    trial.run("--a b")
    trial.run("--a", "b", within="deeper")
    assert trial.calls == 3


def test_order_of_names_is_none(trial: Trial) -> None:
    """A folder is listed in the order of its file system."""
    names = [*trial.reach.rglob("*")]
    trial.run(names=names)
    trial.run(names=[*reversed(names), *names])
    assert trial.calls == 1


def test_caches_own_variables_change_nothing(trial: Trial) -> None:
    """Where a cache is and what a container is called are no inputs."""
    trial.run()
    trial.environment = {"CCACHE_DIR": "/elsewhere", "HOSTNAME": "other"}
    trial.run()
    assert trial.calls == 1


def test_failure_is_passed_on_and_not_kept(trial: Trial) -> None:
    """The code and the log are those of the command; the next run is a run."""
    (trial.reach / "fail").touch()
    assert trial.run() == 3
    assert (trial.work / "config.log").read_text() == "no\n"
    assert trial.run() == 3
    assert trial.calls == 2
    assert trial.log == ["bypass configure"] * 2


def test_working_folder_with_files_is_left_to_the_command(trial: Trial) -> None:
    """What is there already may be an input."""
    for _ in range(2):
        trial.work = trial.folder
        subprocess.run(
            [sys.executable, "-IS", str(trial.tool), str(trial.configure)],
            input=b"",
            cwd=trial.reach,
            env={"PATH": os.environ["PATH"], "CALLS": str(trial.folder / "calls"),
                 "REACH": str(trial.reach), "DEPCACHE_DIR": str(trial.folder / "store")},
            capture_output=True,
            check=True,
        )  # fmt: skip
    assert trial.calls == 2


def test_disabled(trial: Trial) -> None:
    """The variable of the other launcher switches it off, too."""
    trial.environment["DEPCACHE_DISABLE"] = "1"
    trial.run()
    trial.run()
    assert trial.calls == 2
    assert trial.log == ["bypass configure"] * 2


def test_damaged_result_is_run_past(trial: Trial) -> None:
    """A file of the store that lost its end is none."""
    trial.run()
    for path in (trial.folder / "store").rglob("*"):
        if path.is_file() and path.stat().st_size > 300:
            path.write_bytes(path.read_bytes()[:-9])
    assert trial.run() == 0
    assert trial.calls == 2
    assert "config.h" in str(trial.left())


def test_store_that_cannot_be_written(trial: Trial) -> None:
    """The command has done its work."""
    (trial.folder / "store").write_text("a file")
    assert trial.run() == 0
    assert trial.log == ["bypass configure"]


def test_name_that_is_gone(trial: Trial) -> None:
    """Something that vanished while it was listed: the command runs, nothing is kept."""
    assert trial.run(names=[trial.reach / "gone"]) == 0
    assert trial.log == ["bypass configure"]


def test_no_command_is_explained(trial: Trial) -> None:
    """Without a command there is help."""
    done = subprocess.run(
        [sys.executable, str(trial.tool)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "find /usr /etc -print0 | runcache.py" in done.stderr
