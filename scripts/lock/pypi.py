"""Ask the package index of pip what it has now of the wheels in the lock."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scripts.core import process
from scripts.core.console import UserError
from scripts.lock.offers import Offer, Offers
from scripts.lock.sources_lock import File

INDEX = "the package index"
"""The origin as messages name it."""
REQUESTED: Mapping[str, tuple[str, ...]] = {
    "oneapi": ("dpcpp-cpp-rt", "intel-opencl-rt"),
    "tools": ("easyvmaf", "ffmpeg-quality-metrics"),
}
"""The packages of a part that its other packages are dependencies of; by default, all."""
LEFT_OUT: Mapping[str, frozenset[str]] = {
    "oneapi": frozenset({"intel-openmp", "intel-cmplr-lic-rt"})
}
"""Dependencies that nothing here needs: OpenMP offload (50 MB), and a licence that the other wheels
contain, too."""


def ask(files: Sequence[File]) -> Offers:
    """Return the newest wheels of a part that have the same major versions.

    pip resolves the dependencies for the Python that this program runs on; it takes the index from
    its own settings. If it cannot reach the index, or finds no wheels that fit each other, none are
    offered: pip has the same message for both.

    Raises:
        UserError: a wheel is not for x86-64, or has no digest.
    """
    part = files[0].part
    requested = [
        file for file in files if file.path in REQUESTED.get(part, ()) or part not in REQUESTED
    ]
    try:
        report = _pip(f"{file.path}=={_major(file.version)}.*" for file in requested)
        newest = _pip(["--no-deps", *(file.path for file in requested)])
    except ChildProcessError as error:
        return Offers(INDEX, {}, f"pip finds no wheels of {part}: {error}")
    return read(files, report, newest)


def read(files: Sequence[File], report: Mapping[str, Any], newest: Mapping[str, Any]) -> Offers:
    """Return the wheels in pip's installation reports.

    Args:
        files: the wheels of the part.
        report: the wheels of the same major versions, with dependencies.
        newest: the newest wheels.

    Raises:
        UserError: a wheel is not for x86-64, or has no digest.
    """
    part = files[0].part
    wheels = {_normal(item["metadata"]["name"]): item for item in report["install"]}
    offered = {file.name: _offer(file, wheels[file.path]) for file in files if file.path in wheels}
    known = {file.path for file in files} | LEFT_OUT.get(part, frozenset())
    notes = [
        f"{name} {item['metadata']['version']} is a new dependency, which the lock does not have"
        for name, item in wheels.items()
        if name not in known
    ]
    for item in newest["install"]:
        name, version = _normal(item["metadata"]["name"]), item["metadata"]["version"]
        if name in wheels and _major(version) != _major(wheels[name]["metadata"]["version"]):
            notes.append(f"{name} {version} is a new release, which needs a part of its own")
    missing = ", ".join(file.path for file in files if file.path not in wheels)
    gone = f"no package of {part} needs {missing} any more" if missing else ""
    return Offers(INDEX, offered, gone, tuple(notes))


def _offer(file: File, item: Mapping[str, Any]) -> Offer:
    """Return the wheel of an entry of pip's report.

    Raises:
        UserError: the wheel is not for x86-64, or has no digest.
    """
    download = item["download_info"]
    wheel = download["url"].rpartition("/")[2].partition("#")[0]
    if not re.search(r"(x86_64|-any)\.whl$", wheel):
        raise UserError(
            f"cannot lock {file.path}",
            f"pip offers {wheel} to this machine, and the images are for x86-64",
            "Run `nox -s update` on Linux on x86-64.",
        )
    sha256 = download.get("archive_info", {}).get("hashes", {}).get("sha256")
    if not sha256:
        raise UserError(
            f"cannot lock {file.path}",
            f"the package index has no SHA-256 of {wheel}",
            "Use an index that has digests; `pip config list` shows which one pip uses.",
        )
    return Offer(item["metadata"]["version"], sha256, file.path)


def _pip(arguments: Iterable[str]) -> dict[str, Any]:
    """Return pip's report of what it would install.

    Raises:
        ChildProcessError: pip fails; the message is the last line that it printed.
    """
    done = process.run(
        *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"),
        *("--disable-pip-version-check", "--only-binary=:all:", "--report=-", *arguments),
    )
    if done.returncode:
        raise ChildProcessError((done.stderr.strip().splitlines() or ["no reason printed"])[-1])
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _normal(name: str) -> str:
    """Return the name of a package as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _major(version: str) -> str:
    return version.partition(".")[0]
