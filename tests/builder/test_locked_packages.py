"""Installing the packages of sources.lock, from a Debian mirror with faults.

The mirror, Debian's archive and the packages are made by the tests, and signed with a key that the
container has in the place of Debian's.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from textwrap import dedent
from urllib.parse import urlsplit

import pytest

from scripts.core import process
from scripts.core.paths import ROOT
from scripts.engine.client import has_image
from tests.support.sites import Sites
from tests.support.subject import docker

IMAGE = "vmaf:cpu"
DAY = "20261127T000000Z"
MIRROR = "http://mirror.test/debian"
ARCHIVE = f"http://snapshot.debian.org/archive/debian/{DAY}"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

pytestmark = [
    pytest.mark.skipif(not has_image(IMAGE), reason=f"{IMAGE}, whose apt is used, is not built"),
    pytest.mark.skipif(not shutil.which("gpg"), reason="gpg, which signs the mirror, is absent"),
    pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is absent"),
]


@dataclass(frozen=True)
class Package:
    """A package without files."""

    name: str
    version: str
    depends: str = ""

    @property
    def path(self) -> str:
        """The path in the pool."""
        return f"pool/main/{self.name[0]}/{self.name}/{self.name}_{self.version}_all.deb"

    def build(self, directory: Path) -> bytes:
        """Return the .deb file; the same package has the same bytes."""
        control = directory / "package" / "DEBIAN" / "control"
        control.parent.mkdir(parents=True, exist_ok=True)
        control.write_text(f"{self.fields}Maintainer: Nobody <nobody@example.org>\n")
        made = directory / "made.deb"
        process.run(
            *("dpkg-deb", "--build", "--root-owner-group", "-Zgzip", "package", "made.deb"),
            cwd=directory,
            env={**process.environment(), "SOURCE_DATE_EPOCH": "1000000000"},
        )
        return made.read_bytes()

    @property
    def fields(self) -> str:
        """The fields of the package's control file."""
        depends = f"Depends: {self.depends}\n" if self.depends else ""
        return dedent(f"""\
            Package: {self.name}
            Version: {self.version}
            Architecture: all
            Description: a package of a test
            """) + depends  # fmt: skip


TOOL = Package("tool", "1.0", "library1 (= 1.0), helper")
LIBRARY = Package("library1", "1.0")
HELPER = Package("helper", "1.0")
NEWER_TOOL = Package("tool", "2.0", "library2 (= 2.0)")
NEWER_LIBRARY = Package("library2", "2.0")

SIGNER, STRANGER = "test@example.org", "stranger@example.org"
INSTALL = """
    /run/recipes/locked/locked.sh install p --target-release testing tool/testing >/tmp/log
    dpkg-query -W -f '${Package} ${Version}\\n' tool 'library[12]' helper 2>/dev/null ||
        true # a package that is not installed
    echo "sources: $(ls /etc/apt/sources.list.d /etc/apt/preferences.d | xargs)"
    /run/recipes/locked/locked.sh describe p/tool Tool
"""


@dataclass
class Step:
    """A build step that installs `tool` and `library1`, which are locked, and their dependency."""

    directory: Path
    sites: Sites

    def publish(self, site: str, *listed: Package, lacks: tuple[Package, ...] = ()) -> None:
        """Make a site's testing list packages; its pool has all of them but those it lacks."""
        index = ""
        for package in listed:
            content = package.build(self.directory)
            if package not in lacks:
                self.sites.files[f"{site}/{package.path}"] = content
            index += (
                f"{package.fields}Filename: {package.path}\nSize: {len(content)}\n"
                f"SHA256: {hashlib.sha256(content).hexdigest()}\n\n"
            )
        lines = "Suite: testing\nCodename: testing\nArchitectures: amd64\nComponents: main\n"
        lines += "Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n"
        for name in ("main/binary-amd64/Packages", "main/source/Sources"):
            text = index if name.endswith("Packages") else ""
            self.sites.files[f"{site}/dists/testing/{name}"] = text.encode()
            lines += f" {hashlib.sha256(text.encode()).hexdigest()} {len(text)} {name}\n"
        release = self.directory / "Release"
        release.write_text(lines)
        signed = self.gpg("--local-user", SIGNER, "--output", "-", "--clearsign", str(release))
        self.sites.files[f"{site}/dists/testing/InRelease"] = signed.encode()

    def gpg(self, *arguments: str) -> str:
        """Run gpg with the key of the test; return its output."""
        home = self.directory / "gnupg"
        home.mkdir(mode=0o700, exist_ok=True)
        options = ("--batch", "--yes", "--passphrase", "", "--homedir", str(home))
        done = process.run("gpg", *options, *arguments)
        assert not done.returncode, done.stderr
        return done.stdout

    def lock(self, *packages: Package) -> None:
        """Write the lock."""
        rows = [
            f"p/{package.name} {package.version} "
            f"{hashlib.sha256(package.build(self.directory)).hexdigest()} testing {package.path}\n"
            for package in packages
        ]
        recipes = self.directory / "recipes"
        shutil.copytree(ROOT / "docker" / "recipes" / "fetch" / "locked", recipes / "locked")
        shutil.copy(ROOT / "docker" / "recipes" / "lib" / "apt.sh", recipes)
        (recipes / "locked" / "sources.lock").write_text(f"archive {DAY}\n{''.join(rows)}")

    def run(
        self, script: str = INSTALL, *, signer: str = SIGNER, **environment: str
    ) -> CompletedProcess[str]:
        """Run a script as in a step whose base trusts the key of a signer."""
        keys = self.directory / "keys.gpg"
        self.gpg("--output", str(keys), "--export", signer)
        sources = f"""
            set -e
            rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
            echo 'deb [signed-by={KEYRING} check-valid-until=no] {MIRROR} testing main' \
                >/etc/apt/sources.list.d/testing.list
        """
        settings = {"http_proxy": self.sites.url, "LOCKED_TIMEOUT": "2", **environment}
        return docker(
            *("run", "--rm", "--user=0", "--network=host", "--entrypoint=sh"),
            *(f"--env={name}={value}" for name, value in settings.items()),
            f"--volume={self.directory / 'recipes'}:/run/recipes:ro",
            f"--volume={keys}:{KEYRING}:ro",
            *(IMAGE, "-c", sources + script),
            timeout=120,
        )


@pytest.fixture
def step(tmp_path: Path) -> Iterator[Step]:
    """Return a step whose lock has version 1.0 of `tool` and `library1`; stop its sites later."""
    made = Step(tmp_path, Sites())
    for address in (SIGNER, STRANGER):
        made.gpg("--quick-generate-key", f"<{address}>", "rsa2048", "sign", "never")
    made.lock(TOOL, LIBRARY)
    yield made
    made.sites.close()


def installed(result: CompletedProcess[str]) -> Mapping[str, str]:
    """Return the versions of the installed packages; no list of sources remains."""
    assert not result.returncode, result.stderr
    lines = result.stdout.splitlines()
    end = next(number for number, line in enumerate(lines) if line.startswith("sources:"))
    assert lines[end] == "sources: /etc/apt/preferences.d: /etc/apt/sources.list.d: testing.list"
    return dict(line.split() for line in lines[:end])


LOCKED = {"tool": "1.0", "library1": "1.0", "helper": "1.0"}


def test_locked_packages_are_from_the_mirror(step: Step) -> None:
    """Packages that the mirror has are the locked ones, and nothing is asked of the archive."""
    step.publish(MIRROR, TOOL, LIBRARY, HELPER)
    assert installed(step.run()) == LOCKED
    hosts = {urlsplit(url).hostname for url in step.sites.requests if url.endswith(".deb")}
    assert hosts == {"mirror.test"}


def test_file_in_apts_cache_is_not_used(step: Step) -> None:
    """A file of another content that apt's cache has under the same name is replaced."""
    step.publish(MIRROR, TOOL, LIBRARY, HELPER)
    size = len(TOOL.build(step.directory))
    other = f"head -c {size} /dev/zero >/var/cache/apt/archives/tool_1.0_all.deb\n"
    assert installed(step.run(other + INSTALL)) == LOCKED


def test_newer_release_on_the_mirror_changes_nothing(step: Step) -> None:
    """If testing has moved on, the locked packages are from the archive, and not the newer ones."""
    step.publish(MIRROR, NEWER_TOOL, NEWER_LIBRARY, HELPER)
    step.publish(ARCHIVE, TOOL, LIBRARY, HELPER)
    assert installed(step.run()) == LOCKED


@pytest.mark.parametrize("fault", ["not in the index", "404 for what the index lists"])
def test_dependency_that_testing_lacks_is_from_the_archive(step: Step, fault: str) -> None:
    """A dependency that testing does not have, or cannot send, is from the archive's testing."""
    if fault == "not in the index":
        step.publish(MIRROR, TOOL, LIBRARY)
    else:
        step.publish(MIRROR, TOOL, LIBRARY, HELPER, lacks=(HELPER,))
    step.publish(ARCHIVE, TOOL, LIBRARY, HELPER)
    result = step.run()
    assert installed(result) == LOCKED
    assert f"testing lacks something; trying {ARCHIVE}" in result.stderr


def test_other_content_is_refused(step: Step) -> None:
    """A package of the locked name with another content ends the step, which names both digests."""
    step.publish(MIRROR, TOOL, LIBRARY, HELPER)
    other = b"another content"
    step.sites.files[f"{MIRROR}/{LIBRARY.path}"] = other
    result = step.run()
    assert result.returncode == 1
    for content in (other, LIBRARY.build(step.directory)):
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" in result.stderr


@pytest.mark.parametrize("lacks", [TOOL, HELPER], ids=lambda package: package.name)
def test_what_nothing_has_ends_the_step(step: Step, lacks: Package) -> None:
    """If neither has a package or a dependency, the message says so, and names two ways on."""
    step.publish(MIRROR, TOOL, LIBRARY, HELPER, lacks=(lacks,))
    result = step.run()
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert "neither Debian" in last
    assert "`nox -s update`" in last
    assert "VMAF_LOCK=accept" in last


def test_newer_release_is_accepted(step: Step) -> None:
    """VMAF_LOCK=accept installs what testing has where the locked package cannot be had."""
    newer = Package("tool", "2.0", "library1, helper")
    step.publish(MIRROR, newer, LIBRARY, HELPER)
    result = step.run(VMAF_LOCK="accept")
    assert installed(result) == {**LOCKED, "tool": "2.0"}
    assert "#warning the lock has tool_1.0_all.deb, and tool_2.0_all.deb of Debian" in result.stderr
    entry = json.loads(result.stdout.splitlines()[-1])
    assert entry["version"] == "2.0"
    assert entry["source"] == "Debian package tool (testing)"
    assert entry["lock"].startswith("accepted instead of 1.0, sha256:")


@pytest.mark.parametrize("kept", [(TOOL, LIBRARY), (LIBRARY,)], ids=["all", "one"])
def test_part_is_accepted_if_the_locked_files_do_not_fit(
    step: Step, kept: tuple[Package, ...]
) -> None:
    """VMAF_LOCK=accept takes all packages of testing if the locked ones cannot be installed.

    The pool still has all of the locked ones, or one that does not fit the accepted other.
    """
    newer = (Package("tool", "2.0", "library1 (= 2.0)"), Package("library1", "2.0"))
    step.publish(MIRROR, *newer)
    for package in kept:
        step.sites.files[f"{MIRROR}/{package.path}"] = package.build(step.directory)
    result = step.run(VMAF_LOCK="accept")
    assert installed(result) == {"tool": "2.0", "library1": "2.0"}
    assert json.loads(result.stdout.splitlines()[-1])["version"] == "2.0"
    refused = step.run()
    assert refused.returncode == 1
    assert "or set VMAF_LOCK=accept" in refused.stderr.splitlines()[-1]


def test_release_of_a_stranger_is_not_accepted(step: Step) -> None:
    """VMAF_LOCK=accept takes only what has Debian's signature."""
    step.publish(MIRROR, NEWER_TOOL)
    fetch = "/run/recipes/locked/locked.sh fetch p/tool"
    accepted = step.run(fetch, VMAF_LOCK="accept")
    assert accepted.stdout.endswith("/tool_2.0_all.deb\n"), accepted.stderr
    refused = step.run(fetch, signer=STRANGER, VMAF_LOCK="accept")
    assert refused.returncode == 1
    assert not refused.stdout
