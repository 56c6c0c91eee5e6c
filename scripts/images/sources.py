"""Source trees given by the user in place of the ones the Dockerfiles fetch.

A given tree is copied aside, without what its owner's builds left in it, and
described in a `source.json` for the image's manifest. The copy is the named
context that replaces the stage `libvmaf-source` or `ffmpeg-source`.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scripts.core.console import UserError, say
from scripts.core.paths import cache_dir

_GIT_URL = re.compile(r"^(\w+://|git@)")
_BACKENDS = ("cuda", "hip", "sycl")


@dataclass(frozen=True)
class Source:
    """A source tree made ready to build."""

    project: str
    """`libvmaf` or `ffmpeg`."""
    folder: Path
    """The copy: for libvmaf `libvmaf/`, `model/`, `source.json`; FFmpeg's own layout otherwise."""
    version: str
    backends: frozenset[str]
    """What libvmaf's meson_options.txt offers, `cpu` included; empty for FFmpeg."""

    @property
    def context(self) -> str:
        """The stage it replaces."""
        return f"{self.project}-source"


def prepare(project: str, where: str) -> Source:
    """Make the tree at a path or git URL (`URL#REF`) ready to build.

    Raises:
        UserError: it cannot be had, or is not the project's tree.
    """
    origin = f"directory {Path(where).name}"
    tree = Path(where).expanduser().absolute()
    if _GIT_URL.match(where):
        tree, commit = _clone(project, where)
        origin = f"git {where.partition('#')[0]} {commit}"
    key = hashlib.sha256(where.encode()).hexdigest()[:12]
    copy = cache_dir("sources") / f"{project}-{key}"
    parts = _libvmaf_parts(tree) if project == "libvmaf" else _ffmpeg_parts(tree)
    digest = _copy(parts, copy)
    version = _version(project, copy)
    description = {
        "name": {"libvmaf": "libvmaf", "ffmpeg": "FFmpeg"}[project],
        "version": version,
        "source": origin,
        "digest": f"sha256:{digest}",
    }
    (copy / "source.json").write_text(json.dumps(description) + "\n")
    say(f"{project}: {version} from {origin}")
    return Source(project, copy, version, _backends(copy) if project == "libvmaf" else frozenset())


def _clone(project: str, url: str) -> tuple[Path, str]:
    """Fetch one commit of a repository; return the tree and the commit."""
    address, _, ref = url.partition("#")
    tree = cache_dir("clones") / f"{project}-{hashlib.sha256(address.encode()).hexdigest()[:12]}"
    say(f"{project}: fetching {url}")
    for command in (
        ["init", "--quiet"],
        ["fetch", "--quiet", "--depth=1", address, ref or "HEAD"],
        ["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"],
        ["clean", "--quiet", "-ffdx"],
    ):
        tree.mkdir(exist_ok=True)
        done = subprocess.run(
            ["git", *command],
            cwd=tree,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UserError(
                f"cannot fetch --{project} {url}",
                done.stderr.strip() or f"git {command[0]} failed",
                "Check the address and, behind #, the branch, tag or commit.",
            )
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tree, capture_output=True, text=True, check=True
    )
    return tree, head.stdout.strip()


def _libvmaf_parts(tree: Path) -> dict[str, Path]:
    """Find Meson's folder and the models: Netflix's layout, the fork's, or its inside."""
    for meson in (tree / "libvmaf", tree / "core", tree):
        models = meson.parent / "model"
        if (meson / "meson.build").is_file() and models.is_dir():
            return {"libvmaf": meson, "model": models}
    raise UserError(
        f"cannot build --libvmaf {tree}",
        "it has no libvmaf/meson.build (or core/meson.build) with a model/ folder beside"
        if tree.is_dir()
        else "there is no such folder",
        "Give the top folder of a libvmaf checkout, or a git URL.",
    )


def _ffmpeg_parts(tree: Path) -> dict[str, Path]:
    """Check that it is FFmpeg's tree, and not configured in place."""
    what = f"cannot build --ffmpeg {tree}"
    if not (tree / "configure").is_file() or not (tree / "libavfilter").is_dir():
        raise UserError(
            what,
            "it has no configure and libavfilter/" if tree.is_dir() else "there is no such folder",
            "Give the top folder of an FFmpeg checkout, or a git URL.",
        )
    if (tree / "config.h").exists():
        raise UserError(
            what,
            "it was configured in place, which FFmpeg does not build from outside",
            "Run `make distclean` in it, or give a clean checkout.",
        )
    return {".": tree}


def _files(folder: Path) -> Iterable[Path]:
    """List what belongs to the source: git's word where it is a checkout, else no build folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        yield from (folder / name for name in listed.stdout.split("\0") if name)
        return
    for parent, folders, names in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if name != ".git" and not (Path(parent) / name / "meson-private").exists()
        ]
        yield from (Path(parent) / name for name in names)


def _copy(parts: dict[str, Path], copy: Path) -> str:
    """Copy the parts, dates kept, and return the SHA-256 of names, modes and contents."""
    shutil.rmtree(copy, ignore_errors=True)
    digest = hashlib.sha256()
    for name, folder in sorted(parts.items()):
        for file in sorted(_files(folder)):
            if not file.is_file():  # listed by git, deleted by its owner
                continue
            target = copy / name / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
            mode = "x" if os.access(file, os.X_OK) else "-"
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{target.relative_to(copy)} {mode} {content}\n".encode())
    return digest.hexdigest()


def _version(project: str, copy: Path) -> str:
    """Read the version the tree gives itself."""
    if project == "libvmaf":
        found = re.search(
            r"^\s*version\s*:\s*'([^']+)'", (copy / "libvmaf/meson.build").read_text(), re.MULTILINE
        )
        return found[1] if found else "unknown"
    release = copy / "RELEASE"
    return release.read_text().strip() if release.exists() else "unknown"


def _backends(copy: Path) -> frozenset[str]:
    """Read from meson_options.txt which backends the tree can be built with."""
    options = copy / "libvmaf" / "meson_options.txt"
    text = options.read_text() if options.exists() else ""
    return frozenset({"cpu"} | {name for name in _BACKENDS if f"'enable_{name}'" in text})
