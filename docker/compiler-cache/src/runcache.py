#!/usr/bin/python3 -IS
"""Keeps what a command leaves in its working folder, by all the files that it could read.

    find /usr /etc -print0 | runcache.py ./configure --prefix=/usr

For commands that look for files which are not there, so that no list of what they read
can be had: configure and its like. The names of everything within their reach come on
standard input, each with a zero byte behind it. A result is found by the command, its
working folder, the environment, and the kind, mode and content of everything named: a
file more, less or changed makes another key. The working folder must not hold files yet.

The store is depcache.py's, with its variables; see docs/launcher.md. What the command
said is repeated, and nothing is kept of a command that failed.
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

from depcache import Result, Store, append, home

FORMAT = "runcache 1"
"""Part of every key: a later format finds nothing of an earlier one."""
PIECE = 1 << 16
"""Bytes read at once; most files have less."""
TOGETHER = 256
"""Files that a thread takes at once: handing one over takes longer than most take to read."""
FREE = ("DEPCACHE_", "CCACHE_", "HOSTNAME=", "OLDPWD=", "_=")
"""Beginnings of what in the environment changes no result."""


def entry(name: bytes) -> bytes:
    """Return what a file is to those that read it: kind, mode, content.

    What cannot be read is nothing that the command could read either.
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
    """Return what some files are."""
    return b"".join(map(entry, names))


def key(command: Sequence[str], names: Iterable[bytes]) -> str:
    """Return what a command's result is kept under."""
    machine = os.uname()
    environment = (f"{name}={value}" for name, value in os.environ.items())
    words = [FORMAT, str(Path.cwd()), machine.sysname, machine.machine, str(len(command)), *command]
    words += sorted(word for word in environment if not word.startswith(FREE))
    total = sha256("\0".join(words).encode(errors="surrogateescape"))
    found = sorted(set(names))
    pieces = [found[at : at + TOGETHER] for at in range(0, len(found), TOGETHER)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # a digest lets other threads run
        for some in pool.map(entries, pieces):
            total.update(some)
    return total.hexdigest()


def packed() -> bytes:
    """Return all that is in the working folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        archive.add(".")
    return buffer.getvalue()


def unpack(archive: bytes) -> None:
    """Put it back, as made now: what make builds from it would else be older."""
    now = int(time.time())
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            files.extract(member.replace(mtime=now), filter="tar")


def say(out: bytes, err: bytes) -> None:
    """Repeat what a command said."""
    for stream, text in ((sys.stdout, out), (sys.stderr, err)):
        stream.buffer.write(text)
        stream.flush()


def answer(store: Store, name: str) -> bool:
    """Answer from the store; False where it has nothing whole."""
    for result, _ in store.variants(name):
        place = store.place(result)
        try:
            archive, out, err = Result.unpack(Path(place).read_bytes()).parts
            for used in (place, store.place(name)):
                os.utime(used)
        except (OSError, ValueError):
            continue
        unpack(archive)
        say(out, err)
        return True
    return False


def main(command: Sequence[str]) -> int:
    """Answer a command, or run it; return its code."""
    if not command or command[0].startswith("-"):
        sys.stderr.write(__doc__ or "")
        return 2
    log = os.environ.get("DEPCACHE_LOG")
    names = sys.stdin.buffer.read().split(b"\0")[:-1]
    store = Store(home())
    outcome, code, name = "passed", 0, ""
    try:
        if not os.environ.get("DEPCACHE_DISABLE") and not any(file for _, _, file in os.walk(".")):
            name = key(command, names)
        if name and answer(store, name):
            outcome = "hit"
    except OSError:  # a file that is gone again, a store that cannot be read
        name = ""
    if outcome != "hit":
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        say(done.stdout, done.stderr)
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        try:
            if name and not code:
                store.keep(name, [], Result([packed(), done.stdout, done.stderr]))
                outcome = "miss"
        except OSError:  # no room, say: the command has done its work
            outcome = "unsafe"
    if log:
        append(log, f"{outcome} {Path(command[0]).name}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
