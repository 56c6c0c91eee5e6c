#!/usr/bin/python3 -IS
"""Cache the compilers that ccache does not support and that can list their inputs.

    depcache.py nasm -f elf64 -I x86/ -o scale.o scale.asm
    depcache.py --install ~/bin nvcc     ~/bin/nvcc caches for the next nvcc on PATH
    depcache.py --install dist           dist/depcache.pyz is all of depcache in one file
    depcache.py --stats | --clear | --version
    depcache.py --evict-older-than 604800s   remove results that were unused for this long

This is a direct mode, as in ccache: the key of a call is the digest of the compiler (of all
programs it consists of), the arguments, the working directory, the environment that the compiler
reads, and the source. Under the key is a manifest. It lists the inputs of each result, as the
compiler listed them on the miss, with their digests. A hit reads these files, and runs no
preprocessor.

    DEPCACHE_DIR       the store (CCACHE_DIR/depcache, or ~/.cache/depcache)
    DEPCACHE_MAXSIZE   its largest size in bytes (512 MiB); the least recently used results go first
    DEPCACHE_TEMP      a directory for the digests of compilers (/tmp/depcache-UID)
    DEPCACHE_REMOTE    the URL of a further store, as remote.py prints it
    DEPCACHE_LOG       a log with a line for each call: hit, miss, uncacheable, bypass or failed,
                       and the compiler
    DEPCACHE_DISABLE   not empty: run the compiler, store nothing

A call with an argument that is not known to be safe bypasses the cache. A compile that failed is
not stored, and a fault of the cache never fails a build. README.md says more.
"""

# Most of a hit's time is Python's start, so modules that a hit does not need are imported late.
import os
import sys
from os import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from hashlib import sha256

    Entry = tuple[str, list[list[str]]]
    """The name of a result, and its inputs as (kind, digest, name)."""
else:
    try:
        from _sha2 import sha256  # hashlib would load OpenSSL, which takes as long as a hit
    except ImportError:  # before Python 3.12
        from hashlib import sha256


__version__ = "1.2.0"
FORMAT = "depcache 1"
"""Part of every key. It changes only if results of an earlier version could be wrong."""
MAXSIZE = 512 << 20
VARIANTS = 16
"""How many results a manifest lists, the latest first."""
REMOTE_SECONDS = 4.0
"""The longest time for an answer of remote.py, which itself waits 1 s for a store."""
STALE_SECONDS = 3600
"""The age at which an unfinished file counts as left behind by a process that died."""


class BypassError(Exception):
    """This call bypasses the cache; the message says why."""


# --- compilers ----------------------------------------------------------------


class CompileCommand:
    """The arguments of one call of a compiler, parsed.

    Only arguments are accepted that are known to affect nothing but the output.

    Raises:
        BypassError: the call has other arguments, or not exactly one source and one output.
    """

    name = ""
    plain: "Sequence[str]" = ()
    """Arguments without a value."""
    prefixes: "Sequence[str]" = ()
    """Beginnings of arguments without a value, such as `-O` of `-O2`."""
    valued: "Sequence[str]" = ()
    """Arguments whose value is the next argument."""
    joined: "Sequence[str]" = ()
    """Arguments whose value may be a part of them, as in `-Idir`, or the next argument."""
    suffixes: "Sequence[str]" = ()
    """How the names of sources end."""
    environment: "Sequence[str]" = ()
    """The environment variables that the compiler reads."""
    unsafe: "Sequence[bytes]" = ()
    """Texts of an input that make the result uncacheable, such as `__DATE__`."""

    def __init__(self, compiler: str, arguments: "Sequence[str]") -> None:
        """Parse the arguments of a call."""
        self.compiler = compiler
        self.arguments = list(arguments)
        self.source = self.output = self.depfile = ""
        self.directories: list[str] = []
        """The directories of the search path."""
        self.targets: list[str] = []
        """The arguments that select GPUs."""
        self._read()

    def _read(self) -> None:
        rest = iter(self.arguments)
        for word in rest:
            option = next((o for o in self.joined if word.startswith(o)), word)
            if option == "-o":
                self._set("output", word[2:] or next(rest, ""))
            elif option == "-I":
                self.directories.append(word[2:] or next(rest, ""))
            elif option in self.valued:
                self._value(option, word[len(option) :] or next(rest, ""))
            elif not word.startswith(("-", "@")):
                self._set("source", word)
            elif word not in self.plain and not word.startswith(tuple(self.prefixes)):
                raise BypassError(f"{word} is not known to be safe")
        if not self.source.endswith(tuple(self.suffixes)) or not self.output:
            raise BypassError("not one source and one output")
        self._check()

    def _set(self, name: str, value: str) -> None:
        if getattr(self, name) or not value or value.startswith("-"):
            raise BypassError(f"not exactly one {name}")
        setattr(self, name, value)

    def _value(self, option: str, value: str) -> None:
        """Handle the value of an option."""

    def _check(self) -> None:
        """Refuse combinations of arguments."""

    def listing(self, target: str) -> "list[str]":  # noqa: ARG002
        """Return the arguments with which the compiler lists its inputs in a file."""
        return []

    def inputs(self, target: str) -> "list[str]":
        """Return the inputs from the list that the compiler wrote."""
        with open(self.depfile or target, encoding="utf-8", errors="surrogateescape") as file:
            return dependencies(file.read())

    def tools(self, memo: "ToolMemo") -> "Iterable[str]":  # noqa: ARG002
        """Return the files that the compiler consists of."""
        return [self.compiler]


class Nasm(CompileCommand):
    """NASM. Its -MD lists includes, -P files and incbin's files; 2.16.01's leaves them out."""

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
            self.directories.append(value)

    def _check(self) -> None:
        if os.environ.get("NASMENV"):
            raise BypassError("NASMENV has more arguments")
        if self.depfile and "-MF" in self.arguments:
            raise BypassError("two names for the list of inputs")

    def listing(self, target: str) -> "list[str]":
        """Return -MD where the caller has none; -MF alone has NASM write nothing."""
        return [] if self.depfile else ["-MD", target]

    def tools(self, memo: "ToolMemo") -> "Iterable[str]":
        """Return the program, if its lists of inputs are complete."""
        if memo.fact(self.compiler, "lists includes", self._lists_includes) != "yes":
            raise BypassError("its -MD leaves includes out")
        return [self.compiler]

    def _lists_includes(self) -> str:
        import tempfile  # noqa: PLC0415 # slow

        with tempfile.TemporaryDirectory() as directory:
            # NASM looks in the working directory first, which must not have the include's name
            source, include = path.join(directory, "a.asm"), f"{directory}/depcache-probe.inc"
            write(include, b"nop\n")
            write(source, b'%include "depcache-probe.inc"\n')
            arguments = [
                "-f",
                "elf64",
                f"-I{directory}/",
                "-MD",
                f"{directory}/a.d",
                "-o",
                f"{directory}/a.o",
            ]
            output_of(self.compiler, *arguments, source)
            with open(f"{directory}/a.d", encoding="utf-8") as file:
                return "yes" if include in dependencies(file.read()) else "no"


class Nvcc(CompileCommand):
    """CUDA's compiler, for device code only. Its -MD lists the inputs of all targets."""

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
        "-isystem", "-include", "-ccbin", "--compiler-bindir", "-std", "--std", "-maxrregcount",
        "--gpu-architecture", "--gpu-code", "--ptxas-options", "--maxrregcount",
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
            self.directories.append(value)

    def _check(self) -> None:
        if not set(self.modes) & set(self.arguments):
            raise BypassError("more than device code")
        if "native" in " ".join(self.arguments).replace("=", " ").split():
            raise BypassError("the GPU is detected at run time")
        if ("-MD" in self.arguments) != bool(self.depfile):
            raise BypassError("-MD or -MF alone")

    def listing(self, target: str) -> "list[str]":
        """Return -MD where the caller has none."""
        return [] if self.depfile else ["-MD", "-MF", target]

    def tools(self, memo: "ToolMemo") -> "Iterator[str]":
        """Return the programs of `nvcc --dryrun`, the bitcode it links, and cc1plus."""
        yield self.compiler
        variables = {"PATH": os.environ.get("PATH", "")}
        for line in output_of(self.compiler, "--dryrun", *self.arguments).splitlines():
            name, is_value, value = line.removeprefix("#$ ").partition("=")
            if is_value and " " not in name:
                variables[name] = value
                if name == "NVVMIR_LIBRARY_DIR":
                    yield from (path.join(value, file) for file in sorted(os.listdir(value)))
            else:
                word = name.partition(" ")[0].strip('"')
                if word.startswith("$"):  # "$CICC_PATH/cicc" in CUDA 13
                    variable, _, rest = word[1:].partition("/")
                    word = path.join(variables.get(variable, ""), rest)
                program = find(word, variables["PATH"])
                yield program
                if path.basename(word).startswith(("g++", "gcc", "c++", "cc")):
                    yield memo.query(program, "-print-prog-name=cc1plus")
        profile = path.join(path.dirname(self.compiler), "nvcc.profile")
        yield from [profile] if path.exists(profile) else []


class Hipcc(CompileCommand):
    """HIP's compiler, for code objects only (--genco)."""

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
            self.directories.append(value)
        elif option == "-x" and value != "hip":
            raise BypassError("not HIP")

    def _check(self) -> None:
        self.targets = [word for word in self.arguments if word.startswith("--offload-arch=")]
        if "--genco" not in self.arguments or not self.targets:
            raise BypassError("more than device code, or for no GPU by name")
        if "--offload-arch=native" in self.targets:
            raise BypassError("the GPU is detected at run time")
        if any(word.startswith(("-Wl,", "-Wp,", "-Wa,")) for word in self.arguments):
            raise BypassError("arguments for other programs")

    def inputs(self, target: str) -> "list[str]":
        """Return the files that are preprocessed for each GPU; hipcc's -MD lists one GPU's."""
        found: dict[str, None] = {}
        arguments: list[str] = [word for word in self.arguments if word not in self.targets]
        arguments[arguments.index("-o") + 1] = target
        for gpu in self.targets:
            output_of(self.compiler, *arguments, gpu, "-E")
            with open(target, encoding="utf-8", errors="surrogateescape") as file:
                for line in file:
                    if line.startswith("# ") and '"' in line:
                        name = line.split('"')[1].replace("\\\\", "\\")
                        found |= {name: None} if not name.startswith("<") else {}
        return list(found)

    def tools(self, memo: "ToolMemo") -> "Iterator[str]":
        """Return the programs and the bitcode of `hipcc -###`, and clang's libraries."""
        yield self.compiler
        for quoted in output_of(self.compiler, *self.arguments, "-###").split('"'):
            if quoted.startswith("/") and path.isfile(quoted):
                yield quoted
                if os.access(quoted, os.X_OK):
                    real = path.realpath(quoted)
                    arguments = memo.fact(real, "libraries", lambda: libraries(real)).split()  # noqa: B023
                    yield from (
                        word for word in arguments if word.startswith("/") and "lib" in word
                    )


COMPILERS = {command.name: command for command in (Nasm, Nvcc, Hipcc)}


def dependencies(text: str) -> "list[str]":
    r"""Return the inputs of a make rule: `a.o : a.asm b\ c.inc`.

    Raises:
        BypassError: the text is not such a rule.
    """
    text = text.replace("\\\r\n", " ").replace("\\\n", " ")
    arguments: list[str] = []
    word, at = "", 0
    while at < len(text):
        letter, following = text[at], text[at + 1 : at + 2]
        if (letter == "\\" and following in (" ", "#", ":", "\\")) or (letter == following == "$"):
            # A backslash before any other character is not an escape.
            word, at = word + following, at + 2
        elif letter.isspace():
            arguments, word, at = [*arguments, word] if word else arguments, "", at + 1
            if letter == "\n" and arguments:
                break
        else:
            word, at = word + letter, at + 1
    arguments = [*arguments, word] if word else arguments
    ends = [n for n, word in enumerate(arguments) if word == ":" or word.endswith(":")]
    if not ends or ends[0] > 1:
        raise BypassError("the compiler's list of inputs cannot be read")
    return list(dict.fromkeys(arguments[ends[0] + 1 :]))


# --- programs -------------------------------------------------------------------


def find(name: str, directories: str) -> str:
    """Return the program of that name in a search path, skipping copies of depcache.

    Two copies on PATH would otherwise call each other without end.

    Raises:
        BypassError: there is no such program.
    """
    own = path.realpath(__file__)
    for directory in [""] if "/" in name else directories.split(":"):
        program = path.join(directory, name)
        real = path.realpath(program)
        launcher = real == own or path.basename(real).startswith("depcache")
        if os.access(program, os.X_OK) and path.isfile(program) and not launcher:
            return program
    raise BypassError(f"no program {name}")


def output_of(*command: str) -> str:
    """Return the output of a program, both streams.

    Raises:
        BypassError: the program failed.
    """
    import subprocess  # noqa: PLC0415 # slow

    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise BypassError(f"{command[0]} ended with code {done.returncode}")
    return (done.stdout + done.stderr).decode(errors="surrogateescape")


def libraries(program: str) -> str:
    """Return the output of ldd for a program, in one line."""
    return " ".join(output_of("/usr/bin/ldd", program).split())


class ToolMemo:
    """Digests of programs, which are large and do not change within a build step.

    A program is identified by its path, inode, size and times, to the nanosecond.
    """

    def __init__(self, directory: str) -> None:
        """Read the memo in a directory that belongs to this user."""
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if os.stat(directory).st_uid != os.getuid():
            raise BypassError(f"{directory} belongs to another user")
        self.file = path.join(directory, "memory")
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

    def _add(self, key: str, value: str) -> str:
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
                self._add(key, hashlib.file_digest(file, "sha256").hexdigest())
        return self.known[key]

    def query(self, program: str, argument: str) -> str:
        """Return the output of a program for one argument, in one line."""
        return self.fact(program, argument, lambda: " ".join(output_of(program, argument).split()))

    def fact(self, program: str, name: str, find_out: "Callable[[], str]") -> str:
        """Return a fact about a program, which is determined once."""
        key = f"{self._stamp(program)} {name}"
        return self.known.get(key) or self._add(key, find_out())


def digest(name: str) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(name, "rb") as file:
        return sha256(file.read()).hexdigest()


def append(name: str, text: str) -> None:
    """Append to a file in one write, so that lines of several processes do not mix."""
    file = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(file, text.encode(errors="surrogateescape"))
    finally:
        os.close(file)


def write(name: str, content: bytes) -> None:
    """Write a file completely or not at all."""
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
    """The result of a compile: two files and two streams."""

    def __init__(self, parts: "Sequence[bytes]") -> None:
        """Take the four parts in order."""
        self.parts = list(parts)
        """The object, the list of inputs, standard output, standard error."""

    def pack(self) -> bytes:
        """Return the content of a file, which begins with its own digest."""
        body = b" ".join(b"%d" % len(part) for part in self.parts) + b"\n" + b"".join(self.parts)
        return sha256(body).hexdigest().encode() + b"\n" + body

    @classmethod
    def unpack(cls, packed: bytes) -> "Result":
        """Parse the content of such a file.

        Raises:
            ValueError: the content is damaged.
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


def result_name(key: str, inputs: "Iterable[Sequence[str]]") -> str:
    """Return the name of a result, a digest of everything that the manifest says of it."""
    lines = [key, *(" ".join(fields) for fields in inputs)]
    return sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def entries(key: str, manifest: bytes) -> "list[Entry]":
    """Return the results that the manifest of a key lists.

    Damaged entries are left out: without one of its inputs, a result could be stale.
    """
    found: list[Entry] = []
    for line in manifest.decode(errors="surrogateescape").split("\n"):
        fields = line.split(" ", 2)
        if fields[0] == "result" and len(fields) == 2:  # noqa: PLR2004
            found.append((fields[1], []))
        elif len(fields) == 3 and found:  # noqa: PLR2004
            found[-1][1].append(fields)
    return [(name, inputs) for name, inputs in found if result_name(key, inputs) == name]


class Remote:
    """A store that other machines share, behind the proxy of remote.py on loopback."""

    def __init__(self, url: str) -> None:
        """Use the URL that `remote.py start` prints: `http://127.0.0.1:PORT/TOKEN`."""
        place, _, self.directory = url.removeprefix("http://").partition("/")
        host, _, port = place.partition(":")
        self.address = (host, int(port or 80))

    def get(self, name: str) -> "bytes | None":
        """Return a value; None if there is none, or no proxy."""
        return self._request("GET", name)

    def put(self, name: str, value: bytes) -> None:
        """Store a value, or do nothing if there is no proxy."""
        self._request("PUT", name, value)

    def _request(self, method: str, name: str, content: bytes = b"") -> "bytes | None":
        import _socket  # noqa: PLC0415 # importing socket takes as long as starting Python

        head = f"{method} /{self.directory}/depcache-{name} HTTP/1.1\r\nConnection: close\r\n"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        parts = []
        link = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        try:
            link.settimeout(REMOTE_SECONDS)
            link.connect(self.address)
            link.sendall(head.encode() + content)
            while part := link.recv(1 << 16):
                parts.append(part)
        except OSError:
            return None
        finally:
            link.close()
        fields, _, value = b"".join(parts).partition(b"\r\n\r\n")
        # A proxy that ended meanwhile must not leave half of a manifest.
        is_complete = fields.endswith(b"Content-Length: %d" % len(value))
        return value if fields.startswith(b"HTTP/1.1 200 ") and is_complete else None


class Store:
    """The directory of manifests, by the key of a call, and of results, by their inputs."""

    def __init__(self, directory: str) -> None:
        """Use a directory, which is created with the first result."""
        self.directory = directory
        url = os.environ.get("DEPCACHE_REMOTE")
        self.remote = Remote(url) if url else None
        self.others: list[Entry] = []
        """The entries of the remote store's manifest that the last `candidates` found."""

    def path_of(self, key: str) -> str:
        """Return the path of a key."""
        return path.join(self.directory, key[:2], key[2:])

    def manifest(self, key: str) -> "list[Entry]":
        """Return the results of a key, each with its inputs as (kind, digest, name)."""
        try:
            with open(self.path_of(key), "rb") as file:
                return entries(key, file.read())
        except FileNotFoundError:
            return []

    def candidates(self, key: str) -> "Iterator[Entry]":
        """Yield the results of a key: first the store's own, then those that others have."""
        own = self.manifest(key)
        yield from own
        if self.remote and (text := self.remote.get(key)):
            known = {name for name, _ in own}
            self.others = [entry for entry in entries(key, text) if entry[0] not in known]
            yield from self.others

    def result(self, key: str, entry: "Entry") -> Result:
        """Return the result of a candidate; one that only others have is stored here, too.

        Raises:
            OSError: it cannot be read.
            ValueError: it is damaged.
        """
        name, inputs = entry
        try:
            with open(self.path_of(name), "rb") as file:
                result = Result.unpack(file.read())
        except (OSError, ValueError):
            packed = self.remote.get(name) if self.remote else None
            if packed is None:
                raise
            result = Result.unpack(packed)
            self._write(key, name, inputs, packed)
            return result
        for used in (name, key):
            os.utime(self.path_of(used))
        return result

    def add(self, key: str, inputs: "list[list[str]]", result: Result) -> None:
        """Store a result, and then list it in the manifest; both also where others find them."""
        name = result_name(key, inputs)
        packed = result.pack()
        manifest = self._write(key, name, inputs, packed)
        if self.remote:
            self.remote.put(name, packed)
            self.remote.put(key, manifest)

    def _write(self, key: str, name: str, inputs: "list[list[str]]", packed: bytes) -> bytes:
        """Write a result and the manifest that lists it first; return the manifest."""
        for each in (key, name):
            os.makedirs(path.dirname(self.path_of(each)), exist_ok=True)
        write(self.path_of(name), packed)
        listed = {entry[0]: entry for entry in (*self.manifest(key), *self.others)}
        listed.pop(name, None)
        text = []
        for each, fields in [(name, inputs), *listed.values()][:VARIANTS]:
            text += [f"result {each}", *(" ".join(field) for field in fields)]
        manifest = ("\n".join(text) + "\n").encode(errors="surrogateescape")
        write(self.path_of(key), manifest)
        if int(name[:2], 16) % 16 == 0:
            self.trim(int(os.environ.get("DEPCACHE_MAXSIZE") or MAXSIZE))
        return manifest

    def files(self) -> "list[tuple[float, int, str]]":
        """Return (time of last use, bytes, path) of every file, the least recently used first."""
        found = []
        for directory, _, names in os.walk(self.directory):
            for name in names:
                try:
                    stat = os.stat(path.join(directory, name))
                except FileNotFoundError:
                    continue
                found.append((stat.st_mtime, stat.st_size, path.join(directory, name)))
        return sorted(found)

    def evict(self, before: float) -> None:
        """Remove files that were last used before a time, in seconds since 1970."""
        for used, _, name in self.files():
            if used < before:
                try:
                    os.unlink(name)
                except FileNotFoundError:
                    continue

    def trim(self, most: int) -> None:
        """If the store exceeds `most` bytes, remove old results until a fifth is free."""
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


def shadows(inputs: "Iterable[str]", directories: "Iterable[str]") -> "list[str]":
    """Return the files with the name of an input in other directories of the search path.

    If one is added or removed, an include may mean another file, though no input changed.
    """
    inputs = list(inputs)
    names = set()
    for name in inputs:
        parts = name.split("/")
        names |= {"/".join(parts[at:]) for at in range(len(parts)) if parts[at]}
    places = {path.join(directory, name) for directory in directories for name in names}
    return sorted(place for place in places - set(inputs) if path.isfile(place))


class Call:
    """One call, for which the store may have a result."""

    def __init__(self, command: CompileCommand, store: Store, memo: ToolMemo) -> None:
        """Determine the key.

        Raises:
            BypassError: the call cannot be cached safely.
        """
        self.command, self.store = command, store
        self.digests: dict[str, str] = {}
        sink = command.output
        if path.lexists(sink) and (path.islink(sink) or not path.isfile(sink)):
            raise BypassError("the output is not a regular file")
        tools = sorted({f"{path.realpath(t)} {memo.digest(t)}" for t in command.tools(memo)})
        environment = [f"{name}={os.environ.get(name)}" for name in command.environment]
        parts = [FORMAT, command.name, os.getcwd(), self.digest(command.source), *tools]
        text = "\0".join([*parts, *environment, str(len(command.arguments)), *command.arguments])
        self.key = sha256(text.encode(errors="surrogateescape")).hexdigest()
        directories = ["", path.dirname(command.source), *command.directories]
        self.directories = list(dict.fromkeys(directories))

    def digest(self, name: str) -> str:
        """Return the digest of an input, which is read once."""
        if name not in self.digests:
            self.digests[name] = digest(name)
        return self.digests[name]

    def _matches(self, inputs: "list[list[str]]") -> bool:
        try:
            if any(self.digest(name) != was for kind, was, name in inputs if kind == "in"):
                return False
        except OSError:
            return False
        there = [name for kind, _, name in inputs if kind == "shadow"]
        return (
            shadows((name for kind, _, name in inputs if kind == "in"), self.directories) == there
        )

    def hit(self) -> bool:
        """Write the stored result; return False if there is none."""
        for entry in self.store.candidates(self.key):
            if not self._matches(entry[1]):
                continue
            try:
                output, depfile, out, err = self.store.result(self.key, entry).parts
            except (OSError, ValueError):
                continue
            write(self.command.output, output)
            if self.command.depfile:
                write(self.command.depfile, depfile)
            for stream, text in ((sys.stdout, out), (sys.stderr, err)):
                stream.buffer.write(text)
                stream.flush()
            return True
        return False

    def compile(self) -> "tuple[int, str]":
        """Run the compiler and store its result; return the exit code and the outcome."""
        import shutil  # noqa: PLC0415 # slow
        import subprocess  # noqa: PLC0415
        import tempfile  # noqa: PLC0415
        import time  # noqa: PLC0415

        command, start = self.command, time.time_ns()
        directory = tempfile.mkdtemp(prefix="depcache-")
        try:
            target = path.join(directory, "inputs")
            done = subprocess.run(
                [command.compiler, *command.arguments, *command.listing(target)],
                capture_output=True, check=False,
            )  # fmt: skip
            for stream, text in ((sys.stdout, done.stdout), (sys.stderr, done.stderr)):
                stream.buffer.write(text)
                stream.flush()
            if done.returncode:
                return done.returncode if done.returncode > 0 else 128 - done.returncode, "failed"
            try:
                inputs = self._inputs(command.inputs(target), start)
                with open(command.output, "rb") as file:
                    output = file.read()
                depfile = b""
                if command.depfile:
                    with open(command.depfile, "rb") as file:
                        depfile = file.read()
                parts = [output, depfile, done.stdout, done.stderr]
                self.store.add(self.key, inputs, Result(parts))
            except (BypassError, OSError):
                return 0, "uncacheable"
            return 0, "miss"
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _inputs(self, names: "Sequence[str]", start: int) -> "list[list[str]]":
        """Return the inputs of a result, and the files that could be used instead of them.

        Raises:
            BypassError: an input changed during the compile, or makes the result uncacheable.
        """
        found = []
        for name in names:
            if "\n" in name:
                raise BypassError("a line break in a name")
            stat = os.stat(name)
            if max(stat.st_mtime_ns, stat.st_ctime_ns) >= start:
                raise BypassError(f"{name} changed meanwhile")
            with open(name, "rb") as file:
                content = file.read()
            if any(word in content for word in self.command.unsafe):
                raise BypassError(f"{name} makes the result depend on more than its inputs")
            found.append(["in", sha256(content).hexdigest(), name])
        return found + [["shadow", "-", name] for name in shadows(names, self.directories)]


def home() -> str:
    """Return the directory of the store."""
    ccache = os.environ.get("CCACHE_DIR")
    default = path.join(ccache, "depcache") if ccache else path.expanduser("~/.cache/depcache")
    return os.environ.get("DEPCACHE_DIR") or default


def run(name: str, arguments: "Sequence[str]") -> int:
    """Use the cached result of a call, or run the compiler; return the exit code."""
    log = os.environ.get("DEPCACHE_LOG")
    base = path.basename(name)

    def report(outcome: str) -> None:
        if log:
            append(log, f"{outcome} {base}\n")

    try:
        compiler = find(name, os.environ.get("PATH", ""))
    except BypassError as error:
        sys.stderr.write(f"depcache: {error} on PATH\n")
        return 127
    temp = os.environ.get("DEPCACHE_TEMP") or f"/tmp/depcache-{os.getuid()}"  # noqa: S108
    if os.environ.get("DEPCACHE_DISABLE") or base not in COMPILERS:
        os.execv(compiler, [compiler, *arguments])
    try:
        call = Call(COMPILERS[base](compiler, arguments), Store(home()), ToolMemo(temp))
        is_hit = call.hit()
    except (BypassError, OSError, UnicodeError):
        report("bypass")
        os.execv(compiler, [compiler, *arguments])
    if is_hit:
        report("hit")
        return 0
    try:
        code, outcome = call.compile()
    except OSError:  # for example, no free space for the list of inputs
        report("bypass")
        os.execv(compiler, [compiler, *arguments])
    report(outcome)
    return code


def install(directory: str, names: "Sequence[str]") -> None:
    """Install depcache in a directory, under the names of compilers.

    It is a zip application with bytecode, as Python would compile a script anew at each call.
    Another version of Python than this one runs the source that is beside the bytecode.
    """
    import py_compile  # noqa: PLC0415 # all of them rare
    import tempfile  # noqa: PLC0415
    import zipapp  # noqa: PLC0415
    from io import BytesIO  # noqa: PLC0415

    text = __loader__.get_source(__name__)  # this may be such an application itself
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    packed = BytesIO()
    with tempfile.TemporaryDirectory() as contents:
        source = path.join(contents, "__main__.py")
        write(source, text.encode())
        py_compile.compile(
            source, f"{source}c", "depcache.py", doraise=True, invalidation_mode=unchecked
        )
        zipapp.create_archive(contents, packed, text.partition("\n")[0].removeprefix("#!"))
    os.makedirs(directory, exist_ok=True)
    launcher = path.join(directory, "depcache.pyz")
    write(launcher, packed.getvalue())
    os.chmod(launcher, 0o755)  # noqa: S103 # it is a program
    for name in names:
        part = f"{launcher}.{name}"
        os.symlink("depcache.pyz", part)
        os.replace(part, path.join(directory, name))


def main(arguments: "Sequence[str]") -> int:  # noqa: PLR0911 # one for each command
    """Act as the compiler with the name of this program, or run a command."""
    name = path.basename(arguments[0])
    if not name.startswith("depcache"):
        return run(name, arguments[1:])
    if arguments[1:] == ["--version"]:
        print(f"depcache {__version__}")
        return 0
    if arguments[1:] == ["--stats"]:
        files = Store(home()).files()
        print(f"{home()}: {len(files)} files, {sum(size for _, size, _ in files)} bytes")
        return 0
    if arguments[1:] == ["--clear"]:
        Store(home()).trim(-1)
        return 0
    if len(arguments) == 3 and arguments[1] == "--evict-older-than":  # noqa: PLR2004
        import time  # noqa: PLC0415 # rare

        age = arguments[2].removesuffix("s")
        if not age.isdecimal():
            sys.stderr.write(f"depcache: {arguments[2]} is not a number of seconds, as in 60s\n")
            return 2
        Store(home()).evict(time.time() - int(age))
        return 0
    if len(arguments) > 2 and arguments[1] == "--install":  # noqa: PLR2004
        install(arguments[2], arguments[3:])
        return 0
    if len(arguments) > 1 and not arguments[1].startswith("-"):
        return run(arguments[1], arguments[2:])
    sys.stderr.write(__doc__ or "")
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv))
    except KeyboardInterrupt:
        sys.exit(130)
