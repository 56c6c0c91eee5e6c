#!/usr/bin/python3 -IS
"""Cache the files that a command writes, by the content of all the files that it could read.

    find /usr /etc -print0 | runcache.py ./configure --prefix=/usr
    runcache.py --version

This is for commands such as configure, which look for files that may not exist, so that no list
of what they read is complete. Standard input is a list of all files within their reach, each
followed by a zero byte. The key is the command, the working directory, the environment, and the
type, mode and content of every file in the list. The working directory must have no files.

The store and its variables are depcache.py's. A hit prints the command's output again, and a
command that failed is not stored. README.md says more.
"""

import io
import os
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from depcache import Result, Store, __version__, append, home

FORMAT = "runcache 1"
"""Part of every key. It changes only if results of an earlier version could be wrong."""
PIECE = 1 << 16
"""Bytes that are read at once; most files are smaller."""
TOGETHER = 256
"""Files for a thread at once, as passing one to a thread takes longer than reading most files."""
FREE = ("DEPCACHE_", "CCACHE_", "HOSTNAME=", "OLDPWD=", "_=")
"""How variables begin that affect no result."""


def entry(name: bytes) -> bytes:
    """Return the type, mode and content of a file, for the key.

    A file that cannot be read here cannot be read by the command, either.
    """
    found = os.lstat(name)
    what = b""
    if stat.S_ISLNK(found.st_mode):
        what = os.fsencode(Path(os.fsdecode(name)).readlink())
    elif stat.S_ISREG(found.st_mode):
        try:
            what = digest(name)
        except PermissionError:
            what = b"unreadable"
    return b"%d %d %s%o %s" % (len(name), len(what), name, found.st_mode, what)


def digest(name: bytes) -> bytes:
    """Return the SHA-256 of a file's content."""
    total = sha256()
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while piece := os.read(file, PIECE):
            total.update(piece)
    finally:
        os.close(file)
    return total.digest()


def entries(names: Sequence[bytes]) -> bytes:
    """Return the entries of some files."""
    return b"".join(map(entry, names))


def key(command: Sequence[str], names: Iterable[bytes]) -> str:
    """Return the key of a command."""
    machine = os.uname()
    environment = (f"{name}={value}" for name, value in os.environ.items())
    words = [FORMAT, str(Path.cwd()), machine.sysname, machine.machine, str(len(command)), *command]
    words += sorted(word for word in environment if not word.startswith(FREE))
    total = sha256("\0".join(words).encode(errors="surrogateescape"))
    found = sorted(set(names))
    pieces = [found[at : at + TOGETHER] for at in range(0, len(found), TOGETHER)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing releases the interpreter's lock
        for some in pool.map(entries, pieces):
            total.update(some)
    return total.hexdigest()


def packed() -> bytes:
    """Return an archive of the working directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        archive.add(".")
    return buffer.getvalue()


def unpack(archive: bytes) -> None:
    """Extract an archive with the current time, so that make does not see older files."""
    now = int(time.time())
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            files.extract(member.replace(mtime=now), filter="tar")


def replay(out: bytes, err: bytes) -> None:
    """Print the output of a command."""
    for stream, text in ((sys.stdout, out), (sys.stderr, err)):
        stream.buffer.write(text)
        stream.flush()


def restore(store: Store, name: str) -> bool:
    """Restore a stored result; return False if there is none that is intact."""
    for entry in store.candidates(name):
        try:
            archive, out, err = store.result(name, entry).parts
        except (OSError, ValueError):
            continue
        unpack(archive)
        replay(out, err)
        return True
    return False


def main(command: Sequence[str]) -> int:
    """Use the cached result of a command, or run it; return the exit code."""
    if command == ["--version"]:
        print(f"runcache {__version__}")
        return 0
    if not command or command[0].startswith("-"):
        sys.stderr.write(__doc__ or "")
        return 2
    log = os.environ.get("DEPCACHE_LOG")
    names = sys.stdin.buffer.read().split(b"\0")[:-1]
    store = Store(home())
    outcome, code, name = "bypass", 0, ""
    try:
        if not os.environ.get("DEPCACHE_DISABLE") and not any(file for _, _, file in os.walk(".")):
            name = key(command, names)
        if name and restore(store, name):
            outcome = "hit"
    except OSError:  # for example, a file that was removed, or an unreadable store
        name = ""
    if outcome != "hit":
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        replay(done.stdout, done.stderr)
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        try:
            if name and not code:
                store.add(name, [], Result([packed(), done.stdout, done.stderr]))
                outcome = "miss"
        except OSError:  # for example, no free space; the command itself succeeded
            outcome = "uncacheable"
    if log:
        append(log, f"{outcome} {Path(command[0]).name}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
