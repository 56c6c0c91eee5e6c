"""Install the Docker Engine from Debian's packages.

The packages come from the host's own archive if they are recent enough, and otherwise from the
suite `SUITE` of the host's mirror.
"""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from debian.deb822 import Deb822

from scripts.core import process
from scripts.core.console import UserError, console, say
from scripts.engine.client import MINIMUM_BUILDX, MINIMUM_ENGINE, NEEDS, major_minor
from scripts.engine.host import STATE, Host

APT_LOG = STATE / "apt.log"
MINIMUM_COMPOSE = (2, 20)
"""The oldest version to install if the plugin is missing; tested: 2.26."""
SUITE = "trixie"
"""The Debian suite that provides packages if the packages of the host are too old.

It is the oldest suite with recent enough versions. It need not be the release of the images.
"""
VERSIONED = {
    "docker.io": MINIMUM_ENGINE,
    "docker-cli": MINIMUM_ENGINE,
    "docker-buildx": MINIMUM_BUILDX,
    "docker-compose": MINIMUM_COMPOSE,
}
"""The packages that may come from `SUITE`, and their oldest usable versions."""
ADDITIONAL_PACKAGES = ("ca-certificates", "git", "mmdebstrap")
"""Packages to pull images, to fetch git contexts and to bootstrap base images."""
INDEX_FORMAT = "$(REPO_URI)|$(CODENAME)|$(ORIGIN)|$(COMPONENT)|$(SOURCESENTRY)"
"""The fields that `newer_sources` reads from `apt-get indextargets`."""
INSTALL = ("install", "--no-install-recommends", "--no-remove")


def missing_packages(dockerd: str, client: str, buildx: str) -> list[str]:
    """Return the packages to install for an engine.

    docker-cli is always installed with docker.io, because newer versions of docker.io do not
    contain the client. An old buildx is not replaced, because two packages cannot install the
    same file.

    Args:
        dockerd: the output of `dockerd --version`; empty if it is not installed.
        client: the output of `docker --version`; empty if it is not installed.
        buildx: the output of `docker buildx version`; empty if it is not installed.
    """
    packages = []
    if major_minor(dockerd) < MINIMUM_ENGINE:
        packages += ["docker.io", "docker-cli"]
    elif not client:
        packages += ["docker-cli"]
    if not buildx:
        packages += ["docker-buildx"]
    return packages


def install(packages: Sequence[str], host: Host) -> None:
    """Install packages of the engine, from the host's own archive or from `SUITE`.

    Raises:
        UserError: the host does not use apt, its release is too old, or apt failed.
    """
    if not host.uses_apt:
        raise UserError(
            "cannot install the engine",
            f"{', '.join(packages)} would be needed, and this system does not use apt",
            f"Install your distribution's Docker Engine and buildx. Needed: {NEEDS}.",
        )
    STATE.mkdir(parents=True, exist_ok=True)
    names = [*packages, *(ADDITIONAL_PACKAGES if "docker.io" in packages else ())]
    say(f"installing {', '.join(names)}; the output of apt is in {APT_LOG}")
    _apt_get("update")
    candidates = read_candidates(process.output("apt-cache", "policy", *VERSIONED))
    if are_recent(packages, candidates):
        _apt_get(*INSTALL, *(name for name in names if name in candidates or name not in VERSIONED))
        return
    if host.release.get("ID") != "debian":
        offered = ", ".join(f"{name} {version}" for name, version in candidates.items())
        raise UserError(
            "cannot install the engine",
            f"the packages of this distribution are too old ({offered or 'it has none'})",
            f"Install the engine from Docker's archive. Needed: {NEEDS}.",
        )
    with tempfile.TemporaryDirectory(prefix="vmaf-images-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # apt downloads as the user _apt
        _download(packages, host, directory)
        files = [f"./{path.name}" for path in directory.glob("*.deb")]
        others = [name for name in names if name not in packages]
        simulated = process.run("apt-get", "--simulate", *INSTALL, *files, *others, cwd=directory)
        if changes_libc(simulated.stdout):
            raise UserError(
                "cannot install the engine",
                f"the packages of {SUITE} would replace this system's C library",
                f"Upgrade the system, or install the engine yourself: {NEEDS}.",
            )
        _apt_get(*INSTALL, *files, *others, cwd=directory)


def purge(packages: Sequence[str]) -> None:
    """Remove packages with their settings.

    Raises:
        UserError: apt failed.
    """
    _apt_get("purge", *packages)


def install_compose(host: Host) -> None:
    """Install the client's compose plugin if it is missing, on Debian and as root.

    A failure only prints a hint, because only the workbench needs compose.
    """
    if (
        not host.root
        or host.release.get("ID") != "debian"
        or process.output("docker", "compose", "version")
    ):
        return
    try:
        install(["docker-compose"], host)
    except UserError as error:
        say(f"hint: dev/compose.yaml needs the compose plugin, which is missing: {error.why}")


def read_candidates(policy: str) -> dict[str, str]:
    """Return the version of each package that apt would install, from `apt-cache policy`."""
    matches = re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (\S+)$", policy, re.MULTILINE)
    return {name: version for name, version in matches if version != "(none)"}


def are_recent(packages: Iterable[str], candidates: Mapping[str, str]) -> bool:
    """Return whether the host's own archive has all packages in usable versions.

    Ubuntu has no docker-cli: its docker.io contains the client.
    """
    offered = {"docker-cli": candidates.get("docker.io", ""), **candidates}
    return all(major_minor(offered.get(name, "")) >= VERSIONED[name] for name in packages)


def newer_sources(targets: str, codename: str, files: Mapping[str, str]) -> str:
    """Return the host's Debian archives at `SUITE`, as a .sources file.

    The sources have the mirrors and keys of the host.

    Args:
        targets: the lines of `apt-get indextargets` in `INDEX_FORMAT`.
        codename: the suite of the host.
        files: the content of apt's source files, by path.
    """
    suites = {codename: SUITE, f"{codename}-security": f"{SUITE}-security"}
    stanzas: dict[str, None] = {}
    for line in targets.splitlines():
        uri, suite, origin, component, entry = line.split("|")
        if origin != "Debian" or component != "main" or suite not in suites:
            continue
        stanza = Deb822(
            {"Types": "deb", "URIs": uri, "Suites": suites[suite], "Components": "main"}
        )
        if key := signed_by(files.get(_path(entry), ""), uri):
            stanza["Signed-By"] = key
        stanzas[stanza.dump()] = None
    return "\n".join(stanzas)


def signed_by(text: str, uri: str) -> str:
    """Return the key of an archive from a source file of apt, or an empty string.

    It is the value of Signed-By: the path of a key, or a complete key. Both formats of source
    files are read: the lines of a .list file and the stanzas of a .sources file.
    """
    lines = r"^[ \t]*deb[ \t]+\[.*?signed-by=([^\s\]]+).*?\][ \t]+(\S+)"
    for option in re.finditer(lines, text, re.MULTILINE):
        if option[2].rstrip("/") == uri.rstrip("/"):
            return option[1]
    for stanza in Deb822.iter_paragraphs(text, use_apt_pkg=False):
        if uri.rstrip("/") in [url.rstrip("/") for url in stanza.get("URIs", "").split()]:
            key: str = stanza.get("Signed-By", "")
            return key
    return ""


def changes_libc(simulated: str) -> bool:
    """Return whether the output of `apt-get install --simulate` replaces the C library."""
    return re.search(r"^(Inst|Remv) libc6[ :]", simulated, re.MULTILINE) is not None


def _download(packages: Sequence[str], host: Host, directory: Path) -> None:
    """Download packages of `SUITE` with separate sources and lists for apt.

    The host's own sources stay unchanged, so that apt upgrades no other package to the suite.

    Raises:
        UserError: the host has no source of Debian, or apt failed.
    """
    say(f"the host's own packages are too old or absent: using the packages of {SUITE}")
    targets = process.output(
        "apt-get", "indextargets", "--format", INDEX_FORMAT, "Created-By: Packages"
    )
    paths = {_path(line.split("|")[4]) for line in targets.splitlines()}
    files = {path: Path(path).read_text() for path in paths}
    sources = newer_sources(targets, host.release.get("VERSION_CODENAME", ""), files)
    if not sources:
        raise UserError(
            "cannot install the engine",
            "apt has no source of Debian itself",
            f"Add the source of your release to apt, or install the engine yourself: {NEEDS}.",
        )
    (directory / "suite.sources").write_text(sources)
    for name in ("lists", "cache/archives"):
        (directory / name / "partial").mkdir(parents=True)
    options = [
        f"Dir::Etc::SourceList={directory}/suite.sources",
        "Dir::Etc::SourceParts=/dev/null",
        "Dir::Etc::Preferences=/dev/null",
        "Dir::Etc::PreferencesParts=/dev/null",
        "APT::Default-Release=",
        f"Dir::State::Lists={directory}/lists",
        f"Dir::Cache={directory}/cache",
    ]
    _apt_get("update", options=options)
    _apt_get("download", *packages, options=options, cwd=directory)


def _path(entry: str) -> str:
    """Return the file of a source entry: `/etc/apt/sources.list:2` is line 2 of the file."""
    return entry.rpartition(":")[0]


def _apt_get(*arguments: str, options: Iterable[str] = (), cwd: Path | None = None) -> None:
    """Run apt-get with its output in `APT_LOG`.

    Raises:
        UserError: apt-get failed; the message ends with the last lines of the log.
    """
    options = ["DPkg::Lock::Timeout=300", "Dpkg::Use-Pty=0", *options]
    with console.status(f"apt-get {arguments[0]}"):
        status = process.run_logged(
            *("apt-get", "--quiet", "--assume-yes"),
            *(f"--option={option}" for option in options),
            *arguments,
            log=APT_LOG,
            cwd=cwd,
            env={**process.environment(), "DEBIAN_FRONTEND": "noninteractive"},
        )
    if status:
        raise UserError(
            f"`apt-get {arguments[0]}` failed",
            f"it ended with code {status}",
            f"{process.last_lines(APT_LOG)}\n"
            f"Correct that, or install the engine yourself: {NEEDS}.",
        )
