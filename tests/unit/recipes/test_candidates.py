"""Asking Debian's suites: docker/recipes/fetch/candidates/candidates.sh with a stubbed apt."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from scripts.core import process
from scripts.core.paths import ROOT
from scripts.lock.debian import Debian
from scripts.lock.sources_lock import SUITES

RECIPE = ROOT / "docker" / "recipes" / "fetch" / "candidates" / "candidates.sh"
TARBALL = b"the new release"
SHA256 = hashlib.sha256(TARBALL).hexdigest()
LOCKED = "a" * 64
LOCK = f"""\
# name version
archive 20261127T000000Z
x1.0         1.0  {LOCKED}  testing       pool/main/x/x/x_1.0.orig.tar.xz
x2.0         2.0  {"b" * 64}  trixie        pool/main/x/x/x_2.0.orig.tar.xz
hip/lib.a-6  6    {"c" * 64}  experimental  pool/main/h/h/lib.a-6_6_amd64.deb
wheel        1    {"d" * 64}  pypi          wheel
"""
needs_gpg = pytest.mark.skipif(not shutil.which("gpg"), reason="needs gpg to make a key")

STUBS = {
    "apt-get": """echo 'Date: Fri, 30 Oct 2026 08:08:01 UTC' >"$lists/x_InRelease" """,
    "apt-cache": """\
shift 2
case $1 in
pkgnames) printf '%s\\n' lib.a-6 lib.a-7 lib.a-dev libxa-8 other ;;
show) shift && printf 'Package: %s\\nFilename: pool/p_1_all.deb\\nSHA256: 0\\n\\n' "$@" ;;
showsrc) cat "$here/showsrc" ;;
esac""",
    "apt-helper": """\
for url; do path=$file && file=$url; done
for url; do case $url in http*) cp "$here/pool/${url##*/}" "$file" ;; esac; done""",
    # sqv is in Debian 13; gpgv has the same result but for the age of algorithms
    "sqv": """\
gpg --dearmor <"$2" >"$here/keyring.gpg" && exec gpgv --keyring "$here/keyring.gpg" "$4" "$5" """,
}
"""Programs that stand for those of the image."""


class Step:
    """A build step that asks for the files of a lock."""

    def __init__(self, directory: Path) -> None:
        """Write the lock, the programs, and the recipe with their paths."""
        self.directory = directory
        for name in ("out", "pool", "recipes", "apt", "programs"):
            (directory / name).mkdir()
        (directory / "sources.list").write_text("deb [trusted=yes] http://mirror.test/d trixie x\n")
        (directory / "sources.lock").write_text(LOCK)
        (directory / "showsrc").write_text("")
        text = RECIPE.read_text()
        for old, new in {
            "=/run/recipes/candidates": f"={directory}/recipes",
            "/run/recipes/locked/sources.lock": f"{directory}/sources.lock",
            "keys=/usr/share/keyrings/debian-archive-keyring.gpg": f"keys={directory}/sources.list",
            "store=/var/cache/sources": f"store={directory}/sources",
            "/var/lib/apt": f"{directory}/apt",
            "=/tmp/candidates": f"={directory}/work",
            "/etc/apt/sources.list ": f"{directory}/sources.list ",
            "/usr/lib/apt/apt-helper": "apt-helper",
            "/out": f"{directory}/out",
        }.items():
            assert old in text
            text = text.replace(old, new)
        assert "export" not in text
        text = text.replace("lists=", "export lists; lists=")
        self.recipe = directory / "candidates.sh"
        self.recipe.write_text(text)
        for name, body in STUBS.items():
            if name == "sqv" and shutil.which("sqv"):
                continue
            stub = directory / "programs" / name
            stub.write_text(f"#!/bin/sh\nset -e\nhere={directory}\n{body}\n")
            stub.chmod(0o755)

    def run(self) -> process.CompletedProcess[str]:
        """Run the recipe."""
        environment = process.environment()
        path = f"{self.directory}/programs:{environment['PATH']}"
        return process.run("sh", str(self.recipe), env={**environment, "PATH": path}, timeout=60)

    def result(self) -> Debian:
        """Run the recipe, and return what it found."""
        done = self.run()
        assert not done.returncode, done.stderr
        return Debian.read(self.directory / "out")

    def release(self, sha256: str = SHA256, *, signed: bool = True) -> None:
        """Let the source package have a tarball, with a signature or without."""
        signature = f"\n {'e' * 64} 1 x_1.1.orig.tar.xz.asc" if signed else ""
        (self.directory / "showsrc").write_text(
            f"Package: x\nVersion: 1:1.1-1\nChecksums-Sha1:\n 00 1 x_9.9.orig.tar.xz\n"
            f"Checksums-Sha256:\n {'f' * 64} 1 x_1.1-1.dsc\n"
            f" {sha256} 1 x_1.1.orig.tar.xz{signature}\nDirectory: pool/main/x/x\n\n"
        )


@pytest.fixture(name="step")
def _step(tmp_path: Path) -> Step:
    """Return a build step."""
    return Step(tmp_path)


@pytest.fixture(name="signed")
def _signed(step: Step) -> Iterator[Step]:
    """Return a build step with upstream's key, and a tarball that upstream has signed."""
    with TemporaryDirectory() as home:  # gpg's socket needs a short path
        environment = {**process.environment(), "GNUPGHOME": home}

        def gpg(*arguments: str) -> str:
            done = process.run("gpg", "--batch", *arguments, env=environment)
            assert not done.returncode, done.stderr
            return done.stdout

        gpg("--passphrase", "", "--quick-generate-key", "Upstream", "ed25519", "sign", "never")
        (step.directory / "recipes" / "x-release.asc").write_text(gpg("--armor", "--export"))
        tarball = step.directory / "pool" / "x_1.1.orig.tar.xz"
        tarball.write_bytes(TARBALL)
        gpg("--armor", "--detach-sign", str(tarball))
        process.run("gpgconf", "--kill", "all", env=environment)
        step.release()
        yield step


def test_every_suite_of_the_lock_is_asked(step: Step) -> None:
    """Each suite of the lock has a date, and the packages by name or with another number."""
    found = step.result()
    assert found.dates.keys() == set(SUITES)
    for suite in SUITES:
        assert [entry.package for entry in found.suites[suite]] == ["lib.a-6", "lib.a-7"]
    assert not found.signatures


@needs_gpg
def test_tarball_with_upstreams_signature_is_good(signed: Step) -> None:
    """A new tarball is fetched once for all suites and verified; builds find it in the mount."""
    assert signed.result().signatures == {SHA256: "good"}
    stored = signed.directory / "sources" / SHA256 / "x_1.1.orig.tar.xz"
    assert stored.read_bytes() == TARBALL


@needs_gpg
def test_changed_tarball_is_bad(signed: Step) -> None:
    """A tarball that upstream has not signed is bad, even if Debian's index has its digest."""
    changed = TARBALL + b" with something added"
    sha256 = hashlib.sha256(changed).hexdigest()
    signed.release(sha256)
    (signed.directory / "pool" / "x_1.1.orig.tar.xz").write_bytes(changed)
    ((found, status),) = signed.result().signatures.items()
    assert found == sha256
    assert status.startswith("the signature is not valid: ")


@needs_gpg
def test_signature_of_another_key_is_bad(signed: Step) -> None:
    """A tarball that is signed by a key other than upstream's is bad."""
    other = ROOT / "docker" / "recipes" / "fetch" / "candidates" / "ffmpeg-release.asc"
    shutil.copy(other, signed.directory / "recipes" / "x-release.asc")
    assert signed.result().signatures[SHA256].startswith("the signature is not valid: ")


@needs_gpg
def test_other_faults_of_a_tarball_are_told(signed: Step) -> None:
    """A tarball without a signature, one that differs from the index, and none are told."""
    signed.release(signed=False)
    assert signed.result().signatures == {SHA256: "Debian's pool has no signature of it"}
    signed.release("0" * 64)
    assert signed.result().signatures == {"0" * 64: f"the mirror's file has the digest {SHA256}"}
    signed.release()
    (signed.directory / "pool" / "x_1.1.orig.tar.xz.asc").unlink()
    assert signed.result().signatures[SHA256].endswith("x_1.1.orig.tar.xz.asc cannot be fetched")


@needs_gpg
def test_only_new_tarballs_with_a_key_are_verified(signed: Step) -> None:
    """A tarball of the lock is not fetched again, nor one whose upstream has no key here."""
    signed.release(LOCKED)
    assert not signed.result().signatures
    signed.release()
    (signed.directory / "recipes" / "x-release.asc").rename(
        signed.directory / "recipes" / "other-release.asc"
    )
    assert not signed.result().signatures


def test_failure_of_apt_ends_the_step(step: Step) -> None:
    """If apt cannot read a suite, the step fails, so that no package seems to have left."""
    (step.directory / "programs" / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    assert step.run().returncode


@needs_gpg
def test_key_of_ffmpeg_is_its_release_key(tmp_path: Path) -> None:
    """The repository has FFmpeg's release signing key and no other."""
    key = RECIPE.parent / "ffmpeg-release.asc"
    tmp_path.chmod(0o700)
    shown = process.output(
        "gpg", "--homedir", str(tmp_path), "--batch", "--with-colons", "--show-keys", str(key)
    )
    rows = [line.split(":") for line in shown.splitlines()]
    primary = [rows[number + 1][9] for number, row in enumerate(rows) if row[0] == "pub"]
    assert primary == ["FCF986EA15E6E293A5644F10B4322F04D67658D8"]
