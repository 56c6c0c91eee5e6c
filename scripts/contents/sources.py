"""Write the corresponding source of an image: `nox -s sources -- IMAGE`.

versions.json in the image names what the project built, and the label of the revision names the
commit with the recipes. Each archive is fetched by the digest that the image states, so the same
image always gives the same files.
"""

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import quote

from scripts.contents import inventory
from scripts.contents.archive import SavedImage
from scripts.contents.inventory import VERSIONS, Item
from scripts.core import git
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.images import sources as trees_of
from scripts.lock import download, sources_lock
from scripts.lock.sources_lock import CRATES, File, Lock

SUMS = "SHA256SUMS"
"""The file with the digests of all others."""
README = "README.txt"
PACKAGES = "debian.txt"
"""The list of Debian's source packages."""
REVISION = "org.opencontainers.image.revision"

_TITLE = "org.opencontainers.image.title"
_LOCK = str(sources_lock.PATH.relative_to(ROOT))
_GO_SUM = "server/go.sum"
_SNAPSHOT = f"{download.ARCHIVE}/package"
_BINARY = f"{download.ARCHIVE}/binary"
_SUITES = "|".join(sources_lock.SUITES)

_WORD = re.compile(r"[\w.+~:-]+")  # a name or a version, which become names of files
# The forms of `source` in versions.json.
_TARBALL = re.compile(r"(\S+) from Debian's pool")
_CRATE = re.compile(r"crate ([\w-]+) ([\w.+-]+) \(.*\)(, with .*)?")
_TREE = re.compile(r"(?:git (\S+) (\w+)|directory (.+))")
_PACKAGE = re.compile(rf"Debian package (\S+?)(?: \((?:{_SUITES})\))?(, .*)?")
_COMPILED = "compiled into"
_OWN = re.compile(r"(docker/\S+|server/ at \S+)")
_TOOL = re.compile(r"Debian \d\S*")
_BINARIES = re.compile(r"(PyPI wheel|image) \S+.*")
# Packages whose headers are compiled into a component, by the name of the component.
_HEADERS = {"libplacebo": "vulkan-headers"}


@dataclass
class _Work:
    """What is written so far."""

    saved: SavedImage
    commit: str
    lock: Lock
    trees: Mapping[str, str]
    environment: Mapping[str, str]
    directory: Path
    here: list[str] = field(default_factory=list)
    """Lines of the README on components whose source is in the directory."""
    elsewhere: list[str] = field(default_factory=list)
    """Lines of the README on components whose source is not in the directory."""
    binaries: dict[str, str] = field(default_factory=dict)
    """The versions of Debian packages that were compiled into a component, by name."""
    unpacked: dict[str, str] = field(default_factory=dict)
    """The archives of source trees without their suffixes, by project."""

    @property
    def recipes(self) -> str:
        """The name of the archive of this repository, without its suffix."""
        return f"vmaf-images-{self.commit[:12]}"

    def locked(self, file: File) -> str:
        """Copy a file of the lock into the directory; return its name."""
        mirrors = inventory.mirrors(self.saved)
        path = download.fetch(file, self.lock.archive, mirrors, self.environment)
        shutil.copyfile(path, self.directory / path.name)
        return path.name


def write(
    tag: str,
    saved: SavedImage,
    directory: Path,
    *,
    trees: Mapping[str, str],
    environment: Mapping[str, str],
) -> list[Path]:
    """Write the corresponding source of an image to a directory, and return the files, sorted.

    The directory appears when it is complete; it replaces an earlier one of this function. The
    files have the time of the commit that the image was built from.

    Args:
        tag: the name of the image in messages. The files do not contain it.
        saved: the image.
        directory: the directory to write.
        trees: the paths or git URLs of source trees that the image was built from, by project
            (`libvmaf`, `ffmpeg`). A tree from a git URL need not be given.
        environment: the environment variables of the user, for the origins of the files.

    Raises:
        UserError: the image has no versions.json, or does not name a commit of this checkout; a
            file cannot be fetched, or has another digest; a source tree is not given, or is not
            the one that was built; the directory exists and is no earlier result.
    """
    is_empty = directory.is_dir() and not any(directory.iterdir())
    if directory.exists() and not is_empty and not (directory / SUMS).is_file():
        raise UserError(
            "cannot write the sources",
            f"{directory} exists, is not empty, and has no {SUMS} of an earlier run",
            "Name another directory by --output, or remove that one.",
        )
    try:
        versions = saved.read(VERSIONS)
    except FileNotFoundError as error:
        raise UserError(
            f"cannot write the sources of {tag}",
            f"it has no {VERSIONS}, which names what it was built from",
            "Name an image of docker-bake.hcl.",
        ) from error
    commit = _commit(tag, saved)
    lock = Lock.parse(git.read(commit, _LOCK))
    try:
        items = inventory.read(saved)
    except (KeyError, ValueError) as error:
        raise UserError(
            f"cannot read the components of {tag}",
            f"{type(error).__name__}: {error}",
            f"{VERSIONS} or dpkg's status is invalid; build the image again.",
        ) from error
    with _replaced(directory) as made:
        work = _Work(saved, commit, lock, trees, environment, made)
        git.archive(commit, work.recipes, made / f"{work.recipes}.tar")
        (made / PurePosixPath(VERSIONS).name).write_bytes(versions)
        installed = {item.name for item in items if item.listed_in != VERSIONS}
        for item in items:
            if item.listed_in == VERSIONS:
                _write_component(work, item, installed)
        _write_modules(work, [item for item in items if item.kind == "golang"])
        _write_crates(work, [item for item in items if item.kind == "cargo"])
        (made / PACKAGES).write_text(_debian(work))
        (made / README).write_text(_readme(work))
        written = sorted(path for path in made.rglob("*") if path.is_file())
        sums = [f"{_sha256(path)}  {path.relative_to(made)}\n" for path in written]
        (made / SUMS).write_text("".join(sums))
        _settle(made, git.time(commit))
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _commit(tag: str, saved: SavedImage) -> str:
    """Return the commit of this checkout that an image was built from.

    Raises:
        UserError: the image does not name one, or this checkout does not have it.
    """
    revision = _labels(saved).get(REVISION, "unknown")
    why, todo = "", "Build it again from a commit: `git status` must show no change."
    if revision.endswith("-dirty"):
        why = f"it was built from edited files; its revision is {revision}"
    elif not re.fullmatch(r"[0-9a-f]{40}", revision):
        why = f"its revision is {revision!r}, not a commit"
    elif not git.has(revision):
        why = f"this checkout does not have the commit {revision}"
        todo = "Fetch it: `git fetch`, or `git fetch --unshallow` in a shallow clone."
    if why:
        raise UserError(f"cannot write the sources of {tag}", why, todo)
    return revision


def _labels(saved: SavedImage) -> Mapping[str, str]:
    return saved.config.get("config", {}).get("Labels") or {}


@contextmanager
def _replaced(directory: Path) -> Iterator[Path]:
    """Yield a new directory, which replaces another one when the block has ended."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{directory.name}.", dir=directory.parent) as beside:
        made = Path(beside) / "made"
        made.mkdir()
        yield made
        if directory.exists():
            directory.rename(Path(beside) / "old")
        made.rename(directory)


def _settle(directory: Path, seconds: int) -> None:
    """Give all files and directories one time, and the modes that everyone can read."""
    for path in [*directory.rglob("*"), directory]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (seconds, seconds))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_component(work: _Work, item: Item, installed: set[str]) -> None:
    """Write the source of a component of versions.json, and the lines on it in the README.

    Args:
        work: what is written so far.
        item: the component.
        installed: the names of the Debian packages in the image.

    Raises:
        UserError: the source is of no known form, or cannot be fetched.
    """
    title = f"{item.name} {item.version}"
    if not _WORD.fullmatch(item.name) or not _WORD.fullmatch(item.version):
        raise _unknown(item)
    package = _PACKAGE.fullmatch(item.source)
    is_tool = package and package[1] not in installed and item.name in inventory.TOOLS
    if is_tool or _TOOL.fullmatch(item.source):
        work.elsewhere.append(f"{title}: {item.source}, a tool of the build")
    elif _BINARIES.fullmatch(item.source):
        work.elsewhere.append(f"{title}: {item.source}, as its vendor distributes it")
    elif package:
        work.here.append(f"{title}: {_package(work, item, package, installed)}")
    else:
        work.here.append(f"{title}: {_archive(work, item)}")
    if headers := work.lock.files.get(_HEADERS.get(item.name, "")):
        work.here.append(f"{headers.name} {headers.version}: {work.locked(headers)}")


def _archive(work: _Work, item: Item) -> str:
    """Write the archive that a component was built from; return where it is.

    Raises:
        UserError: the source is of no known form, or cannot be fetched.
    """
    if match := _TARBALL.fullmatch(item.source):
        return work.locked(_file(work, item, match[1]))
    if match := _CRATE.fullmatch(item.source):
        name = work.locked(File(item.name, match[2], item.sha256, CRATES, match[1]))
        return f"{name}{match[3]} of {work.recipes}.tar" if match[3] else name
    if match := _TREE.fullmatch(item.source):
        return _tree(work, item, f"{match[1]}#{match[2]}" if match[1] else "")
    if _OWN.fullmatch(item.source):
        return f"{work.recipes}.tar"
    raise _unknown(item)


def _unknown(item: Item) -> UserError:
    return UserError(
        f"cannot write the source of {item.name}",
        f"{VERSIONS} states {item.version!r} from {item.source!r}, which is of no known form",
        "Build the image again with the recipes of this checkout.",
    )


def _package(work: _Work, item: Item, match: re.Match[str], installed: set[str]) -> str:
    """Write the Debian package that a component is from, or list it; return where it is.

    Raises:
        UserError: the package is not in the lock, or cannot be fetched.
    """
    package, change = match[1], match[2] or ""
    if package in installed:
        return f"Debian's package {package}, in {PACKAGES}"
    if _COMPILED in change:
        work.binaries[package] = item.version
        return f"Debian's package {package}, in {PACKAGES}{change}"
    name = work.locked(_file(work, item, package))
    return f"{name}{change} of {work.recipes}.tar" if change else name


def _file(work: _Work, item: Item, name: str) -> File:
    """Return the line of the lock with the digest of a component.

    If VMAF_LOCK=accept has taken another release than the locked one, return the line of the locked
    one with the accepted version.

    Args:
        work: what is written so far.
        item: the component.
        name: the name of its tarball, or of its package.

    Raises:
        UserError: the lock has neither.
    """
    package = name.partition("_")[0]
    found: File | None = None
    for file in work.lock.files.values():
        if file.sha256 == item.sha256:
            return file
        pool, _, locked = file.path.rpartition("/")
        if file.is_debian and locked.startswith(f"{package}_"):
            suffix = locked.removeprefix(f"{package}_{file.version}")
            path = f"{pool}/{package}_{item.version.rpartition(':')[2]}{suffix}"
            found = replace(file, version=item.version, sha256=item.sha256, path=path, address="")
    if not found:
        raise UserError(
            f"cannot write the source of {item.name}",
            f"{_LOCK} at {work.commit[:12]} has no file with the digest {item.sha256}",
            "Build the image again.",
        )
    return found


def _tree(work: _Work, item: Item, origin: str) -> str:
    """Write the source tree that a component was built from; return the name of the archive.

    Args:
        work: what is written so far.
        item: the component.
        origin: a git URL with the commit; empty for a directory.

    Raises:
        UserError: the tree is not given, cannot be fetched, or is another one.
    """
    option = f"--{item.name}"
    location = work.trees.get(item.name) or origin
    if not location:
        raise UserError(
            f"cannot write the source of {item.name}",
            f"it was built from the {item.source}, and an image has no path of it",
            f"Name the same source tree by {option} PATH.",
        )
    tree = trees_of.prepare(item.name, location)
    if tree.digest != item.sha256:
        raise UserError(
            f"cannot write the source of {item.name}",
            f"{location} is not what the image was built from: its digest is {tree.digest}, "
            f"and {VERSIONS} has {item.sha256}",
            f"Check out the version {item.version} without further changes, or name another "
            f"tree by {option}.",
        )
    stem = work.unpacked[item.name] = f"{item.name}-{item.version}"
    with tarfile.open(work.directory / f"{stem}.tar", "w") as tar:
        for path in sorted(tree.directory.rglob("*")):
            if not path.is_file() or path.name == trees_of.DESCRIPTION:
                continue
            member = tarfile.TarInfo(f"{stem}/{path.relative_to(tree.directory)}")
            member.size, member.mtime = path.stat().st_size, git.time(work.commit)
            member.mode = path.stat().st_mode & 0o777
            with path.open("rb") as file:
                tar.addfile(member, file)
    return f"{stem}.tar"


def _write_modules(work: _Work, modules: Sequence[Item]) -> None:
    """Write the Go modules that were compiled into programs, as the zip files of go.sum.

    Raises:
        UserError: go.sum does not have a module, or it cannot be fetched.
    """
    text = git.read(work.commit, _GO_SUM)
    rows = [line.split() for line in text.splitlines()]
    sums = {(row[0], row[1]): row[2] for row in rows if len(row) == 3}  # noqa: PLR2004 (columns)
    for item in sorted(modules, key=lambda item: item.name):
        if item.name == "stdlib":
            work.elsewhere.append(
                f"Go {item.version}: compiler and standard library, a tool of the build"
            )
            continue
        digest = sums.get((item.name, item.version))
        if not digest:
            raise UserError(
                f"cannot write the source of {item.name}",
                f"{_GO_SUM} at {work.commit[:12]} does not have {item.version}, which is in "
                f"{item.listed_in}",
                "Build the image again from a commit.",
            )
        path = download.fetch_module(item.name, item.version, digest, work.environment)
        target = work.directory / "go" / f"{item.name}@{item.version}.zip"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        work.here.append(f"{item.name} {item.version}: {target.relative_to(work.directory)}")


def _write_crates(work: _Work, items: Sequence[Item]) -> None:
    """Write the crates that were compiled into programs.

    Raises:
        UserError: a crate cannot be fetched, or has another digest than the image states.
    """
    for item in sorted(items, key=lambda item: (item.name, item.version)):
        file = File(item.name, item.version, item.sha256, CRATES, item.name)
        path = download.fetch(file, work.lock.archive, (), work.environment)
        target = work.directory / "cargo" / path.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
        work.here.append(f"{item.name} {item.version}: {target.relative_to(work.directory)}")


def _debian(work: _Work) -> str:
    """Return the list of the source packages of the image's Debian packages."""
    lines = [
        "# Debian's source packages of the packages in the image: source package = version, where",
        "# Debian keeps it, and the packages that were made from it or have parts of it.",
    ]
    for (source, version), packages in inventory.debian_sources(work.saved).items():
        address = f"{_SNAPSHOT}/{quote(source)}/{quote(version, safe='')}/"
        lines.append(f"{source} = {version}  {address}  {' '.join(packages)}")
    if work.binaries:
        lines.append("# Packages that were compiled into a component, with their sources.")
        lines += [
            f"{name} = {version}  {_BINARY}/{quote(name)}/{quote(version, safe='')}/"
            for name, version in sorted(work.binaries.items())
        ]
    return "".join(f"{line}\n" for line in lines)


def _readme(work: _Work) -> str:
    """Return the README: what is what, and how to build from it."""
    labels = _labels(work.saved)
    title = labels.get(_TITLE, "an image")
    here = "\n".join(f"  {line}" for line in work.here)
    elsewhere = "\n".join(f"  {line}" for line in work.elsewhere) or "  nothing"
    commands = "\n".join(f"  {line}" for line in _commands(work, labels))
    return f"""\
The corresponding source of {title}, which vmaf-images built from its commit
{work.commit}.

{work.recipes}.tar: the Dockerfiles, recipes and patches
versions.json: the list of components that is in the image
{PACKAGES}: the image's Debian packages by source package, and where Debian keeps each
{SUMS}: the digests of the files

Components that vmaf-images built, and their sources:
{here}

Without a source here:
{elsewhere}

To build the image, which fetches the same files by their digests:

{commands}

docs/sources.md there describes how to build a changed libvmaf or FFmpeg from a directory. A crate
is a .tar.gz file; libvmaf is in its vendored/vmaf.
"""


def _commands(work: _Work, labels: Mapping[str, str]) -> Iterator[str]:
    """Yield the commands that build the image."""
    yield f"sha256sum --check {SUMS}"
    for stem in (work.recipes, *work.unpacked.values()):
        yield f"tar -xf {stem}.tar"
    yield f"cd {work.recipes}"
    words = [f"nox -s build-{labels.get(_TITLE, 'vmaf:cpu').partition(':')[2]}"]
    if without := labels.get("vmaf.without"):
        words.insert(0, f'FFMPEG_WITHOUT="{without}"')
    options = [f"--{project} ../{stem}" for project, stem in work.unpacked.items()]
    release = labels.get("vmaf.ffmpeg", "")
    if f"ffmpeg{release}" in work.lock.files:
        options.append(f"--ffmpeg-release {release}")
    yield " ".join([*words, *(["--", *options] if options else [])])
