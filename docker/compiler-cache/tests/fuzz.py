"""Compare depcache with NASM itself over random edits.

    fuzz.py DEPCACHE SECONDS [SEED]

It runs inside an image and uses the standard library only. Files, directories and arguments
change at random. After each change both compile, and the exit status, the messages, the object
and the list of inputs must be identical. It prints one line of counts; or the first difference
with the edits that led to it, and exits with 1.

"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BODIES = (
    "db 1",
    "mov eax, [rel $+4]",
    "times 8 dq 0x1234",
    "%warning careful",
    "%macro twice 1\n%1\n%1\n%endmacro\ntwice nop",
    "%assign n 0\n%rep 50\ndd n\n%assign n n+1\n%endrep",
    "db __?FILE?__",
    "db VALUE",
    'incbin "data.bin"',
)
WRONG = ("%error stop", "no such thing", "%pathsearch x 'a.inc'")
"""What fails, or may not be kept."""
DIRECTORIES = ("one", "two", "one/deep", "")
NAMES = ("a.inc", "b.inc", "deep/c.inc")


class Tree:
    """A directory of sources that changes at random."""

    def __init__(self, chance: random.Random) -> None:
        """Write a source that includes a file which may or may not exist."""
        self.chance = chance
        self.old: list[tuple[Path, str]] = []
        self.defines, self.directories, self.debug, self.pre = "1", ["one/", "two/"], False, False
        for directory in DIRECTORIES:
            Path(directory, "deep").mkdir(parents=True, exist_ok=True)
        Path("data.bin").write_bytes(b"data")
        self.write(Path("pre.inc"), "%define PRE 1")
        self.write(Path("main.asm"), 'section .data\n%include "a.inc"\n')
        for name in NAMES:
            self.write(Path("two", name), "db 1")

    def write(self, path: Path, text: str) -> None:
        """Write a file and store its content for a later revert."""
        if path.exists():
            self.old.append((path, path.read_text()))
        path.write_text(f"{text}\n")

    def edit(self) -> None:
        """Give an include another body, which may include other files."""
        name = self.chance.choice(NAMES)
        body = self.chance.choice(WRONG if self.chance.random() < 1 / 20 else BODIES)
        if (later := NAMES[NAMES.index(name) + 1 :]) and self.chance.random() < 1 / 2:
            body += f'\n%include "{self.chance.choice(later)}"'
        self.write(Path(self.chance.choice(DIRECTORIES), name), body)

    def revert(self) -> None:
        """Restore an earlier content of a file."""
        if self.old:
            path, text = self.chance.choice(self.old)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def remove(self) -> None:
        """Remove an include, so that another file of its name may be found."""
        there = [
            Path(f, n) for f in DIRECTORIES for n in NAMES if f != "two" and Path(f, n).exists()
        ]
        if there:
            self.chance.choice(there).unlink()

    def source(self) -> None:
        """Make the source include another file."""
        name, body = self.chance.choice(NAMES), self.chance.choice(BODIES[:3])
        self.write(Path("main.asm"), f'section .data\n%include "{name}"\n{body}')

    def data(self) -> None:
        """Change the file that incbin reads."""
        Path("data.bin").write_bytes(bytes(self.chance.choices(range(4), k=2)))

    def arguments(self) -> None:
        """Change an argument of the command."""
        self.defines = self.chance.choice("12")
        self.chance.shuffle(self.directories)
        self.debug = self.chance.random() < 1 / 2
        self.pre = self.chance.random() < 1 / 2

    def command(self) -> list[str]:
        """Return the arguments of the assembler."""
        arguments = ["-f", "elf64", *(f"-I{directory}" for directory in self.directories), "-D"]
        arguments += [f"VALUE={self.defines}", *(["-g", "-F", "dwarf"] if self.debug else [])]
        arguments += ["-Ppre.inc"] if self.pre else []
        return [*arguments, "-MD", "main.d", "-o", "main.o", "main.asm"]


def assemble(program: str, arguments: list[str]) -> tuple[object, ...]:
    """Assemble, and return all results."""
    for name in ("main.o", "main.d"):
        Path(name).unlink(missing_ok=True)
    done = subprocess.run([program, *arguments], capture_output=True, check=False)
    files = [Path(n).read_bytes() if Path(n).exists() else None for n in ("main.o", "main.d")]
    return done.returncode, done.stdout, done.stderr, *files


def main(launcher: Path, seconds: float, seed: int) -> int:
    """Edit and compare until the time is over or a difference is found."""
    chance = random.Random(seed)  # noqa: S311 # not for secrets
    nasm = shutil.which("nasm", path="/usr/bin") or "nasm"
    directory = Path(tempfile.mkdtemp())
    (directory / "nasm").symlink_to(launcher)
    os.environ |= {
        "PATH": f"{directory}:/usr/bin",
        "DEPCACHE_DIR": f"{directory}/store",
        "DEPCACHE_TEMP": f"{directory}/temp",
        "DEPCACHE_LOG": f"{directory}/log",
    }
    (directory / "tree").mkdir()
    os.chdir(directory / "tree")
    tree = Tree(chance)
    changes = [tree.edit, tree.revert, tree.remove, tree.source, tree.data, tree.arguments]
    history, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        for change in chance.choices(changes, k=chance.choice((1, 1, 2))):
            change()
            history.append(change.__name__)
        arguments = tree.command()
        expected = assemble(nasm, arguments)
        found = assemble(str(directory / "nasm"), arguments)
        if found != expected:
            sys.stdout.write(f"differs after {len(history)} changes: {history[-5:]} {arguments}\n")
            sys.stdout.write(f"NASM: {expected[:3]}\nlauncher: {found[:3]}\n")
            return 1
    outcomes = [line.split()[0] for line in Path(directory, "log").read_text().splitlines()]
    counts = {name: outcomes.count(name) for name in sorted(set(outcomes))}
    sys.stdout.write(f"equal {len(outcomes)} times: {counts}\n")
    return 0


if __name__ == "__main__":
    seed_given = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(2**32)  # noqa: S311
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]), seed_given))
