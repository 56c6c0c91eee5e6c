#!/usr/bin/python3 -IS
"""Caches compilers that ccache does not know and that can say what they read.

    depcache.py nasm -f elf64 -I x86/ -o scale.o scale.asm
    depcache.py --install ~/bin nvcc     ~/bin/nvcc caches for the next nvcc on PATH
    depcache.py --stats | --clear

A result is found by the compiler (the bytes of the programs it is made of), its
words, the working folder, the environment it reads, the source, and then by what
the source includes, by content. What that is, the compiler itself said the first
time: no preprocessor runs to find out, and a hit costs a few files read.

    DEPCACHE_DIR       where results are kept (CCACHE_DIR/depcache, or ~/.cache/depcache)
    DEPCACHE_MAXSIZE   bytes that they may take (512 MiB); the longest unused go first
    DEPCACHE_TEMP      where digests of compilers are remembered (/tmp/depcache-UID)
    DEPCACHE_LOG       a file that gets a line a call: hit, miss, unsafe or passed, and which
    DEPCACHE_DISABLE   not empty: run the compiler, keep nothing

Whatever is not known to be safe goes to the compiler, nothing is kept of a compile
that failed, and no fault of the cache is a fault of the build. See docs/launcher.md.
"""

# Python's start is most of a hit: what a hit does not need is imported where it is needed.
import os
import sys
from os import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from hashlib import sha256
else:
    try:
        from _sha2 import sha256  # hashlib would load OpenSSL, which takes as long as a hit
    except ImportError:  # before Python 3.12
        from hashlib import sha256


FORMAT = "depcache 1"
"""Part of every key: a later format finds nothing of an earlier one."""
MAXSIZE = 512 << 20
VARIANTS = 16
"""How many sets of inputs are kept for one command, the latest first."""
STALE_SECONDS = 3600
"""An unfinished file that old is left over from a process that died."""


class PassError(Exception):
    """This call is for the compiler alone; the message says why."""


# --- compilers ----------------------------------------------------------------


class Compile:
    """One call of a compiler, read into what a cache must know of it.

    Only words that are known to change nothing but the output are let through.

    Raises:
        PassError: the call has other words, or not one source and one output.
    """

    name = ""
    plain: "Sequence[str]" = ()
    """Words that stand alone."""
    prefixes: "Sequence[str]" = ()
    """Beginnings of words that stand alone."""
    valued: "Sequence[str]" = ()
    """Words that take the next one, or are joined to their value."""
    joined: "Sequence[str]" = ()
    """Those of them whose value may follow at once."""
    suffixes: "Sequence[str]" = ()
    """How its sources' names end."""
    environment: "Sequence[str]" = ()
    """The variables that it reads."""
    unsafe: "Sequence[bytes]" = ()
    """What in an input makes the output depend on more than inputs."""

    def __init__(self, compiler: str, words: "Sequence[str]") -> None:
        """Read a call's words."""
        self.compiler = compiler
        self.words = list(words)
        self.source = self.output = self.depfile = ""
        self.folders: list[str] = []
        """Where includes are looked for."""
        self.targets: list[str] = []
        """The GPUs that are compiled for, as words."""
        self._read()

    def _read(self) -> None:
        rest = iter(self.words)
        for word in rest:
            option = next((o for o in self.joined if word.startswith(o)), word)
            if option == "-o":
                self._set("output", word[2:] or next(rest, ""))
            elif option == "-I":
                self.folders.append(word[2:] or next(rest, ""))
            elif option in self.valued:
                self._value(option, word[len(option) :] or next(rest, ""))
            elif not word.startswith(("-", "@")):
                self._set("source", word)
            elif word not in self.plain and not word.startswith(tuple(self.prefixes)):
                raise PassError(f"{word} is not known to be safe")
        if not self.source.endswith(tuple(self.suffixes)) or not self.output:
            raise PassError("not one source and one output")
        self._check()

    def _set(self, name: str, value: str) -> None:
        if getattr(self, name) or not value or value.startswith("-"):
            raise PassError(f"not exactly one {name}")
        setattr(self, name, value)

    def _value(self, option: str, value: str) -> None:
        """Take note of an option's value."""

    def _check(self) -> None:
        """Refuse what no single word tells."""

    def listing(self, target: str) -> "list[str]":  # noqa: ARG002
        """Return the words that make the compiler list what it reads in a file."""
        return []

    def inputs(self, target: str) -> "list[str]":
        """Return what was read, from the list that the compiler has made."""
        with open(self.depfile or target, encoding="utf-8", errors="surrogateescape") as file:
            return dependencies(file.read())

    def tools(self, memory: "Memory") -> "Iterable[str]":  # noqa: ARG002
        """Return the files that make the compiler what it is."""
        return [self.compiler]


class Nasm(Compile):
    """NASM: -MD lists files of macros, -P files and incbin's; 2.16.01's leaves them out."""

    name = "nasm"
    plain = ("-g", "-MP")
    prefixes = ("-w", "-W", "-O")
    joined = (
        "-MD", "-MF", "-MQ", "-MT", "-I", "-i", "-o", "-f", "-F", "-D", "-d", "-P", "-p", "-U",
        "-u",
    )  # fmt: skip
    valued = joined
    suffixes = (".asm", ".s", ".S", ".nasm")
    unsafe = (
        b"%!", b"%ifenv", b"%ifnenv", b"%elifenv", b"%elifnenv", b"%depend", b"%pathsearch",
        b"__DATE", b"__TIME", b"__UTC", b"__POSIX", b"__?DATE", b"__?TIME", b"__?UTC", b"__?POSIX",
    )  # fmt: skip

    def _value(self, option: str, value: str) -> None:
        if option == "-MD":
            self._set("depfile", value)
        elif option == "-i":
            self.folders.append(value)

    def _check(self) -> None:
        if os.environ.get("NASMENV"):
            raise PassError("NASMENV holds further words")
        if self.depfile and "-MF" in self.words:
            raise PassError("two names for the list of inputs")

    def listing(self, target: str) -> "list[str]":
        """Return -MD where the caller has none; -MF alone has NASM write nothing."""
        return [] if self.depfile else ["-MD", target]

    def tools(self, memory: "Memory") -> "Iterable[str]":
        """Return the one program, once it has shown that its lists are whole."""
        if memory.known_of(self.compiler, "lists includes", self._lists_includes) != "yes":
            raise PassError("its -MD leaves includes out")
        return [self.compiler]

    def _lists_includes(self) -> str:
        import tempfile  # noqa: PLC0415 # slow

        with tempfile.TemporaryDirectory() as folder:
            source, include = path.join(folder, "a.asm"), path.join(folder, "b.inc")
            write(include, b"nop\n")
            write(source, b'%include "b.inc"\n')
            words = ["-f", "elf64", f"-I{folder}/", "-MD", f"{folder}/a.d", "-o", f"{folder}/a.o"]
            said(self.compiler, *words, source)
            with open(f"{folder}/a.d", encoding="utf-8") as file:
                return "yes" if include in dependencies(file.read()) else "no"


class Nvcc(Compile):
    """CUDA's compiler where it yields device code alone; -MD goes over every target."""

    name = "nvcc"
    modes = ("--fatbin", "-fatbin", "--cubin", "-cubin", "--ptx", "-ptx")
    plain = (
        *modes, "-MD", "-c", "-lineinfo", "--generate-line-info", "-m64", "-w", "-G", "-g",
        "--use_fast_math", "-use_fast_math",
        "--expt-relaxed-constexpr", "--expt-extended-lambda", "--extended-lambda",
    )  # fmt: skip
    prefixes = (
        "-gencode=", "--generate-code=", "-arch=", "--gpu-architecture=", "-code=", "--gpu-code=",
        "-std=", "--std=", "-O", "--ptxas-options=", "-maxrregcount=", "--maxrregcount=", "--ftz=",
        "--fmad=", "-fmad=", "--prec-div=", "--prec-sqrt=", "-ccbin=", "--compiler-bindir=",
    )  # fmt: skip
    joined = ("-I", "-D", "-U")
    valued = (
        *joined, "-o", "-MF", "-gencode", "--generate-code", "-arch", "-code", "-Xptxas",
        "-isystem", "-include", "-ccbin", "--compiler-bindir", "-std", "-maxrregcount",
    )  # fmt: skip
    suffixes = (".cu",)
    environment = (
        "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS", "NVCC_CCBIN", "CPATH", "C_INCLUDE_PATH",
        "CPLUS_INCLUDE_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH", "SOURCE_DATE_EPOCH", "LC_ALL",
        "LANG",
    )  # fmt: skip
    unsafe = (b"__DATE__", b"__TIME__", b"__TIMESTAMP__", b".incbin")

    def _value(self, option: str, value: str) -> None:
        if option == "-MF":
            self._set("depfile", value)
        elif option == "-isystem":
            self.folders.append(value)

    def _check(self) -> None:
        if not set(self.modes) & set(self.words):
            raise PassError("more than device code")
        if ("-MD" in self.words) != bool(self.depfile):
            raise PassError("-MD or -MF alone")

    def listing(self, target: str) -> "list[str]":
        """Return -MD where the caller has none."""
        return [] if self.depfile else ["-MD", "-MF", target]

    def tools(self, memory: "Memory") -> "Iterator[str]":
        """Return what nvcc says it would run, the bitcode it links, and cc1plus."""
        yield self.compiler
        folders = os.environ.get("PATH", "")
        for line in said(self.compiler, "--dryrun", *self.words).splitlines():
            name, is_value, value = line.removeprefix("#$ ").partition("=")
            if name == "PATH":
                folders = value
            elif name == "NVVMIR_LIBRARY_DIR":
                yield from (path.join(value, file) for file in sorted(os.listdir(value)))
            elif not is_value or " " in name:
                word = name.partition(" ")[0].strip('"')
                program = find(word, folders)
                yield program
                if path.basename(word).startswith(("g++", "gcc", "c++", "cc")):
                    yield memory.asked(program, "-print-prog-name=cc1plus")
        profile = path.join(path.dirname(self.compiler), "nvcc.profile")
        yield from [profile] if path.exists(profile) else []


class Hipcc(Compile):
    """HIP's compiler where it yields a code object alone (--genco)."""

    name = "hipcc"
    plain = ("--genco", "-w", "-nogpuinc", "-nogpulib", "-g", "-munsafe-fp-atomics")
    prefixes = (
        "--offload-arch=", "-O", "-std=", "-W", "-ffast-math", "-fno-", "-fPIC", "-ffp-contract=",
        "-mcumode", "-mno-cumode",
    )  # fmt: skip
    joined = ("-I", "-D", "-U")
    valued = (*joined, "-o", "-isystem", "-include", "-x")
    suffixes = (".hip", ".cpp", ".cu")
    environment = (
        "HIPCC_COMPILE_FLAGS_APPEND", "HIPCC_LINK_FLAGS_APPEND", "HIP_PATH", "ROCM_PATH",
        "HIP_PLATFORM", "HIP_CLANG_PATH", "HIP_DEVICE_LIB_PATH", "DEVICE_LIB_PATH", "HIP_COMPILER",
        "HIP_RUNTIME", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "SOURCE_DATE_EPOCH",
    )  # fmt: skip
    unsafe = (b"__DATE__", b"__TIME__", b"__TIMESTAMP__", b".incbin", b"#embed")

    def _value(self, option: str, value: str) -> None:
        if option == "-isystem":
            self.folders.append(value)
        elif option == "-x" and value != "hip":
            raise PassError("not HIP")

    def _check(self) -> None:
        self.targets = [word for word in self.words if word.startswith("--offload-arch=")]
        if "--genco" not in self.words or not self.targets:
            raise PassError("more than device code, or for no GPU by name")
        if "--offload-arch=native" in self.targets:
            raise PassError("a GPU to be found out")
        if any(word.startswith(("-Wl,", "-Wp,", "-Wa,")) for word in self.words):
            raise PassError("words for other programs")

    def inputs(self, target: str) -> "list[str]":
        """Return what each target's preprocessor opens: hipcc has no -MD for several."""
        found: dict[str, None] = {}
        words: list[str] = [word for word in self.words if word not in self.targets]
        words[words.index("-o") + 1] = target
        for gpu in self.targets:
            said(self.compiler, *words, gpu, "-E")
            with open(target, encoding="utf-8", errors="surrogateescape") as file:
                for line in file:
                    if line.startswith("# ") and '"' in line:
                        name = line.split('"')[1].replace("\\\\", "\\")
                        found |= {name: None} if not name.startswith("<") else {}
        return list(found)

    def tools(self, memory: "Memory") -> "Iterator[str]":
        """Return the programs and the bitcode that the driver names, and clang's libraries."""
        yield self.compiler
        for quoted in said(self.compiler, *self.words, "-###").split('"'):
            if quoted.startswith("/") and path.isfile(quoted):
                yield quoted
                if os.access(quoted, os.X_OK):
                    real = path.realpath(quoted)
                    words = memory.known_of(real, "libraries", lambda: libraries(real)).split()  # noqa: B023
                    yield from (word for word in words if word.startswith("/") and "lib" in word)


COMPILERS = {kind.name: kind for kind in (Nasm, Nvcc, Hipcc)}


def dependencies(text: str) -> "list[str]":
    r"""Return the inputs of a make rule: `a.o : a.asm b\ c.inc`.

    Raises:
        PassError: it is no such rule.
    """
    text = text.replace("\\\r\n", " ").replace("\\\n", " ")
    words: list[str] = []
    word, at = "", 0
    while at < len(text):
        letter, following = text[at], text[at + 1 : at + 2]
        if (letter == "\\" and following in (" ", "#", ":", "\\")) or (letter == following == "$"):
            # Compilers leave a backslash that stands before nothing of these alone.
            word, at = word + following, at + 2
        elif letter.isspace():
            words, word, at = [*words, word] if word else words, "", at + 1
            if letter == "\n" and words:
                break
        else:
            word, at = word + letter, at + 1
    words = [*words, word] if word else words
    ends = [n for n, word in enumerate(words) if word == ":" or word.endswith(":")]
    if not ends or ends[0] > 1:
        raise PassError("the compiler's list of inputs cannot be read")
    return list(dict.fromkeys(words[ends[0] + 1 :]))


# --- programs -------------------------------------------------------------------


def find(name: str, folders: str) -> str:
    """Return the program of that name in folders joined by colons, but never a launcher.

    Two copies of it on PATH would else call each other without end.

    Raises:
        PassError: there is none.
    """
    own = path.realpath(__file__)
    for folder in [""] if "/" in name else folders.split(":"):
        program = path.join(folder, name)
        real = path.realpath(program)
        launcher = real == own or path.basename(real).startswith("depcache")
        if os.access(program, os.X_OK) and path.isfile(program) and not launcher:
            return program
    raise PassError(f"no program {name}")


def said(*command: str) -> str:
    """Return all that a program says.

    Raises:
        PassError: it failed.
    """
    import subprocess  # noqa: PLC0415 # slow

    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise PassError(f"{command[0]} ended with code {done.returncode}")
    return (done.stdout + done.stderr).decode(errors="surrogateescape")


def libraries(program: str) -> str:
    """Return what the loader says of a program, in one line."""
    return " ".join(said("/usr/bin/ldd", program).split())


class Memory:
    """Digests of programs, which are large and do not change within a build step.

    A file is known again by its place, size and times, to the nanosecond.
    """

    def __init__(self, folder: str) -> None:
        """Read what is remembered in a folder of this user's own."""
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.stat(folder).st_uid != os.getuid():
            raise PassError(f"{folder} is somebody else's")
        self.file = path.join(folder, "memory")
        self.known: dict[str, str] = {}
        try:
            with open(self.file, encoding="utf-8", errors="surrogateescape") as file:
                for line in file:
                    value, _, key = line.rstrip("\n").partition("\t")
                    self.known[key] = value
        except FileNotFoundError:
            pass

    def _stamp(self, name: str) -> str:
        stat = os.stat(name)
        times = f"{stat.st_mtime_ns} {stat.st_ctime_ns}"
        return f"{stat.st_dev} {stat.st_ino} {stat.st_size} {times} {path.realpath(name)}"

    def _keep(self, key: str, value: str) -> str:
        self.known[key] = value
        if "\n" not in key + value and "\t" not in value:
            append(self.file, f"{value}\t{key}\n")
        return value

    def digest(self, name: str) -> str:
        """Return the digest of a program's bytes."""
        key = self._stamp(name)
        if key not in self.known:
            import hashlib  # noqa: PLC0415 # OpenSSL's, which is faster for what is large

            with open(name, "rb") as file:
                self._keep(key, hashlib.file_digest(file, "sha256").hexdigest())
        return self.known[key]

    def asked(self, program: str, word: str) -> str:
        """Return what a program says to one word, in one line."""
        return self.known_of(program, word, lambda: " ".join(said(program, word).split()))

    def known_of(self, program: str, what: str, find_out: "Callable[[], str]") -> str:
        """Return something of a program, found out once."""
        key = f"{self._stamp(program)} {what}"
        return self.known.get(key) or self._keep(key, find_out())


def digest(name: str) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(name, "rb") as file:
        return sha256(file.read()).hexdigest()


def append(name: str, text: str) -> None:
    """Add to a file in one write, which no other process's falls into."""
    file = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(file, text.encode(errors="surrogateescape"))
    finally:
        os.close(file)


def write(name: str, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = f"{name}.{os.urandom(8).hex()}.part"
    try:
        with open(part, "xb") as file:
            file.write(content)
        os.replace(part, name)
    except OSError:
        if path.exists(part):
            os.unlink(part)
        raise


# --- the store ------------------------------------------------------------------


class Result:
    """What a compile left: two files and two streams of bytes."""

    def __init__(self, parts: "Sequence[bytes]") -> None:
        """Take the parts in their order."""
        self.parts = list(parts)
        """Output, list of inputs, standard output, standard error."""

    def pack(self) -> bytes:
        """Return it as a file with its own digest."""
        body = b" ".join(b"%d" % len(part) for part in self.parts) + b"\n" + b"".join(self.parts)
        return sha256(body).hexdigest().encode() + b"\n" + body

    @classmethod
    def unpack(cls, packed: bytes) -> "Result":
        """Read such a file.

        Raises:
            ValueError: it is damaged.
        """
        seal, _, body = packed.partition(b"\n")
        if sha256(body).hexdigest().encode() != seal:
            raise ValueError("damaged")
        sizes, _, rest = body.partition(b"\n")
        parts = []
        for size in map(int, sizes.split()):
            parts.append(rest[:size])
            rest = rest[size:]
        return cls(parts)


class Store:
    """The folder of results: by command the sets of inputs, by these the results."""

    def __init__(self, folder: str) -> None:
        """Take the folder, which is made when there is something to keep."""
        self.folder = folder

    def place(self, key: str) -> str:
        """Return the file of a key."""
        return path.join(self.folder, key[:2], key[2:])

    def variants(self, key: str) -> "list[tuple[str, list[list[str]]]]":
        """Return a command's results, each with its inputs as (kind, digest, name)."""
        found: list[tuple[str, list[list[str]]]] = []
        try:
            with open(self.place(key), encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read().split("\n")
        except FileNotFoundError:
            return found
        for line in lines:
            fields = line.split(" ", 2)
            if fields[0] == "result" and len(fields) == 2:  # noqa: PLR2004
                found.append((fields[1], []))
            elif len(fields) == 3 and found:  # noqa: PLR2004
                found[-1][1].append(fields)
        return found

    def keep(self, key: str, inputs: "list[list[str]]", result: Result) -> None:
        """Keep a result; it is found once its inputs are listed, which is last."""
        lines = [" ".join(fields) for fields in inputs]
        name = sha256("\n".join([key, *lines]).encode(errors="surrogateescape")).hexdigest()
        for each in (key, name):
            os.makedirs(path.dirname(self.place(each)), exist_ok=True)
        write(self.place(name), result.pack())
        others = [variant for variant in self.variants(key) if variant[0] != name]
        text = [f"result {name}", *lines]
        for other, fields in others[: VARIANTS - 1]:
            text += [f"result {other}", *(" ".join(field) for field in fields)]
        write(self.place(key), ("\n".join(text) + "\n").encode(errors="surrogateescape"))
        if int(name[:2], 16) % 16 == 0:
            self.trim(int(os.environ.get("DEPCACHE_MAXSIZE") or MAXSIZE))

    def files(self) -> "list[tuple[float, int, str]]":
        """Return (time of last use, bytes, name) of every file, the oldest first."""
        found = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                try:
                    stat = os.stat(path.join(folder, name))
                except FileNotFoundError:
                    continue
                found.append((stat.st_mtime, stat.st_size, path.join(folder, name)))
        return sorted(found)

    def trim(self, most: int) -> None:
        """Remove the longest unused until a fifth is free, where there is more than `most`."""
        import time  # noqa: PLC0415 # rare

        files = self.files()
        left = sum(size for _, size, _ in files)
        limit = most if left <= most else most * 4 // 5
        for used, size, name in files:
            dead = name.endswith(".part") and used < time.time() - STALE_SECONDS
            if dead or left > limit:
                left -= size
                try:
                    os.unlink(name)
                except FileNotFoundError:
                    continue


# --- one call -------------------------------------------------------------------


def shadows(inputs: "Iterable[str]", folders: "Iterable[str]") -> "list[str]":
    """Return the files that could take an input's place, being in another folder of the path.

    One that comes or goes may change what an include means, though no input did.
    """
    inputs = list(inputs)
    names = set()
    for name in inputs:
        parts = name.split("/")
        names |= {"/".join(parts[at:]) for at in range(len(parts)) if parts[at]}
    places = {path.join(folder, name) for folder in folders for name in names}
    return sorted(place for place in places - set(inputs) if path.isfile(place))


class Call:
    """One call that may be answered out of the store."""

    def __init__(self, asked: Compile, store: Store, memory: Memory) -> None:
        """Find the key of what is asked.

        Raises:
            PassError: it cannot be known for sure.
        """
        self.asked, self.store = asked, store
        self.digests: dict[str, str] = {}
        sink = asked.output
        if path.lexists(sink) and (path.islink(sink) or not path.isfile(sink)):
            raise PassError("the output is no ordinary file")
        tools = sorted({f"{path.realpath(t)} {memory.digest(t)}" for t in asked.tools(memory)})
        environment = [f"{name}={os.environ.get(name)}" for name in asked.environment]
        words = [FORMAT, asked.name, os.getcwd(), self.digest(asked.source), *tools, *environment]
        text = "\0".join([*words, str(len(asked.words)), *asked.words])
        self.key = sha256(text.encode(errors="surrogateescape")).hexdigest()
        folders = ["", path.dirname(asked.source), *asked.folders]
        self.folders = list(dict.fromkeys(folders))

    def digest(self, name: str) -> str:
        """Return the digest of an input, read once a call."""
        if name not in self.digests:
            self.digests[name] = digest(name)
        return self.digests[name]

    def _holds(self, inputs: "list[list[str]]") -> bool:
        try:
            if any(self.digest(name) != was for kind, was, name in inputs if kind == "in"):
                return False
        except OSError:
            return False
        there = [name for kind, _, name in inputs if kind == "shadow"]
        return shadows((name for kind, _, name in inputs if kind == "in"), self.folders) == there

    def answer(self) -> bool:
        """Write the output from the store; False where it has none."""
        for name, inputs in self.store.variants(self.key):
            if not self._holds(inputs):
                continue
            place = self.store.place(name)
            try:
                with open(place, "rb") as file:
                    output, depfile, out, err = Result.unpack(file.read()).parts
                os.utime(place)
                os.utime(self.store.place(self.key))
            except (OSError, ValueError):
                continue
            write(self.asked.output, output)
            if self.asked.depfile:
                write(self.asked.depfile, depfile)
            for stream, text in ((sys.stdout, out), (sys.stderr, err)):
                stream.buffer.write(text)
                stream.flush()
            return True
        return False

    def compile(self) -> "tuple[int, str]":
        """Run the compiler and keep what it made; return its code and what became of it."""
        import shutil  # noqa: PLC0415 # slow
        import subprocess  # noqa: PLC0415
        import tempfile  # noqa: PLC0415
        import time  # noqa: PLC0415

        asked, start = self.asked, time.time_ns()
        folder = tempfile.mkdtemp(prefix="depcache-")
        try:
            target = path.join(folder, "inputs")
            done = subprocess.run(
                [asked.compiler, *asked.words, *asked.listing(target)],
                capture_output=True, check=False,
            )  # fmt: skip
            for stream, text in ((sys.stdout, done.stdout), (sys.stderr, done.stderr)):
                stream.buffer.write(text)
                stream.flush()
            if done.returncode:
                return done.returncode if done.returncode > 0 else 128 - done.returncode, "failed"
            try:
                inputs = self._inputs(asked.inputs(target), start)
                with open(asked.output, "rb") as file:
                    output = file.read()
                depfile = b""
                if asked.depfile:
                    with open(asked.depfile, "rb") as file:
                        depfile = file.read()
                parts = [output, depfile, done.stdout, done.stderr]
                self.store.keep(self.key, inputs, Result(parts))
            except (PassError, OSError):
                return 0, "unsafe"
            return 0, "miss"
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _inputs(self, names: "Sequence[str]", start: int) -> "list[list[str]]":
        """Return what a result depends on.

        Raises:
            PassError: an input changed meanwhile, or holds what is unsafe.
        """
        found = []
        for name in names:
            if "\n" in name:
                raise PassError("a line break in a name")
            stat = os.stat(name)
            if max(stat.st_mtime_ns, stat.st_ctime_ns) >= start:
                raise PassError(f"{name} changed meanwhile")
            with open(name, "rb") as file:
                content = file.read()
            if any(word in content for word in self.asked.unsafe):
                raise PassError(f"{name} says what no input tells")
            found.append(["in", sha256(content).hexdigest(), name])
        return found + [["shadow", "-", name] for name in shadows(names, self.folders)]


def home() -> str:
    """Return the folder of results."""
    ccache = os.environ.get("CCACHE_DIR")
    default = path.join(ccache, "depcache") if ccache else path.expanduser("~/.cache/depcache")
    return os.environ.get("DEPCACHE_DIR") or default


def run(name: str, words: "Sequence[str]") -> int:
    """Answer a call of a compiler, or run it; return its code."""
    log = os.environ.get("DEPCACHE_LOG")
    base = path.basename(name)

    def tell(outcome: str) -> None:
        if log:
            append(log, f"{outcome} {base}\n")

    try:
        compiler = find(name, os.environ.get("PATH", ""))
    except PassError as error:
        sys.stderr.write(f"depcache: {error} on PATH\n")
        return 127
    temp = os.environ.get("DEPCACHE_TEMP") or f"/tmp/depcache-{os.getuid()}"  # noqa: S108
    if os.environ.get("DEPCACHE_DISABLE") or base not in COMPILERS:
        os.execv(compiler, [compiler, *words])
    try:
        call = Call(COMPILERS[base](compiler, words), Store(home()), Memory(temp))
        answered = call.answer()
    except (PassError, OSError, UnicodeError):
        tell("passed")
        os.execv(compiler, [compiler, *words])
    if answered:
        tell("hit")
        return 0
    try:
        code, outcome = call.compile()
    except OSError:  # no room for the list of inputs, say
        tell("passed")
        os.execv(compiler, [compiler, *words])
    tell(outcome)
    return code


def install(folder: str, names: "Sequence[str]") -> None:
    """Put a launcher into a folder under the names of compilers.

    It is this file, translated to bytecode, which Python would else do at every call.
    """
    import marshal  # noqa: PLC0415 # all of them rare
    import zipfile  # noqa: PLC0415
    from importlib.util import MAGIC_NUMBER  # noqa: PLC0415
    from io import BytesIO  # noqa: PLC0415

    with open(path.realpath(__file__), encoding="utf-8") as file:
        text = file.read()
    code = MAGIC_NUMBER + bytes(12) + marshal.dumps(compile(text, "depcache.py", "exec"))
    packed = BytesIO(text.partition("\n")[0].encode() + b"\n")
    packed.seek(0, 2)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("__main__.pyc", code)
    os.makedirs(folder, exist_ok=True)
    launcher = path.join(folder, "depcache.pyz")
    write(launcher, packed.getvalue())
    os.chmod(launcher, 0o755)  # noqa: S103 # it is a program
    for name in names:
        part = f"{launcher}.{name}"
        os.symlink("depcache.pyz", part)
        os.replace(part, path.join(folder, name))


def main(words: "Sequence[str]") -> int:
    """Act as the compiler by whose name this was called, or as the command says."""
    name = path.basename(words[0])
    if not name.startswith("depcache"):
        return run(name, words[1:])
    if words[1:] == ["--stats"]:
        files = Store(home()).files()
        print(f"{home()}: {len(files)} files, {sum(size for _, size, _ in files)} bytes")
        return 0
    if words[1:] == ["--clear"]:
        Store(home()).trim(-1)
        return 0
    if len(words) > 3 and words[1] == "--install":  # noqa: PLR2004
        install(words[2], words[3:])
        return 0
    if len(words) > 1 and not words[1].startswith("-"):
        return run(words[1], words[2:])
    sys.stderr.write(__doc__ or "")
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv))
    except KeyboardInterrupt:
        sys.exit(130)
