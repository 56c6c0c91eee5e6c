"""Ask the suites of Debian what they have now of the files in the lock.

docker/recipes/fetch/candidates/candidates.sh asks apt in a build step, which has Debian's keys and
the mirror of the images, and this module reads its result.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Self

from debian.deb822 import Deb822

from scripts.core.console import UserError
from scripts.core.paths import RECORDS, ROOT
from scripts.images import build
from scripts.images.bases import SUITE
from scripts.lock.offers import Offer, Offers
from scripts.lock.sources_lock import File

TARGET = "lock-candidates"
"""The bake target that writes the result to a directory of the same name in `RECORDS`."""
KEYS = ROOT / "docker" / "recipes" / "fetch" / "candidates"
"""The directory of upstreams' keys: SOURCE-release.asc, where SOURCE is Debian's source package."""


@dataclass(frozen=True)
class Found:
    """A file of a package in a suite."""

    package: str
    offer: Offer


@dataclass(frozen=True)
class Debian:
    """What the suites have now."""

    suites: Mapping[str, Sequence[Found]]
    dates: Mapping[str, datetime]
    """The dates of the suites' indexes."""
    signatures: Mapping[str, str]
    """By digest of a tarball, `good`, or the reason why its signature is not valid."""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Return the result that candidates.sh has written to a directory."""
        suites, dates = {}, {}
        for path in sorted(directory.glob("*.date")):
            suite = path.stem
            dates[suite] = parsedate_to_datetime(path.read_text().strip()).astimezone(UTC)
            suites[suite] = [
                *packages((directory / f"{suite}.packages").read_text()),
                *tarballs((directory / f"{suite}.sources").read_text()),
            ]
        rows = [line.split(None, 2) for line in (directory / "signatures").read_text().splitlines()]
        return cls(suites, dates, {sha256: status for sha256, _, status in rows})

    def offers(self, files: Sequence[File]) -> Offers:
        """Return what the suite of a part has now of its files."""
        suite = files[0].origin
        # What leaves experimental is in testing some days later.
        suites = [name for name in (suite, "testing") if suite in {"experimental", name}]
        found = [entry for name in suites for entry in self.suites.get(name, ())]
        offered: dict[str, Offer] = {}
        gone: list[str] = []
        notes: list[str] = []
        series = series_of(files)
        for file in files:
            package = _package(file.path)
            newest_first = sorted(
                (
                    entry.offer
                    for entry in found
                    if entry.package == package and _kind(entry.offer.path) == _kind(file.path)
                ),
                key=lambda offer: offer.order,
                reverse=True,
            )
            fitting = [offer for offer in newest_first if _is_of(series, offer.version)]
            others = _renamed(package, found)
            if newest_first and newest_first[0] not in fitting:
                version = newest_first[0].version
                notes.append(f"{version} is a new release, which needs a part of its own")
                others = [f"{package} {version}"]
            if fitting:
                offered[file.name] = fitting[0]
            else:
                gone.append(package + (f" (it has {', '.join(others)})" if others else ""))
        missing = f"{suite} no longer has {', '.join(gone)}" if gone else ""
        return Offers(suite, offered, missing, tuple(notes))

    def check_signature(self, file: File) -> None:
        """Check that upstream has signed a tarball, if its key is in the repository.

        Raises:
            UserError: the signature is missing or not valid, or the tarball cannot be fetched.
        """
        name = file.path.rpartition("/")[2]
        key = KEYS / f"{_package(file.path)}-release.asc"
        if not file.is_debian or _kind(file.path) == "deb" or not key.exists():
            return
        status = self.signatures.get(file.sha256, "it was not checked")
        if status != "good":
            raise UserError(
                f"cannot lock {name}",
                f"{status}; the key is {key.relative_to(ROOT)}",
                "Do not use the file before you know why. Nothing was changed.",
            )

    def archive(self) -> str:
        """Return the time in Debian's archive at which it has the files of the suites.

        It is the end of the day of the oldest index of a suite that moves. The archive has a file
        some hours after the index that names it, and the suite may have dropped it a day later.
        """
        moving = [date for suite, date in self.dates.items() if suite != SUITE]
        return f"{min(moving or self.dates.values()):%Y%m%d}T235959Z"


def ask() -> Debian:
    """Build the target that asks the suites, and return its result.

    Raises:
        UserError: there is no engine, or a suite cannot be read.
    """
    directory = RECORDS / TARGET
    shutil.rmtree(directory, ignore_errors=True)
    build.build([TARGET])
    return Debian.read(directory)


def series_of(files: Sequence[File]) -> str:
    """Return the version in the name of a part, such as 9.0 of ffmpeg9.0; an empty string if none.

    A part of several files, such as hip6, has none: its files have versions of their own.
    """
    named = re.fullmatch(r".*?[^\d.](\d+(?:\.\d+)*)", files[0].name)
    return named[1] if named and "/" not in files[0].name else ""


def packages(text: str) -> list[Found]:
    """Return the packages in the output of `apt-cache show`."""
    return [
        Found(
            record["Package"],
            Offer(_version(record["Filename"]), record["SHA256"], record["Filename"]),
        )
        for record in Deb822.iter_paragraphs(text, use_apt_pkg=False)
    ]


def tarballs(text: str) -> list[Found]:
    """Return the upstream tarballs in the output of `apt-cache showsrc`."""
    found = []
    for record in Deb822.iter_paragraphs(text, use_apt_pkg=False):
        package = record["Package"]
        for line in record["Checksums-Sha256"].split("\n"):
            sha256, _, name = (line.split() or ["", "", ""])[:3]
            if re.fullmatch(rf"{re.escape(package)}_[^_]+\.orig\.tar\.[a-z0-9]+", name):
                path = f"{record['Directory']}/{name}"
                found.append(Found(package, Offer(_version(path), sha256, path)))
    return found


def _kind(path: str) -> str:
    return "deb" if path.endswith(".deb") else "tarball"


def _package(path: str) -> str:
    """Return the package, or source package, of a path in the pool."""
    return path.rpartition("/")[2].partition("_")[0]


def _version(path: str) -> str:
    """Return the version in a path in the pool, which has no epoch."""
    rest = path.rpartition("/")[2].partition("_")[2]
    return rest.rpartition("_")[0] if _kind(path) == "deb" else rest.partition(".orig.tar.")[0]


def _is_of(series: str, version: str) -> bool:
    return not series or version == series or version.startswith(f"{series}.")


def _renamed(package: str, found: Sequence[Found]) -> list[str]:
    """Return the packages whose names differ in the number at the end only."""
    stem = re.sub(r"[\d.]+$", "", package)
    names = {entry.package for entry in found if _kind(entry.offer.path) == "deb"}
    return sorted(
        name
        for name in names - {package}
        if stem != package and re.fullmatch(rf"{re.escape(stem)}[\d.]+", name)
    )
