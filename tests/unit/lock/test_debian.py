"""Reading what the suites of Debian have."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.lock import debian
from scripts.lock.debian import Debian
from tests.unit.lock.samples import LOCK, NEW, C, D, E

KEY = "docker/recipes/fetch/candidates/ffmpeg-release.asc"


def package(name: str, version: str, sha256: str, source: str) -> str:
    """Return apt's record of a package."""
    file = f"pool/main/r/{source}/{name}_{version}_amd64.deb"
    return f"Package: {name}\nVersion: {version}\nFilename: {file}\nSHA256: {sha256}\n\n"


def source(name: str, version: str, sha256: str) -> str:
    """Return apt's record of a source package, whose version has an epoch and a revision."""
    files = {
        f"{name}_{version}-4.dsc": "0" * 64,
        f"{name}_{version}.orig-extra.tar.xz": "1" * 64,
        f"{name}_{version}.orig.tar.xz": sha256,
        f"{name}_{version}.orig.tar.xz.asc": "2" * 64,
        f"{name}_{version}-4.debian.tar.xz": "3" * 64,
    }
    sums = "".join(f"\n {digest} 12 {file}" for file, digest in files.items())
    return (
        f"Package: {name}\nVersion: 7:{version}-4\nFiles:\n 00 12 x_1.orig.tar.gz\n"
        f"Checksums-Sha256:{sums}\nDirectory: pool/main/f/{name}\n\n"
    )


HIP = (
    package("hipcc", "7.0.2+dfsg-3", C, "rocm-llvm")
    + package("libhip-6", "6.4.3-5", D, "rocm")
    + package("libhip-d", "6.4.3-5", E, "rocm")
)


def suites(directory: Path, **texts: str) -> Debian:
    """Return what is read if candidates.sh has written these records of suites."""
    for suite in ("testing", "experimental"):
        (directory / f"{suite}.date").write_text("Fri, 30 Oct 2026 08:08:01 UTC\n")
        (directory / f"{suite}.packages").write_text(texts.get(suite, ""))
        (directory / f"{suite}.sources").write_text(texts.get(f"{suite}_sources", ""))
    (directory / "signatures").write_text(texts.get("signatures", ""))
    return Debian.read(directory)


def test_suite_that_has_the_locked_files(tmp_path: Path) -> None:
    """The locked files are offered with their versions, digests and paths."""
    offered = suites(tmp_path, testing=HIP).offers(LOCK.parts["hip6"])
    assert offered.files.keys() == {"hip6/hipcc", "hip6/libhip-6", "hip6/libhip-d"}
    hipcc = offered.files["hip6/hipcc"]
    assert (hipcc.version, hipcc.sha256) == ("7.0.2+dfsg-3", C)
    assert hipcc.path == LOCK.files["hip6/hipcc"].path
    assert (offered.source, offered.gone, offered.notes) == ("testing", "", ())


def test_package_that_left_the_suite_is_named_with_its_successor(tmp_path: Path) -> None:
    """A package that is gone is named, and so is one whose name has another number."""
    records = HIP.replace("libhip-6", "libhip-7").replace("6.4.3-5", "7.2.4-1")
    offered = suites(tmp_path, testing=records).offers(LOCK.parts["hip6"])
    assert "hip6/libhip-6" not in offered.files
    assert offered.files["hip6/libhip-d"].version == "7.2.4-1"
    assert offered.gone == "testing no longer has libhip-6 (it has libhip-7)"
    offered = suites(tmp_path).offers(LOCK.parts["hip6"])
    assert offered.gone == "testing no longer has hipcc, libhip-6, libhip-d"


def test_experimental_is_asked_together_with_testing(tmp_path: Path) -> None:
    """A package that has moved from experimental to testing is found; the newer one is taken."""
    old, new = (package("exp", version, NEW, "exp") for version in ("1.0-1~exp1", "1.0-1"))
    for records in ({"testing": new}, {"testing": new, "experimental": old}):
        offered = suites(tmp_path, **records).offers(LOCK.parts["exp"])
        assert offered.files["exp"].version == "1.0-1"
    of_testing = suites(tmp_path, experimental=HIP).offers(LOCK.parts["hip6"])
    assert "testing no longer has hipcc" in of_testing.gone


def test_tarball_is_the_upstream_one(tmp_path: Path) -> None:
    """Of a source package, the upstream tarball is offered, with its SHA-256 and its version."""
    made = suites(tmp_path, testing_sources=source("ffmpeg", "9.0.10", NEW))
    offered = made.offers(LOCK.parts["ffmpeg9.0"]).files["ffmpeg9.0"]
    assert (offered.version, offered.sha256) == ("9.0.10", NEW)
    assert offered.path == "pool/main/f/ffmpeg/ffmpeg_9.0.10.orig.tar.xz"


@pytest.mark.parametrize("version", ["9.1", "10.0", "9.00"])
def test_new_release_needs_a_part_of_its_own(tmp_path: Path, version: str) -> None:
    """A part with a release in its name takes no other release; the report names it."""
    both = source("ffmpeg", version, NEW) + source("ffmpeg", "9.0.3", NEW)
    offered = suites(tmp_path, testing_sources=both).offers(LOCK.parts["ffmpeg9.0"])
    assert offered.files["ffmpeg9.0"].version == "9.0.3"
    if version != "9.00":  # which is older than 9.0.3
        assert offered.notes == (f"{version} is a new release, which needs a part of its own",)
    only = suites(tmp_path, testing_sources=source("ffmpeg", version, NEW))
    offered = only.offers(LOCK.parts["ffmpeg9.0"])
    assert not offered.files
    assert offered.gone == f"testing no longer has ffmpeg (it has ffmpeg {version})"


def test_signature_of_a_new_tarball_must_be_good(tmp_path: Path) -> None:
    """A bad signature and an unchecked tarball are errors that name the file and the key."""
    file = replace(
        LOCK.files["ffmpeg9.0"], sha256=NEW, path="pool/main/f/ffmpeg/ffmpeg_9.0.3.orig.tar.xz"
    )
    name = "ffmpeg_9.0.3.orig.tar.xz"
    suites(tmp_path, signatures=f"{NEW} {name} good\n").check_signature(file)
    bad = f"{NEW} {name} the signature is not valid: manipulated\n"
    for text, reason in ((bad, "the signature is not valid: manip"), ("", "it was not checked")):
        with pytest.raises(UserError, match=f"cannot lock {name}: {reason}.*{KEY}"):
            suites(tmp_path, signatures=text).check_signature(file)


def test_files_without_a_key_need_no_signature(tmp_path: Path) -> None:
    """A package, and a tarball of an upstream without a key, are checked by Debian's index only."""
    made = suites(tmp_path)
    made.check_signature(LOCK.files["hip6/hipcc"])
    tarball = replace(LOCK.files["ffmpeg9.0"], path="pool/main/a/aom/aom_3.14.1.orig.tar.xz")
    made.check_signature(tarball)
    assert (debian.KEYS / "ffmpeg-release.asc").exists()


def test_archive_is_asked_for_the_day_of_the_suite_that_moves(tmp_path: Path) -> None:
    """The time in the archive is the end of the day at which the older moving index was made."""
    made = suites(tmp_path)
    assert made.archive() == "20261030T235959Z"
    later = datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert replace(made, dates={**made.dates, "trixie": later}).archive() == "20261030T235959Z"
    dates = {"testing": later, "experimental": later, "trixie": datetime(2026, 10, 1, tzinfo=UTC)}
    assert replace(made, dates=dates).archive() == "20261121T235959Z"
