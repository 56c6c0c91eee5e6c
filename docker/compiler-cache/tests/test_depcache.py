"""The launcher, called as a build calls it, before a compiler that counts its calls."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

LAUNCHER = Path(__file__).parents[1] / "src" / "depcache.py"

# An assembler: copies the source with what it includes, says so to -MD and to stderr.
NASM = f"""#!{sys.executable}
import os, sys
from pathlib import Path
words = sys.argv[1:]
with open(os.environ["CALLS"], "a") as calls:
    calls.write("".join(word for word in words if word.endswith(".asm")) + "\\n")
folders, source, output, depfile = [""], "", "", ""
rest = iter(words)
for word in rest:
    if word in ("-o", "-MD", "-f"):
        value = next(rest)
        output = value if word == "-o" else output
        depfile = value if word == "-MD" else depfile
    elif word.startswith("-I"):
        folders.append(word[2:])
    elif not word.startswith("-"):
        source = word
seen = []
def read(name):
    path = next((Path(f, name) for f in folders if Path(f, name).is_file()), None)
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


class Bench:
    """A source tree, a compiler and a cache of their own."""

    def __init__(self, folder: Path) -> None:
        """Lay out a source that includes another, and the launcher before the compiler."""
        self.tree, self.store = folder / "tree", folder / "store"
        self.launchers, self.programs = folder / "launchers", folder / "programs"
        for path in (self.tree / "inc", self.launchers, self.programs):
            path.mkdir(parents=True)
        self.calls, self.log = folder / "calls", folder / "log"
        self.program("nasm", NASM)
        (self.launchers / "nasm").symlink_to(LAUNCHER)
        self.environment = {
            "PATH": f"{self.launchers}:{self.programs}:{os.environ['PATH']}",
            "CALLS": str(self.calls),
            "DEPCACHE_DIR": str(self.store),
            "DEPCACHE_TEMP": str(folder / "temp"),
            "DEPCACHE_LOG": str(self.log),
        }
        self.write("a.asm", '%include "b.inc"\nmov')
        self.write("inc/b.inc", "one")

    def program(self, name: str, text: str) -> None:
        """Put a program on PATH."""
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def write(self, name: str, text: str) -> None:
        """Write an input, a second ago: what changes during a compile is not kept."""
        (self.tree / name).write_text(text)
        self.settle()

    def settle(self) -> None:
        """Let the clock of the file system go on: a file's times are coarse."""
        time.sleep(0.02)

    def run(self, *words: str, name: str = "nasm") -> subprocess.CompletedProcess[str]:
        """Call the launcher by a compiler's name."""
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
        """Return what became of each call."""
        return [line.split()[0] for line in self.log.read_text().splitlines()]

    @property
    def compiles(self) -> int:
        """How often the compiler was called, but for what the launcher asks it to find out."""
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        return sum(not call.startswith("/") for call in calls)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Yield a bench, and see that no unfinished file is left."""
    yield Bench(tmp_path)
    leftovers = [*tmp_path.rglob("*.part")]
    assert not leftovers


def test_a_second_call_is_answered_alike(bench: Bench) -> None:
    """Output, list of inputs and warnings are those of the first, without a compile."""
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


def test_inputs_are_listed_where_the_caller_does_not_ask(bench: Bench) -> None:
    """An edit of an include is seen without -MD in the call, and no list is left behind."""
    words = ("-f", "elf64", "-Iinc", "-o", "a.o", "a.asm")
    bench.run(*words)
    bench.write("inc/b.inc", "two")
    bench.run(*words)
    assert bench.compiles == 2
    assert "two" in (bench.tree / "a.o").read_text()
    assert not list(bench.tree.glob("*.d"))


@pytest.mark.parametrize("edited", ["a.asm", "inc/b.inc"])
def test_an_edit_is_compiled_and_both_versions_are_kept(bench: Bench, edited: str) -> None:
    """Going back and forth between two versions of a file compiles each once."""
    before = (bench.tree / edited).read_text()
    for text in (before, before + "\nnop", before, before + "\nnop"):
        bench.write(edited, text)
        bench.run()
        assert ("nop" in (bench.tree / "a.o").read_text()) == ("nop" in text)
    assert bench.outcomes() == ["miss", "miss", "hit", "hit"]


def test_a_file_that_takes_an_includes_place_is_seen(bench: Bench) -> None:
    """The include is unchanged, but another of its name now comes first."""
    bench.run()
    bench.write("b.inc", "other")
    bench.run()
    assert bench.compiles == 2
    assert "other" in (bench.tree / "a.o").read_text()


@pytest.mark.parametrize("changed", ["compiler", "words", "folder", "format"])
def test_what_else_makes_an_output_is_in_the_key(bench: Bench, changed: str) -> None:
    """Another compiler, other words, another folder: none of them is answered."""
    bench.run()
    if changed == "compiler":
        bench.program("nasm", NASM + "\n# newer\n")
        bench.run()
    elif changed == "words":
        bench.run("-f", "elf32", "-Iinc", "-o", "a.o", "a.asm")
    elif changed == "folder":
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


def test_an_assembler_that_leaves_includes_out_of_its_lists_is_not_cached(bench: Bench) -> None:
    """As NASM 2.16.01 does: its -MD names the source alone."""
    bench.program("nasm", NASM.replace("name in seen]", "name in seen[:1]]"))
    assert [bench.run().returncode for _ in range(2)] == [0, 0]
    assert bench.outcomes() == ["bypass", "bypass"]
    assert not bench.store.exists()


def test_nothing_is_kept_of_a_failure(bench: Bench) -> None:
    """A failed compile fails again, with its own code, until it is mended."""
    bench.write("inc/b.inc", "%error")
    assert [bench.run().returncode for _ in range(2)] == [3, 3]
    assert not any(path.is_file() for path in bench.store.rglob("*"))
    bench.write("inc/b.inc", "fine")
    assert bench.run().returncode == 0


@pytest.mark.parametrize("unsafe", ["__DATE__", "__?TIME?__", "%!HOME", "%pathsearch x 'y'"])
def test_what_depends_on_more_than_inputs_is_compiled_each_time(bench: Bench, unsafe: str) -> None:
    """The time of day, or a variable, is in no digest."""
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
def test_words_not_known_to_be_safe_go_to_the_compiler(
    bench: Bench, words: tuple[str, ...]
) -> None:
    """They are passed as they are, and nothing is kept."""
    bench.run(*words)
    assert bench.outcomes() == ["bypass"]
    assert bench.compiles == 1
    assert not bench.store.exists()


def test_a_damaged_store_is_no_fault_of_the_build(bench: Bench) -> None:
    """What is cut short or overwritten is compiled again and mended."""
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


def test_a_store_that_cannot_be_written_is_no_fault_of_the_build(bench: Bench) -> None:
    """A file stands where the store's folder should be."""
    bench.store.write_text("")
    assert bench.run().returncode == 0
    assert (bench.tree / "a.o").exists()
    assert bench.outcomes() == ["bypass"]


def test_an_input_that_changes_while_it_is_compiled_is_not_kept(bench: Bench) -> None:
    """Else the old output would be found by the new input."""
    late = "import os; os.utime('inc/b.inc')\n"
    bench.program("nasm", NASM + late)
    bench.run()
    assert bench.outcomes() == ["uncacheable"]


def test_many_at_once_keep_and_find_whole_results(bench: Bench) -> None:
    """Concurrent calls over one store all make the right output."""
    for n in range(8):
        bench.write(f"{n}.asm", f'%include "b.inc"\n{n}')
    command = [sys.executable, "-IS", str(bench.launchers / "nasm"), "-f", "elf64", "-Iinc"]
    for _ in range(2):
        running = [
            subprocess.Popen(
                [*command, "-o", f"{n}-{twin}.o", f"{n}.asm"],
                cwd=bench.tree,
                env=bench.environment,
            )
            for n in range(8)
            for twin in range(2)
        ]
        assert [process.wait() for process in running] == [0] * 16
    for n in range(8):
        for twin in range(2):
            assert f"one\n{n}\n" in (bench.tree / f"{n}-{twin}.o").read_text()
    assert bench.outcomes()[16:] == ["hit"] * 16


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    """The cap holds, and what was used of late stays."""
    for age, name in enumerate(["new", "middle", "old"]):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    store = depcache.Store(str(tmp_path))
    store.trim(300)
    assert len(store.files()) == 3
    store.trim(250)
    assert {Path(name).name for _, _, name in store.files()} == {"new", "middle"}


def test_unfinished_files_of_the_dead_are_removed(tmp_path: Path) -> None:
    """One that is being written stays."""
    for name, age in {"dead.part": 7200, "alive.part": 0}.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    depcache.Store(str(tmp_path)).trim(1000)
    assert [path.name for path in tmp_path.iterdir()] == ["alive.part"]


def test_it_can_be_switched_off(bench: Bench) -> None:
    """DEPCACHE_DISABLE leaves the compiler alone."""
    bench.environment["DEPCACHE_DISABLE"] = "1"
    bench.run()
    bench.run()
    assert bench.compiles == 2
    assert not bench.store.exists()


def test_two_copies_do_not_call_each_other(bench: Bench) -> None:
    """A build's own launcher before a machine's."""
    other = bench.launchers.parent / "other"
    other.mkdir()
    shutil.copy2(LAUNCHER, other / "depcache.py")
    (other / "nasm").symlink_to("depcache.py")
    path = bench.environment["PATH"]
    bench.environment["PATH"] = f"{bench.launchers}:{other}:{path}"
    assert bench.run().returncode == 0
    assert bench.outcomes() == ["miss"]


def test_installed_it_is_a_program_of_its_own(bench: Bench) -> None:
    """One file in bytecode under the names of compilers; a second time it takes their place."""
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


def test_without_the_compiler_it_says_so(bench: Bench) -> None:
    """As a shell would: 127."""
    (bench.programs / "nasm").unlink()
    bench.environment["PATH"] = str(bench.launchers)
    done = bench.run()
    assert done.returncode == 127
    assert done.stderr == "depcache: no program nasm on PATH\n"


def test_help_and_statistics(bench: Bench) -> None:
    """Called by its own name it explains itself, counts and clears."""

    def own(*words: str) -> subprocess.CompletedProcess[str]:
        (bench.launchers / "depcache.py").unlink(missing_ok=True)
        (bench.launchers / "depcache.py").symlink_to(LAUNCHER)
        return bench.run(*words, name="depcache.py")

    assert own("--help").returncode == 2
    assert own("nasm", "-f", "elf64", "-Iinc", "-o", "a.o", "a.asm").returncode == 0
    assert "2 files" in own("--stats").stdout
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
def test_lists_of_inputs_are_read_as_make_does(rule: str, names: list[str]) -> None:
    """Spaces, dollars, hashes, lines that go on."""
    assert depcache.dependencies(rule) == names


def test_a_list_that_cannot_be_read_keeps_nothing() -> None:
    """Better no result than one that depends on too little."""
    with pytest.raises(depcache.BypassError):
        depcache.dependencies("not a rule")


@pytest.mark.parametrize(
    "words",
    [
        "-c a.cu -o a.o",
        "--fatbin a.cu",
        "--fatbin a.cu -o a.fatbin -keep",
        "--fatbin a.cu -o a.fatbin -MD",
        "--fatbin a.cu b.cu -o a.fatbin",
        "--fatbin a.ptx -o a.fatbin",
        "--fatbin a.cu -odir out",
    ],
)
def test_nvcc_is_answered_for_one_kernel_file_alone(words: str) -> None:
    """Host code, several outputs, options files: all of these are nvcc's own."""
    with pytest.raises(depcache.BypassError):
        depcache.Nvcc("/usr/bin/nvcc", words.split())


@pytest.mark.parametrize(
    "words",
    [
        "-c a.hip -o a.o",
        "--genco a.hip -o a.co",
        "--genco --offload-arch=native a.hip -o a.co",
        "--genco --offload-arch=gfx90a -save-temps a.hip -o a.co",
        "--genco --offload-arch=gfx90a -Wp,-MD,x a.hip -o a.co",
    ],
)
def test_hipcc_is_answered_for_named_gpus_alone(words: str) -> None:
    """Host code goes through ccache, and a GPU that is found out is no input."""
    with pytest.raises(depcache.BypassError):
        depcache.Hipcc("/usr/bin/hipcc", words.split())


def test_the_words_of_the_builds_are_known() -> None:
    """What libvmaf, its fork and FFmpeg call is read as it is meant."""
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
