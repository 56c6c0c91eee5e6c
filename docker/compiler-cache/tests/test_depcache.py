"""Tests of depcache, called as a build calls it, with a compiler that counts its calls."""

import importlib.util
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import ModuleType

import pytest

LAUNCHER = Path(__file__).parents[1] / "src" / "depcache.py"
README = Path(__file__).parents[1] / "README.md"

# An assembler that copies the source and its includes, and lists them for -MD and on stderr.
NASM = f"""#!{sys.executable}
import os, sys
from pathlib import Path
words = sys.argv[1:]
with open(os.environ["CALLS"], "a") as calls:
    calls.write("".join(word for word in words if word.endswith(".asm")) + "\\n")
directories, source, output, depfile = [""], "", "", ""
rest = iter(words)
for word in rest:
    if word in ("-o", "-MD", "-f"):
        value = next(rest)
        output = value if word == "-o" else output
        depfile = value if word == "-MD" else depfile
    elif word.startswith("-I"):
        directories.append(word[2:])
    elif not word.startswith("-"):
        source = word
seen = []
def read(name):
    path = next((Path(f, name) for f in directories if Path(f, name).is_file()), None)
    if path is None:
        sys.exit(f"{{name}}: no such file")
    seen.append(str(path))
    text = ""
    for line in path.read_text().splitlines():
        text += read(line.split('"')[1]) if line.startswith("%include") else line + "\\n"
    return text
text = read(source)
if "%error" in text:
    sys.exit(3)
if "%warning" in text:
    print("warned", file=sys.stderr)
Path(output).write_text(text + " ".join(words[:2]))
if depfile:
    names = [name.replace(" ", "\\\\ ") for name in seen]
    Path(depfile).write_text(f"{{output}} : " + " \\\\\\n  ".join(names) + "\\n\\n")
"""


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("depcache", LAUNCHER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


depcache = _module()


def replace_once(content: bytes, old: bytes, new: bytes) -> bytes:
    """Replace bytes that occur once."""
    assert content.count(old) == 1
    return content.replace(old, new)


class Bench:
    """A source tree, a compiler and a cache."""

    def __init__(self, directory: Path) -> None:
        """Write a source that includes a file, and put depcache in front of the compiler."""
        self.tree, self.store = directory / "tree", directory / "store"
        self.launchers, self.programs = directory / "launchers", directory / "programs"
        for path in (self.tree / "inc", self.launchers, self.programs):
            path.mkdir(parents=True)
        self.calls, self.log = directory / "calls", directory / "log"
        self.program("nasm", NASM)
        (self.launchers / "nasm").symlink_to(LAUNCHER)
        self.environment = {
            "PATH": f"{self.launchers}:{self.programs}:{os.environ['PATH']}",
            "CALLS": str(self.calls),
            "DEPCACHE_DIR": str(self.store),
            "DEPCACHE_TEMP": str(directory / "temp"),
            "DEPCACHE_LOG": str(self.log),
        }
        self.write("a.asm", '%include "b.inc"\nmov')
        self.write("inc/b.inc", "one")

    def program(self, name: str, text: str) -> None:
        """Put a program on PATH."""
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def write(self, name: str, text: str) -> None:
        """Write an input with a date one second ago, as newer inputs are not cached."""
        (self.tree / name).write_text(text)
        self.settle()

    def settle(self) -> None:
        """Wait until the file system's clock has advanced, as its resolution is coarse."""
        time.sleep(0.02)

    def run(self, *words: str, name: str = "nasm") -> subprocess.CompletedProcess[str]:
        """Call depcache under the name of a compiler."""
        words = words or ("-f", "elf64", "-Iinc", "-MD", "a.d", "-o", "a.o", "a.asm")
        return subprocess.run(
            [sys.executable, "-IS", str(self.launchers / name), *words],
            cwd=self.tree,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def outcomes(self) -> list[str]:
        """Return the logged result of each call."""
        return [line.split()[0] for line in self.log.read_text().splitlines()]

    @property
    def compiles(self) -> int:
        """Return how often the compiler compiled, without depcache's own queries."""
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        return sum(not call.startswith("/") for call in calls)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Yield a bench, and check afterwards that no temporary file is left."""
    yield Bench(tmp_path)
    leftovers = [*tmp_path.rglob("*.part")]
    assert not leftovers


def test_hit_has_the_same_results(bench: Bench) -> None:
    """A hit of depcache gives the miss's output, list of inputs and warnings, without a compile."""
    bench.write("a.asm", '%include "b.inc"\n%warning')
    first = bench.run()
    made = {name: (bench.tree / name).read_bytes() for name in ("a.o", "a.d")}
    for name in made:
        (bench.tree / name).unlink()
    again = bench.run()
    assert bench.compiles == 1
    assert {name: (bench.tree / name).read_bytes() for name in made} == made
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "warned\n")
    assert bench.outcomes() == ["miss", "hit"]


def test_inputs_are_tracked_without_md(bench: Bench) -> None:
    """Depcache compiles again after an edit of an include, although the call has no -MD."""
    words = ("-f", "elf64", "-Iinc", "-o", "a.o", "a.asm")
    bench.run(*words)
    bench.write("inc/b.inc", "two")
    bench.run(*words)
    assert bench.compiles == 2
    assert "two" in (bench.tree / "a.o").read_text()
    assert not list(bench.tree.glob("*.d"))


@pytest.mark.parametrize("edited", ["a.asm", "inc/b.inc"])
def test_both_versions_of_a_file_are_cached(bench: Bench, edited: str) -> None:
    """Depcache compiles each of two versions of a file once, however often they alternate."""
    before = (bench.tree / edited).read_text()
    for text in (before, before + "\nnop", before, before + "\nnop"):
        bench.write(edited, text)
        bench.run()
        assert ("nop" in (bench.tree / "a.o").read_text()) == ("nop" in text)
    assert bench.outcomes() == ["miss", "miss", "hit", "hit"]


def test_new_file_earlier_in_the_include_path_is_a_miss(bench: Bench) -> None:
    """A new file that the compiler finds before an unchanged include is a miss of depcache."""
    bench.run()
    bench.write("b.inc", "other")
    bench.run()
    assert bench.compiles == 2
    assert "other" in (bench.tree / "a.o").read_text()


@pytest.mark.parametrize("changed", ["compiler", "words", "directory", "format"])
def test_compiler_arguments_and_directory_are_in_the_key(bench: Bench, changed: str) -> None:
    """Another compiler, other arguments and another directory are misses of depcache."""
    bench.run()
    if changed == "compiler":
        bench.program("nasm", NASM + "\n# newer\n")
        bench.run()
    elif changed == "words":
        bench.run("-f", "elf32", "-Iinc", "-o", "a.o", "a.asm")
    elif changed == "directory":
        shutil.copytree(bench.tree, bench.tree.parent / "copy")
        bench.tree = bench.tree.parent / "copy"
        bench.settle()
        bench.run()
    else:
        text = LAUNCHER.read_text().replace(depcache.FORMAT, "depcache 0")
        (bench.launchers / "nasm").unlink()
        (bench.launchers / "nasm").write_text(text)
        bench.environment["PATH"] = f"{bench.programs}:{os.environ['PATH']}"
        bench.run()
    assert bench.compiles == 2


def test_incomplete_list_of_inputs_is_not_cached(bench: Bench) -> None:
    """Depcache caches no assembler whose -MD lists only the source, such as NASM 2.16.01."""
    bench.program("nasm", NASM.replace("name in seen]", "name in seen[:1]]"))
    assert [bench.run().returncode for _ in range(2)] == [0, 0]
    assert bench.outcomes() == ["bypass", "bypass"]
    assert not bench.store.exists()


def test_query_of_the_assembler_ignores_the_working_directory(bench: Bench) -> None:
    """Calls in a working directory that has a `b.inc` are cached, as in any other."""
    bench.write("b.inc", "other")
    assert [bench.run().returncode for _ in range(2)] == [0, 0]
    assert bench.outcomes() == ["miss", "hit"]


def test_failures_are_not_cached(bench: Bench) -> None:
    """Depcache does not cache a failed compile, which fails again with the same status."""
    bench.write("inc/b.inc", "%error")
    assert [bench.run().returncode for _ in range(2)] == [3, 3]
    assert not any(path.is_file() for path in bench.store.rglob("*"))
    bench.write("inc/b.inc", "fine")
    assert bench.run().returncode == 0


@pytest.mark.parametrize("unsafe", ["__DATE__", "__?TIME?__", "%!HOME", "%pathsearch x 'y'"])
def test_uncacheable_inputs_are_compiled_each_time(bench: Bench, unsafe: str) -> None:
    """Depcache compiles a source that uses the time or an environment variable each time."""
    bench.write("inc/b.inc", unsafe)
    assert [bench.run().returncode for _ in range(2)] == [0, 0]
    assert bench.outcomes() == ["uncacheable", "uncacheable"]


@pytest.mark.parametrize(
    "words",
    [
        ("-v",),
        ("-f", "elf64", "a.asm"),
        ("-f", "elf64", "-o", "a.o", "a.asm", "b.asm"),
        ("-f", "elf64", "-l", "a.lst", "-o", "a.o", "a.asm"),
        ("-f", "elf64", "-o", "a.o", "@words"),
        ("-f", "elf64", "-o", "/dev/null", "a.asm"),
        ("-f", "elf64", "-MD", "a.d", "-MF", "b.d", "-o", "a.o", "a.asm"),
        ("-f", "elf64", "-E", "-o", "a.i", "a.asm"),
    ],
)
def test_unknown_arguments_bypass_the_cache(bench: Bench, words: tuple[str, ...]) -> None:
    """Depcache passes a call with an unknown argument on unchanged, and does not cache it."""
    bench.run(*words)
    assert bench.outcomes() == ["bypass"]
    assert bench.compiles == 1
    assert not bench.store.exists()


def test_damaged_results_are_compiled_again(bench: Bench) -> None:
    """A truncated or overwritten result of depcache is compiled again and replaced."""
    bench.run()
    good = (bench.tree / "a.o").read_bytes()
    for damage in (b"", b"result\nin\n", b"\xff\x00 damaged"):
        for path in [path for path in bench.store.rglob("*") if path.is_file()]:
            path.write_bytes(damage)
        (bench.tree / "a.o").unlink()
        assert bench.run().returncode == 0
        assert (bench.tree / "a.o").read_bytes() == good
    bench.run()
    assert bench.outcomes()[-1] == "hit"


def test_manifest_without_one_of_the_inputs_is_ignored(bench: Bench) -> None:
    """Depcache compiles again if a manifest lost a line, as the result may be of another input."""
    bench.run()
    for path in [path for path in bench.store.rglob("*") if path.is_file()]:
        lines = path.read_bytes().split(b"\n")
        if lines[0].startswith(b"result "):
            path.write_bytes(b"\n".join(line for line in lines if b"b.inc" not in line))
    bench.write("inc/b.inc", "changed\n")
    bench.run()
    assert bench.outcomes() == ["miss", "miss"]


def test_unwritable_cache_does_not_fail_the_build(bench: Bench) -> None:
    """Depcache compiles without an error if a file is in the place of its cache directory."""
    bench.store.write_text("")
    assert bench.run().returncode == 0
    assert (bench.tree / "a.o").exists()
    assert bench.outcomes() == ["bypass"]


def test_input_changed_during_the_compile_is_not_cached(bench: Bench) -> None:
    """Depcache does not cache the result of an input that changes during the compile."""
    late = "import os; os.utime('inc/b.inc')\n"
    bench.program("nasm", NASM + late)
    bench.run()
    assert bench.outcomes() == ["uncacheable"]


def test_concurrent_calls_get_complete_results(bench: Bench) -> None:
    """Concurrent calls of depcache with one cache all get the right output."""
    for n in range(8):
        bench.write(f"{n}.asm", f'%include "b.inc"\n{n}')
    command = [sys.executable, "-IS", str(bench.launchers / "nasm"), "-f", "elf64", "-Iinc"]
    for _ in range(2):
        running = [
            subprocess.Popen(
                [*command, "-o", f"{n}-{copy}.o", f"{n}.asm"],
                cwd=bench.tree,
                env=bench.environment,
            )
            for n in range(8)
            for copy in range(2)
        ]
        assert [process.wait() for process in running] == [0] * 16
    for n in range(8):
        for copy in range(2):
            assert f"one\n{n}\n" in (bench.tree / f"{n}-{copy}.o").read_text()
    assert bench.outcomes()[16:] == ["hit"] * 16


def test_least_recently_used_results_are_evicted(tmp_path: Path) -> None:
    """The cache of depcache stays below its limit, and recently used results stay in it."""
    for age, name in enumerate(["new", "middle", "old"]):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    store = depcache.Store(str(tmp_path))
    store.trim(300)
    assert len(store.files()) == 3
    store.trim(250)
    assert {Path(name).name for _, _, name in store.files()} == {"new", "middle"}


def test_stale_temporary_files_are_removed(tmp_path: Path) -> None:
    """Depcache removes temporary files of processes that ended, and no file being written."""
    for name, age in {"dead.part": 7200, "alive.part": 0}.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    depcache.Store(str(tmp_path)).trim(1000)
    assert [path.name for path in tmp_path.iterdir()] == ["alive.part"]


def test_disable_variable_calls_the_compiler(bench: Bench) -> None:
    """With DEPCACHE_DISABLE=1, depcache calls the compiler directly."""
    bench.environment["DEPCACHE_DISABLE"] = "1"
    bench.run()
    bench.run()
    assert bench.compiles == 2
    assert not bench.store.exists()


def test_two_installations_do_not_call_each_other(bench: Bench) -> None:
    """A depcache in the build and one on the machine do not call each other."""
    other = bench.launchers.parent / "other"
    other.mkdir()
    shutil.copy2(LAUNCHER, other / "depcache.py")
    (other / "nasm").symlink_to("depcache.py")
    path = bench.environment["PATH"]
    bench.environment["PATH"] = f"{bench.launchers}:{other}:{path}"
    assert bench.run().returncode == 0
    assert bench.outcomes() == ["miss"]


def test_install_replaces_an_earlier_installation(bench: Bench) -> None:
    """Depcache --install writes one bytecode archive, and replaces an earlier installation."""
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-IS", LAUNCHER, "--install", bench.launchers, "nasm", "nvcc"],
            check=True,
            capture_output=True,
        )
        assert not done.stdout + done.stderr
    assert {path.name for path in bench.launchers.iterdir()} == {"depcache.pyz", "nasm", "nvcc"}
    assert os.access(bench.launchers / "nasm", os.X_OK)
    for outcomes in (["miss"], ["miss", "hit"]):
        assert bench.run().returncode == 0
        assert bench.outcomes() == outcomes
    assert bench.compiles == 1


def test_one_file_is_usable_elsewhere(bench: Bench, tmp_path: Path) -> None:
    """The README's commands pack depcache into one file, which runs and installs itself alone."""
    section = README.read_text().partition("into one file")[2]
    pack, version, install = section.split("```")[1].splitlines()[1:]

    def run(command: str, directory: Path) -> str:
        words = [sys.executable, "-IS", *shlex.split(command.replace("~", str(tmp_path)))]
        return subprocess.check_output(words, cwd=directory, text=True)

    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for directory in (here, elsewhere):
        directory.mkdir()
    shutil.copytree(LAUNCHER.parent, here / "src")
    assert not run(pack, here)
    assert [path.name for path in (here / "dist").iterdir()] == ["depcache.pyz"]
    (here / "dist").rename(elsewhere / "dist")
    shutil.rmtree(here)
    assert run(version, elsewhere) == f"depcache {depcache.__version__}\n"
    assert not run(install, elsewhere)
    assert (bench.launchers / "nasm").resolve().name == "depcache.pyz"
    assert [bench.run().returncode for _ in range(2)] == [0, 0]
    assert bench.outcomes() == ["miss", "hit"]


def test_archive_runs_its_bytecode_or_else_its_source(bench: Bench) -> None:
    """Python runs the bytecode of its own version, which is faster, and otherwise the source."""
    command = [sys.executable, "-IS", LAUNCHER, "--install", bench.launchers]
    subprocess.run(command, check=True)
    archive = bench.launchers / "depcache.pyz"
    for magic, expected in ((MAGIC_NUMBER, depcache.__version__), (bytes(4), "9.9.9")):
        line = f'__version__ = "{depcache.__version__}"'.encode()
        content = replace_once(archive.read_bytes(), line, b'__version__ = "9.9.9"')
        changed = archive.with_name("depcache-changed.pyz")
        changed.write_bytes(replace_once(content, MAGIC_NUMBER, magic))
        version = bench.run("--version", name=changed.name).stdout
        assert version == f"depcache {expected}\n"


def test_missing_compiler_has_the_status_of_a_shell(bench: Bench) -> None:
    """Depcache returns the status 127, as a shell does, for a compiler that is not installed."""
    (bench.programs / "nasm").unlink()
    bench.environment["PATH"] = str(bench.launchers)
    done = bench.run()
    assert done.returncode == 127
    assert done.stderr == "depcache: no program nasm on PATH\n"


def test_own_name_prints_help_and_statistics(bench: Bench) -> None:
    """Called by its own name, depcache prints its help and statistics, and clears its cache."""

    def own(*words: str) -> subprocess.CompletedProcess[str]:
        (bench.launchers / "depcache.py").unlink(missing_ok=True)
        (bench.launchers / "depcache.py").symlink_to(LAUNCHER)
        return bench.run(*words, name="depcache.py")

    assert own("--help").returncode == 2
    assert own("nasm", "-f", "elf64", "-Iinc", "-o", "a.o", "a.asm").returncode == 0
    assert "2 files" in own("--stats").stdout
    assert own("--evict-older-than", "60s").returncode == 0
    assert "2 files" in own("--stats").stdout
    assert own("--evict-older-than", "7 weeks").returncode == 2
    old = next(path for path in bench.store.rglob("*") if path.is_file())
    os.utime(old, (0, time.time() - 61))
    assert own("--evict-older-than", "60s").returncode == 0
    assert not old.exists()
    assert "1 files" in own("--stats").stdout
    assert own("--clear").returncode == 0
    assert "0 files" in own("--stats").stdout


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("a.o : a.asm b.inc\n\n", ["a.asm", "b.inc"]),
        ("a.o: a.asm \\\n  b\\ c.inc\n", ["a.asm", "b c.inc"]),
        ("a$$1.o : a\\#b.asm\nb.inc:\n", ["a#b.asm"]),
        ("a.o : a.cu \\\n    /usr/a.h \\\r\n    /usr/b.h\n", ["a.cu", "/usr/a.h", "/usr/b.h"]),
    ],
)
def test_dependency_files_are_read_as_make_reads_them(rule: str, names: list[str]) -> None:
    """Depcache reads a dependency file as make does: spaces, dollars, hashes, continued lines."""
    assert depcache.dependencies(rule) == names


def test_malformed_dependency_file_is_not_cached() -> None:
    """Depcache does not cache a result whose list of inputs cannot be read."""
    with pytest.raises(depcache.BypassError):
        depcache.dependencies("not a rule")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (depcache.Nvcc, "-c a.cu -o a.o"),
        (depcache.Nvcc, "--fatbin a.cu"),
        (depcache.Nvcc, "--fatbin a.cu -o a.fatbin -keep"),
        (depcache.Nvcc, "--fatbin a.cu -o a.fatbin -MD"),
        (depcache.Nvcc, "--fatbin a.cu b.cu -o a.fatbin"),
        (depcache.Nvcc, "--fatbin a.ptx -o a.fatbin"),
        (depcache.Nvcc, "--fatbin a.cu -odir out"),
        (depcache.Nvcc, "--fatbin -arch=native a.cu -o a.fatbin"),
        (depcache.Nvcc, "--fatbin --gpu-architecture native a.cu -o a.fatbin"),
        (depcache.Hipcc, "-c a.hip -o a.o"),
        (depcache.Hipcc, "--genco a.hip -o a.co"),
        (depcache.Hipcc, "--genco --offload-arch=native a.hip -o a.co"),
        (depcache.Hipcc, "--genco --offload-arch=gfx90a -save-temps a.hip -o a.co"),
        (depcache.Hipcc, "--genco --offload-arch=gfx90a -Wp,-MD,x a.hip -o a.co"),
    ],
)
def test_unsupported_calls_for_gpus_bypass_the_cache(
    command: Callable[..., object], arguments: str
) -> None:
    """Calls for host code, several outputs, other files or the machine's GPU bypass depcache."""
    with pytest.raises(depcache.BypassError):
        command("/usr/bin/compiler", arguments.split())


@pytest.mark.parametrize("cicc", ["cicc", '"$CICC_PATH/cicc"'], ids=["CUDA 12", "CUDA 13"])
def test_programs_of_nvcc_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cicc: str
) -> None:
    """Depcache finds the programs of nvcc, which CUDA 13 names by a variable, and its bitcode."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for directory in ("nvvm", "bitcode"):
        (tmp_path / directory).mkdir()
    (tmp_path / "bitcode" / "libdevice.bc").write_text("bitcode")
    dryrun = f"""#$ CICC_PATH={tmp_path}/nvvm
#$ NVVMIR_LIBRARY_DIR={tmp_path}/bitcode
#$ PATH={tmp_path}/nvvm:{tmp_path}
#$ {cicc} --c++17 "a.cu"
#$ ptxas -arch=sm_75 "a.ptx"
"""
    programs = {"nvcc": f"cat >&2 <<'end'\n{dryrun}end\n", "nvvm/cicc": "", "ptxas": ""}
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}")
        (tmp_path / name).chmod(0o755)
    command = depcache.Nvcc(str(tmp_path / "nvcc"), ["--fatbin", "-o", "a.fatbin", "a.cu"])
    tools = list(command.tools(depcache.ToolMemo(str(tmp_path / "memo"))))
    names = ["nvcc", "bitcode/libdevice.bc", "nvvm/cicc", "ptxas"]
    assert tools == [str(tmp_path / name) for name in names]


def test_arguments_of_the_builds_are_supported() -> None:
    """Depcache parses the compiler calls of libvmaf, its fork and FFmpeg as intended."""
    words = "-f elf64 -I./ -Isrc/ -Pconfig.asm -MD x.d -o x.o x.asm"
    nasm = depcache.Nasm("nasm", words.split())
    assert (nasm.source, nasm.output, nasm.depfile) == ("x.asm", "x.o", "x.d")
    words = "--fatbin -gencode=arch=compute_75,code=sm_75 a.cu -o a.f -I ./src -DX"
    nvcc = depcache.Nvcc("nvcc", words.split())
    assert (nvcc.source, nvcc.output, nvcc.directories) == ("a.cu", "a.f", ["./src"])
    words = "-gencode arch=compute_60,code=sm_60 -O2 -std=c++11 -m64 -ptx -c -o a.ptx a.cu"
    assert depcache.Nvcc("nvcc", words.split()).output == "a.ptx"
    words = "--genco --offload-arch=gfx90a -O3 -I x -o a.co a.hip"
    hipcc = depcache.Hipcc("hipcc", words.split())
    assert (hipcc.source, hipcc.targets) == ("a.hip", ["--offload-arch=gfx90a"])


@pytest.mark.parametrize("option", ["-std", "--std", "--gpu-architecture", "--ptxas-options"])
def test_value_of_an_option_may_be_the_next_argument(option: str) -> None:
    """The value of nvcc's options may be a part of them, or the next argument."""
    for words in ([option, "x"], [f"{option}=x"]):
        call = depcache.Nvcc("/usr/bin/nvcc", ["--fatbin", *words, "a.cu", "-o", "a.fatbin"])
        assert call.source == "a.cu"


class Shared:
    """A store that two machines share, as remote.py offers it on loopback."""

    def __init__(self) -> None:
        """Listen on a free port."""
        values: dict[str, bytes] = {}
        self.values = values

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                value = values.get(self.path)
                self.protocol_version = "HTTP/1.1"
                self.send_response_only(404 if value is None else 200)
                self.send_header("Content-Length", str(len(value or b"")))
                self.end_headers()
                self.wfile.write(value or b"")

            def do_PUT(self) -> None:
                values[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response_only(201)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def shared(bench: Bench) -> Iterator[Shared]:
    """Give depcache a remote store."""
    made = Shared()
    bench.environment["DEPCACHE_REMOTE"] = made.url
    yield made
    made.server.shutdown()
    made.server.server_close()


def forget(bench: Bench) -> None:
    """Remove the local store, the object and the list of inputs, as on another machine."""
    shutil.rmtree(bench.store)
    for name in ("a.o", "a.d"):
        (bench.tree / name).unlink()


def test_remote_result_is_a_hit_and_stored_here(bench: Bench, shared: Shared) -> None:
    """A result of the remote store is a hit, also for a later call without that store."""
    bench.run()
    first = [(bench.tree / name).read_bytes() for name in ("a.o", "a.d")]
    forget(bench)
    bench.run()
    assert [(bench.tree / name).read_bytes() for name in ("a.o", "a.d")] == first
    shared.values.clear()
    bench.run()
    assert bench.outcomes() == ["miss", "hit", "hit"]
    assert bench.compiles == 1


def test_results_of_both_stores_remain(bench: Bench, shared: Shared) -> None:
    """A miss adds its result to the ones that the remote store has."""
    bench.run()
    forget(bench)
    bench.write("inc/b.inc", "two")
    bench.run()
    forget(bench)
    bench.run()
    bench.write("inc/b.inc", "one")
    bench.run()
    assert bench.outcomes() == ["miss", "miss", "hit", "hit"]
    assert len(shared.values) == 3


@pytest.mark.parametrize("fault", ["gone", "damaged", "half", "path"])
def test_faults_of_the_remote_store_are_misses(bench: Bench, shared: Shared, fault: str) -> None:
    """Without the remote store, or with damaged contents, depcache compiles."""
    bench.run()
    forget(bench)
    if fault == "gone":
        shared.server.shutdown()
        shared.server.server_close()
    for name, value in shared.values.items():
        if fault == "path" and value.startswith(b"result "):
            shared.values[name] = b"result ../../../a" + value[value.index(b"\n") :]
        elif fault != "path":
            shared.values[name] = value[:-9] + (b"x" * 9 if fault == "damaged" else b"")
    assert bench.run().returncode == 0
    assert (bench.tree / "a.o").exists()
    assert bench.compiles == 2


def test_answer_that_ends_early_is_a_miss() -> None:
    """A manifest that is cut off would lack inputs, so depcache does not use it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(1 << 16)
                link.sendall(b"HTTP/1.1 200 -\r\nContent-Length: 99\r\n\r\nresult 0\n")

        thread = threading.Thread(target=serve)
        thread.start()
        remote = depcache.Remote(f"http://127.0.0.1:{listener.getsockname()[1]}/token")
        assert remote.get("key") is None
        thread.join()
