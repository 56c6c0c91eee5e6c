"""Files that several processes of this project read and write at the same time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from scripts.core.console import UserError


def replace(path: Path, text: str) -> None:
    """Replace a file by one that only its owner can read; no reader ever sees a part of it."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
    Path(file.name).replace(path)


def append(path: str, text: str) -> None:
    """Append to a file that the user named; create it, with its directory, if it does not exist.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        raise UserError(
            f"cannot write {path}", error.strerror or str(error), "Choose another --output."
        ) from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process is in such a block for the same path, and keep them out.

    Args:
        path: the file that the block changes. The lock is a file beside it, which remains.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
