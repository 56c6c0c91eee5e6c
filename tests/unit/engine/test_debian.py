"""The installation from Debian's packages."""

from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.engine import debian
from tests.support.engine import (
    BOOKWORM_POLICY,
    LINES,
    STANZAS,
    TARGETS,
    Calls,
    Programs,
    host,
)

TRIXIE = {"docker.io": "26.1.5+dfsg1-9", "docker-cli": "26.1.5", "docker-buildx": "0.13.1+ds1-3"}


@pytest.mark.parametrize(
    ("dockerd", "docker", "buildx", "expected"),
    [
        ("", "", "", ["docker.io", "docker-cli", "docker-buildx"]),
        ("Docker version 20.10.24", "20.10.24", "", ["docker.io", "docker-cli", "docker-buildx"]),
        ("", "28.2", "0.20", ["docker.io", "docker-cli"]),
        ("Docker version 26.1.5", "", "", ["docker-cli", "docker-buildx"]),
        ("Docker version 26.1.5", "28.2", "", ["docker-buildx"]),
        ("Docker version 26.1.5", "28.2", "0.9", []),
    ],
)
def test_missing_packages_include_the_client(
    dockerd: str, docker: str, buildx: str, expected: list[str]
) -> None:
    """docker.io is never installed without its client, and an old buildx is not replaced."""
    assert debian.missing_packages(dockerd, docker, buildx) == expected


def test_package_without_a_candidate_cannot_be_installed() -> None:
    """apt-cache prints a package that it cannot install with the candidate `(none)`."""
    candidates = debian.read_candidates(BOOKWORM_POLICY)
    assert candidates == {"docker.io": "20.10.24+dfsg1-1+deb12u1+b6"}


@pytest.mark.parametrize(
    ("packages", "candidates", "expected"),
    [
        (list(TRIXIE), TRIXIE, True),
        (list(TRIXIE), debian.read_candidates(BOOKWORM_POLICY), False),
        (["docker-cli"], debian.read_candidates(BOOKWORM_POLICY), False),
        (list(TRIXIE), {"docker.io": "27.5.1", "docker-buildx": "0.20.1"}, True),  # Ubuntu
        (list(TRIXIE), {"docker.io": "27.5.1", "docker-buildx": "0.12.1"}, False),
        (["docker-buildx"], {"docker.io": "20.10.24", "docker-buildx": "0.13.1"}, True),
    ],
)
def test_are_recent_checks_every_package(
    packages: list[str], candidates: dict[str, str], *, expected: bool
) -> None:
    """Every requested package must be recent; on Ubuntu docker.io contains the client."""
    assert debian.are_recent(packages, candidates) is expected


@pytest.mark.parametrize(
    ("text", "uri", "expected"),
    [
        (STANZAS, "http://second.example.org/debian/", "/usr/share/keyrings/one.gpg"),
        (
            STANZAS,
            "http://security.example.org/debian-security/",
            "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc",
        ),
        (STANZAS, "http://old.example.org/debian/", ""),
        (LINES, "http://list.example.org/debian/", "/list.gpg"),
        (LINES, "http://plain.example.org/debian/", ""),
    ],
)
def test_signed_by_reads_both_formats(text: str, uri: str, expected: str) -> None:
    """The key of an apt source is read from both formats, and not from a commented source."""
    assert debian.signed_by(text, uri) == expected


def test_newer_sources_use_the_mirrors_and_keys_of_the_host() -> None:
    """The sources of a newer suite list each of the host's mirrors of Debian once, with its key."""
    files = {"/etc/apt/debian.sources": STANZAS, "/etc/apt/sources.list": LINES}
    assert debian.newer_sources(TARGETS, "bookworm", files) == (
        "Types: deb\nURIs: http://deb.example.org/debian/\nSuites: trixie\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/one.gpg\n"
        "\n"
        "Types: deb\nURIs: http://plain.example.org/sec/\nSuites: trixie-security\n"
        "Components: main\n"
    )


def test_newer_sources_keep_a_key_inside_the_file() -> None:
    """A key inside an apt source is copied completely with its lines indented."""
    uri = "http://security.example.org/debian-security/"
    target = f"{uri}|bookworm-security|Debian|main|/etc/apt/debian.sources:9\n"
    sources = debian.newer_sources(target, "bookworm", {"/etc/apt/debian.sources": STANZAS})
    assert sources == (
        f"Types: deb\nURIs: {uri}\nSuites: trixie-security\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n"
    )


def test_newer_sources_are_empty_for_another_release() -> None:
    """No sources of a newer suite are made from an archive of another release."""
    assert debian.newer_sources(TARGETS, "bullseye", {}) == ""


@pytest.mark.parametrize(
    ("simulated", "expected"),
    [
        ("Inst docker.io (26)\nInst libc6 [2.36] (2.41)\n", True),
        ("Remv libc6:amd64 [2.36]\n", True),
        ("Inst libc6-dev [2.36] (2.41)\nConf libc6 (2.36)\n", False),
    ],
)
def test_changes_libc_finds_only_the_library(simulated: str, *, expected: bool) -> None:
    """A simulation of apt changes the C library only if libc6 itself is replaced or removed."""
    assert debian.changes_libc(simulated) is expected


def test_install_from_a_newer_suite(sandbox: Path, apt_calls: Calls) -> None:
    """Packages of a newer suite are downloaded with separate sources and installed by apt."""
    debian.install(["docker.io", "docker-buildx"], host())
    assert "trixie-security" in (sandbox / "suite.sources").read_text()
    update, _, separate_update, download, simulate, install = apt_calls()
    assert update.endswith("update")
    assert "Dir::State::Lists" not in update
    assert "Dir::State::Lists=" in separate_update
    assert "Dir::Etc::SourceParts=/dev/null" in separate_update
    assert "APT::Default-Release= " in separate_update
    assert download.endswith("download docker.io docker-buildx")
    assert "--simulate" in simulate
    assert "Dir::" not in install
    assert "--no-install-recommends --no-remove" in install
    assert "./docker.io_26.deb" in install
    assert install.endswith("ca-certificates git mmdebstrap")


def test_install_never_replaces_the_c_library(sandbox: Path, apt_calls: Calls) -> None:
    """Nothing is installed after a simulation of apt that replaces the C library."""
    (sandbox / "libc").touch()
    with pytest.raises(UserError, match="C library"):
        debian.install(["docker.io", "docker-buildx"], host())
    assert "--simulate" in apt_calls()[-1]


def test_install_from_the_archive_of_the_host(sandbox: Path, apt_calls: Calls) -> None:
    """Recent packages of the host's archive are installed without another suite."""
    policy = [f"{name}:\n  Installed: (none)\n  Candidate: {v}\n" for name, v in TRIXIE.items()]
    (sandbox / "policy").write_text("".join(policy))
    debian.install(["docker-buildx"], host())
    update, install = apt_calls()
    assert update.endswith("update")
    assert install.endswith("install --no-install-recommends --no-remove docker-buildx")


def test_install_leaves_out_a_package_that_does_not_exist(sandbox: Path, apt_calls: Calls) -> None:
    """A package that the archive lacks is left out, such as docker-cli on Ubuntu."""
    ubuntu = {"docker.io": "27.5.1", "docker-cli": "(none)", "docker-buildx": "0.20"}
    policy = [f"{name}:\n  Installed: (none)\n  Candidate: {v}\n" for name, v in ubuntu.items()]
    (sandbox / "policy").write_text("".join(policy))
    debian.install(list(ubuntu), host(ident="ubuntu", like="debian"))
    assert apt_calls()[-1].endswith("docker.io docker-buildx ca-certificates git mmdebstrap")


def test_install_shows_the_end_of_the_log(sandbox: Path, apt_calls: Calls) -> None:
    """The error for a failed installation by apt contains the output of apt."""
    (sandbox / "broken").touch()
    with pytest.raises(UserError, match="`apt-get install` failed") as caught:
        debian.install(["docker.io"], host())
    assert "output of apt" in caught.value.todo
    assert len(apt_calls()) == 6


def test_install_on_another_system_changes_nothing(apt_calls: Calls) -> None:
    """A system without apt is refused at once, and an old Ubuntu after `apt-get update`."""
    with pytest.raises(UserError, match="does not use apt"):
        debian.install(["docker.io"], host(ident="fedora"))
    with pytest.raises(UserError, match=r"too old \(docker.io 20.10.24"):
        debian.install(["docker.io"], host(ident="ubuntu", like="debian"))
    assert len(apt_calls()) == 1


def test_install_without_a_source_of_debian(sandbox: Path, apt_calls: Calls) -> None:
    """Without a source of Debian on the host, nothing is installed from another archive."""
    (sandbox / "targets").write_text("")
    with pytest.raises(UserError, match="no source of Debian"):
        debian.install(["docker.io"], host())
    assert "indextargets" in apt_calls()[-1]


def test_compose_is_installed_where_it_is_missing(
    programs: Programs, apt_calls: Calls, capsys: pytest.CaptureFixture[str], sandbox: Path
) -> None:
    """Only root on Debian installs a missing compose, and a failure is only a hint."""
    programs("docker", "echo 2.26.1")
    debian.install_compose(host())
    programs("docker", "exit 1")
    for machine in (host(root=False), host(ident="ubuntu", like="debian")):
        debian.install_compose(machine)
    assert not (sandbox / "calls").exists()
    debian.install_compose(host())
    assert any(call.endswith("download docker-compose") for call in apt_calls())
    (sandbox / "libc").touch()
    debian.install_compose(host())
    assert "needs the compose plugin, which is missing" in capsys.readouterr().err
