"""Download files of the lock, and Go modules, to this machine; the digest of each is checked.

They stay in the user's cache, so that the sources of several images are downloaded once.
"""

import base64
import hashlib
import http.client
import re
import shutil
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, unquote, urlsplit

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.core.paths import cache_dir
from scripts.lock import crates
from scripts.lock.sources_lock import CRATES, File

ARCHIVE = "https://snapshot.debian.org"
"""Debian's archive of all versions of all packages."""
SECONDS = 60
"""The timeout for a server that does not answer, in seconds."""


def fetch(file: File, day: str, mirrors: Sequence[str], environment: Mapping[str, str]) -> Path:
    """Return a file of the lock, in the user's cache.

    As in locked.sh, a file is taken from a mirror of Debian, from upstream, or from Debian's
    archive, in this order.

    Args:
        file: a tarball or package of Debian's pool, or a crate.
        day: the time in Debian's archive at which it has the files of the lock.
        mirrors: the URLs of Debian's mirrors.
        environment: the environment variables of the user, for the index of crates.

    Raises:
        UserError: no origin has the file, or its content is another one.
    """
    name = file.path.rpartition("/")[2]
    if file.origin == CRATES:
        name = f"{file.path}-{file.version}.crate"

    def addresses() -> Iterable[str]:
        if file.origin == CRATES:
            yield crates.address(file, environment)
        else:
            yield from (f"{mirror.rstrip('/')}/{quote(file.path)}" for mirror in mirrors)
            yield from filter(None, [file.address])
            yield f"{ARCHIVE}/archive/debian/{day}/{quote(file.path)}"

    return _stored(name, file.sha256, addresses(), _sha256)


def fetch_module(module: str, version: str, digest: str, environment: Mapping[str, str]) -> Path:
    """Return the zip file of a Go module, in the user's cache.

    Args:
        module: the path of the module.
        version: its version.
        digest: its digest in go.sum, such as `h1:4zC9...=`.
        environment: the environment variables of the user; GOPROXY names the proxies. Without
            it, they are those that Go uses.

    Raises:
        UserError: no proxy is known or has the module, or its content is another one.
    """
    path, escaped = (re.sub("[A-Z]", lambda m: f"!{m[0].lower()}", t) for t in (module, version))
    configured = environment.get("GOPROXY") or process.output("go", "env", "GOPROXY").strip()
    if not configured:
        raise UserError(
            f"cannot fetch the Go module {module}",
            "GOPROXY is not set, and Go is not installed",
            "Install Go, or set GOPROXY to the address of a proxy for Go modules.",
        )
    proxies = re.split(r"[,|]", configured)
    addresses = [
        f"{proxy.rstrip('/')}/{quote(path)}/@v/{quote(escaped)}.zip"
        for proxy in proxies
        if "://" in proxy
    ]
    return _stored(f"{module.replace('/', '_')}@{version}.zip", digest, addresses, module_digest)


def module_digest(path: Path) -> str:
    """Return the digest of the zip file of a Go module, as go.sum has it.

    It is the SHA-256 of a list of the files' names and digests. An invalid zip file has none.
    """
    try:
        with zipfile.ZipFile(path) as file:
            lines = [
                f"{hashlib.sha256(file.read(name)).hexdigest()}  {name}\n"
                for name in sorted(file.namelist())
            ]
    except zipfile.BadZipFile:
        return "none, as it is no zip file"
    return "h1:" + base64.b64encode(hashlib.sha256("".join(lines).encode()).digest()).decode()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stored(
    name: str, digest: str, addresses: Iterable[str], digest_of: Callable[[Path], str]
) -> Path:
    """Return a file of the cache, which is downloaded if the cache does not have it.

    Args:
        name: the name of the file.
        digest: its digest.
        addresses: URLs; the first that exists is used.
        digest_of: a function that returns the digest of a file.

    Raises:
        UserError: no address has the file, or its content is another one.
    """
    key = hashlib.sha256(digest.encode()).hexdigest()[:16]
    path = cache_dir("downloads") / key / name
    if path.is_file() and digest_of(path) == digest:
        return path
    path.parent.mkdir(exist_ok=True)
    failures = []
    with TemporaryDirectory(dir=path.parent) as directory:
        part = Path(directory) / name
        for url in addresses:
            try:
                _download(url, part)
            except (OSError, ValueError, http.client.HTTPException) as error:
                failures.append(f"{_shown(url)}: {error}")
                continue
            found = digest_of(part)
            if found == digest:
                return part.replace(path)
            raise UserError(
                f"cannot use {name}",
                f"{_shown(url)} has a file with the digest {found}, expected {digest}",
                "Do not use the file before you know why.",
            )
    raise UserError(
        f"cannot fetch {name}",
        "; ".join(failures) or "no address is known",
        "Check the network, or try again when one of the servers answers.",
    )


def _download(url: str, path: Path) -> None:
    """Write the content of a URL to a file.

    Raises:
        OSError: the server does not answer with the file.
        ValueError: it is no URL.
        http.client.HTTPException: the server does not send the complete file.
    """
    say(f"fetching {_shown(url)}")
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(parts._replace(netloc=host).geturl())  # noqa: S310 (digests)
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credentials = base64.b64encode(pair.encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {credentials}")
    with (
        urllib.request.urlopen(request, timeout=SECONDS) as answer,  # noqa: S310 (digests)
        path.open("wb") as file,
    ):
        shutil.copyfileobj(answer, file)
        length = answer.headers.get("Content-Length")
        if length and file.tell() != int(length):
            raise http.client.IncompleteRead(b"", int(length) - file.tell())


def _shown(url: str) -> str:
    """Return a URL without the user and password that it may contain."""
    return re.sub(r"//[^/@]*@", "//", url)
