"""Source tree overrides: `--libvmaf` and `--ffmpeg` replace the trees that the Dockerfiles fetch.

The tree is copied without its build directories. The copy has a `source.json`, which becomes the
entry in versions.json of the image, and is the named context that replaces the stage
`libvmaf-source` or `ffmpeg-source`.
"""

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from scripts.causes import inputs
from scripts.core import process
from scripts.core.console import UserError, say
from scripts.core.paths import cache_dir
from scripts.images import rocm
from scripts.images.features import FEATURES

_GIT_URL = re.compile(r"^(\w+://|git@)")
UNKNOWN_LICENCE = "LicenseRef-libvmaf-tree"
"""The licence of a --libvmaf tree that is none of `_LICENCES`."""
_LICENCES = {
    "BSD+Patent": "BSD-2-Clause-Patent",
    "EUROPEAN UNION PUBLIC LICENCE v. 1.2": "EUPL-1.2",
    "GNU GENERAL PUBLIC LICENSE Version 3": "GPL-3.0-only",
    "Apache License Version 2.0": "Apache-2.0",
    "MIT License": "MIT",
}
"""The SPDX ids of licences, by a text in the first characters of the licence file."""
_LICENCE_FILES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "COPYING")
_LICENCE_HEAD = 500
_RELEASE_TAG = re.compile(r"v?\d+(\.\d+)+")
DESCRIPTION = "source.json"
"""The file of a copy that becomes the tree's entry in versions.json."""
SHARED = "VMAF_SHARED_SOURCES"
"""The environment variable with the file of `share`, for builds that run at the same time."""
_TITLES = {"libvmaf": "libvmaf", "ffmpeg": "FFmpeg"}


@dataclass(frozen=True)
class SourceTree:
    """A copy of a source tree for a build."""

    project: str
    """`libvmaf` or `ffmpeg`."""
    directory: Path
    """The directory of the copy. It contains `source.json`, and for libvmaf the directories
    `libvmaf/` and `model/` and the licence; FFmpeg keeps its layout."""
    version: str
    features: frozenset[str]
    """The keys of `FEATURES` in libvmaf's Meson options, and `cpu`; empty for FFmpeg."""
    digest: str = ""
    """The SHA-256 of the names, modes and contents of its files, in versions.json as well."""
    licence: str = ""
    """The SPDX id of libvmaf's licence; empty for FFmpeg, as its configure states the licence."""
    needed_rocm: rocm.Requirement | None = None
    """The release of ROCm that its HIP code needs; None if the tree states none."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The entry of each file of the copy in the manifest of a build's inputs, by path."""

    @property
    def backends(self) -> frozenset[str]:
        """The compute backends among its features."""
        return frozenset(
            name for name in self.features if name == "cpu" or not FEATURES[name].left_out
        )

    @property
    def context(self) -> str:
        """The name of the stage that the tree replaces."""
        return f"{self.project}-source"


def prepare(project: str, location: str) -> SourceTree:
    """Copy the source tree at a path or git URL (`URL#REF`) for a build.

    Raises:
        UserError: the tree cannot be fetched, or is not a source tree of the project.
    """
    if shared := os.environ.get(SHARED):
        text = Path(shared).read_bytes()
        trees = msgspec.json.decode(text, type=dict[str, SourceTree], dec_hook=lambda t, v: t(v))
        return trees[project]
    origin = f"directory {Path(location).name}"
    tree = Path(location).expanduser().absolute()
    if _GIT_URL.match(location):
        tree, commit = _clone(project, location)
        origin = f"git {location.partition('#')[0]} {commit}"
    copy = copy_of(project, location)
    parts = _libvmaf_parts(tree) if project == "libvmaf" else _ffmpeg_parts(tree)
    above = parts["libvmaf"].parent if project == "libvmaf" else None
    digest, files = _copy(parts, copy, _licence_files(above) if above else [])
    version = _version(project, copy)
    if project == "libvmaf":
        version += _commit(parts["libvmaf"], location.partition("#")[2])
    description = {
        "name": _TITLES[project],
        "version": version,
        "source": origin,
        "digest": f"sha256:{digest}",
    }
    if project == "libvmaf":
        description["licence"] = _licence(parts["libvmaf"])
    described = copy / DESCRIPTION
    described.write_text(json.dumps(description) + "\n")
    described.chmod(0o644)
    files[described.name] = inputs.entry(0o644, hashlib.sha256(described.read_bytes()).hexdigest())
    say(f"{project}: {version} from {origin}")
    if project != "libvmaf":
        return SourceTree(project, copy, version, frozenset(), digest, files=files)
    return SourceTree(
        project,
        copy,
        version,
        _features(copy),
        digest,
        licence=description["licence"],
        needed_rocm=rocm.requirement(copy / "libvmaf"),
        files=files,
    )


def share(locations: Mapping[str, str], path: Path) -> Path:
    """Copy source trees for several builds, and describe the copies in a file; return its path.

    A build whose environment variable `SHARED` names the file uses the same copies.

    Args:
        locations: paths or git URLs, by project.
        path: the file.

    Raises:
        UserError: a tree cannot be fetched, or is not a source tree of its project.
    """
    trees = {project: prepare(project, location) for project, location in locations.items()}
    path.write_bytes(msgspec.json.encode(trees, enc_hook=str))
    return path


def copy_of(project: str, location: str) -> Path:
    """Return the directory to which `prepare` copies the source tree at a path or git URL."""
    key = hashlib.sha256(location.encode()).hexdigest()[:12]
    return cache_dir("sources") / f"{project}-{key}"


def _clone(project: str, url: str) -> tuple[Path, str]:
    """Fetch one commit of a repository; return the working tree and the commit.

    Raises:
        UserError: the repository or the commit cannot be fetched.
    """
    address, _, ref = url.partition("#")
    tree = cache_dir("clones") / f"{project}-{hashlib.sha256(address.encode()).hexdigest()[:12]}"
    tree.mkdir(exist_ok=True)
    say(f"{project}: fetching {url}")
    environment = {**process.environment(), "GIT_TERMINAL_PROMPT": "0"}
    for arguments in (
        ("init", "--quiet"),
        ("fetch", "--quiet", "--depth=1", address, ref or "HEAD"),
        ("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"),
        ("clean", "--quiet", "-ffdx"),
        ("rev-parse", "HEAD"),
    ):
        git = process.run("git", *arguments, cwd=tree, env=environment)
        if git.returncode:
            raise UserError(
                f"cannot fetch --{project} {url}",
                git.stderr.strip() or f"git {arguments[0]} failed",
                "Check the address and, after #, the branch, tag or commit.",
            )
    return tree, git.stdout.strip()


def _libvmaf_parts(tree: Path) -> dict[str, Path]:
    """Find the directories of libvmaf and its models in a checkout.

    libvmaf is in `libvmaf/` in Netflix's repository and in `core/` in the fork. The tree may also
    be that directory itself.

    Raises:
        UserError: the tree has no such directories.
    """
    for meson in (tree / "libvmaf", tree / "core", tree):
        models = meson.parent / "model"
        if (meson / "meson.build").is_file() and models.is_dir():
            return {"libvmaf": meson, "model": models}
    raise UserError(
        f"cannot build --libvmaf {tree}",
        "it has no libvmaf/meson.build (or core/meson.build) with a model/ directory beside"
        if tree.is_dir()
        else "there is no such directory",
        "Use the top directory of a libvmaf checkout, or a git URL.",
    )


def _ffmpeg_parts(tree: Path) -> dict[str, Path]:
    """Check that a tree is FFmpeg's and was not configured in place.

    Raises:
        UserError: the tree is not FFmpeg's, or was configured in place.
    """
    problem = f"cannot build --ffmpeg {tree}"
    if not (tree / "configure").is_file() or not (tree / "libavfilter").is_dir():
        raise UserError(
            problem,
            "it has no configure and libavfilter/"
            if tree.is_dir()
            else "there is no such directory",
            "Use the top directory of an FFmpeg checkout, or a git URL.",
        )
    if (tree / "config.h").exists():
        raise UserError(
            problem,
            "it was configured in place, so FFmpeg cannot be built in another directory",
            "Run `make distclean` in it, or use a clean checkout.",
        )
    return {".": tree}


def _files(directory: Path) -> Iterator[Path]:
    """Yield the files that git does not ignore or, without git, all outside build directories."""
    git = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if output := process.output(*git, cwd=directory):
        yield from (directory / name for name in output.split("\0") if name)
        return
    for parent, directories, names in os.walk(directory):
        directories[:] = [
            name
            for name in directories
            if name != ".git" and not (Path(parent) / name / "meson-private").exists()
        ]
        yield from (Path(parent) / name for name in names)


def _copy(
    parts: Mapping[str, Path], copy: Path, licences: Sequence[Path]
) -> tuple[str, dict[str, str]]:
    """Copy the files with their dates, and the licence files of the tree beside the parts.

    Return the SHA-256 of their names, modes and contents, and the entry of each in a manifest.

    Everyone may read the copies, because the steps that compile do not run as root.
    """
    shutil.rmtree(copy, ignore_errors=True)
    digest, entries = hashlib.sha256(), dict[str, str]()
    listed = [(file, copy / file.name) for file in licences]
    for name, directory in sorted(parts.items()):
        listed += [
            (file, copy / name / file.relative_to(directory)) for file in sorted(_files(directory))
        ]
    for file, target in listed:
        if not file.is_file():  # git also lists deleted files until the deletion is committed
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
        mode = "x" if file.stat().st_mode & stat.S_IXUSR else "-"
        target.chmod(0o755 if mode == "x" else 0o644)
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        path = str(target.relative_to(copy))
        digest.update(f"{path} {mode} {content}\n".encode())
        entries[inputs.encodable(path)] = inputs.entry(target.stat().st_mode, content)
    for parent, _, _ in os.walk(copy):
        Path(parent).chmod(0o755)
    return digest.hexdigest(), entries


def _version(project: str, copy: Path) -> str:
    """Return the version in libvmaf's meson.build or FFmpeg's RELEASE."""
    if project == "libvmaf":
        meson = (copy / "libvmaf" / "meson.build").read_text()
        match = re.search(r"^\s*version\s*:\s*'([^']+)'", meson, re.MULTILINE)
        return match[1] if match else "unknown"
    release = copy / "RELEASE"
    return release.read_text().strip() if release.exists() else "unknown"


def _commit(libvmaf: Path, ref: str) -> str:
    """Return `+g<commit>` for a checkout that is no release, else an empty string.

    A release has a tag such as v3.1.0. Changes that are not committed add `.dirty`. The commit of a
    repository that has libvmaf in a subdirectory would not be libvmaf's, so it is not used.

    Args:
        libvmaf: the directory of the library.
        ref: the branch, tag or commit that was fetched; empty for a local checkout.
    """
    top = process.output("git", "rev-parse", "--show-toplevel", cwd=libvmaf).strip()
    commit = process.output("git", "rev-parse", "--short=9", "HEAD", cwd=libvmaf).strip()
    if not commit or Path(top).resolve() not in (libvmaf.resolve(), libvmaf.parent.resolve()):
        return ""
    tags = process.output("git", "tag", "--points-at", "HEAD", cwd=libvmaf).split()
    models = ["../model"] if Path(top).resolve() == libvmaf.parent.resolve() else []
    dirty = process.output("git", "status", "--porcelain", "--", ".", *models, cwd=libvmaf)
    if any(_RELEASE_TAG.fullmatch(tag) for tag in (*tags, ref)) and not dirty:
        return ""
    return f"+g{commit}{'.dirty' if dirty else ''}"


def _licence(libvmaf: Path) -> str:
    """Return the SPDX id of the licence in a checkout; UNKNOWN_LICENCE if it is not recognized.

    Args:
        libvmaf: the directory of the library; the licence is in it or in the one above.
    """
    for path in (*_licence_files(libvmaf), *_licence_files(libvmaf.parent)):
        head = path.read_text(errors="replace")[:_LICENCE_HEAD]
        for name, licence in _LICENCES.items():
            if name in " ".join(head.split()):
                return licence
    return UNKNOWN_LICENCE


def _licence_files(directory: Path) -> list[Path]:
    """Return the licence files in a directory."""
    return [path for name in _LICENCE_FILES if (path := directory / name).is_file()]


def _features(copy: Path) -> frozenset[str]:
    """Return the features that libvmaf's Meson options offer, and `cpu`."""
    files = [copy / "libvmaf" / name for name in ("meson_options.txt", "meson.options")]
    text = "".join(path.read_text() for path in files if path.exists())
    offered = set(re.findall(r"^ *option\('enable_(\w+)'", text, re.MULTILINE))
    return frozenset({"cpu"} | offered & FEATURES.keys())
