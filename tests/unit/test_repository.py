"""The parts of the repository match: nox sessions, bake file, linted files, docs."""

import os
import re
import sys
from pathlib import Path

import pytest

from scripts.core import git, process
from scripts.core.paths import ROOT
from scripts.dockerfile import bake
from scripts.images import catalogue
from tests.support.buildx import needs_buildx

PAGES = [
    *("README.md", "CONTRIBUTING.md", ".pre-commit-config.yaml"),
    *(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md")),
]


@pytest.fixture(scope="module")
def sessions() -> dict[str, str]:
    """Return the description of each nox session, by name."""
    listed = process.output(sys.executable, "-m", "nox", "--list", cwd=ROOT)
    return dict(re.findall(r"^[*-] (\S+)(?: -> (.*))?$", listed, re.MULTILINE))


def bake_files() -> list[Path]:
    """Return the bake files, docker-bake.hcl first."""
    return sorted(ROOT.glob("docker-bake*.hcl"), key=lambda path: len(path.name))


@needs_buildx
def test_each_image_has_a_build_session(sessions: dict[str, str]) -> None:
    """Each image has a session build-NAME, and there is no other build session.

    The noxfile repeats the names, because `nox -l` must work without Docker.
    """
    builds = {name for name in sessions if name.startswith("build-")}
    assert builds == {image.session for image in catalogue.images().values()}


@needs_buildx
def test_default_group_contains_every_tagged_target() -> None:
    """Every target with a tag is in the default group, so that it is built and tested."""
    declared = re.findall(
        r'^target "([a-z0-9-]+)"', (ROOT / "docker-bake.hcl").read_text(), re.MULTILINE
    )
    targets = bake.bake_print(*declared)["target"]
    tagged = {name for name in declared if targets[name].get("tags")}
    assert tagged == set(catalogue.images())


@needs_buildx
def test_lint_covers_the_dockerfiles_of_the_bake_files() -> None:
    """Every Dockerfile that a bake file builds is among the files that are linted."""
    files = [file.name for file in bake_files()]
    printed = bake.bake_print("base", *catalogue.images(), files=files)
    built = {target["dockerfile"] for target in printed["target"].values()}
    assert built <= {str(path) for path in git.dockerfiles()}


def test_each_session_has_a_one_line_description(sessions: dict[str, str]) -> None:
    """Each nox session has a description of at most 100 characters, so `nox -l` is readable."""
    assert sessions
    for name, description in sessions.items():
        assert description, name
        assert description[0].isupper(), name
        assert len(description) <= 100, name


def test_nox_stops_at_a_failed_session(tmp_path: Path) -> None:
    """`nox -s engine build-cpu` prints the error of the engine once and does not build.

    The address of the engine is no socket that a daemon would be started for.
    """
    nox = process.run(
        *(sys.executable, "-m", "nox", "--no-venv", "--no-install"),
        *("--sessions", "engine", "build-cpu"),
        cwd=ROOT,
        env={
            **os.environ,
            "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
            "HOME": str(tmp_path),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
    )
    printed = nox.stdout + nox.stderr
    assert nox.returncode == 1
    assert printed.count("error: no Docker Engine answers") == 1, printed
    assert "Session engine failed" in printed
    assert "session build-cpu" not in printed


def test_changelog_begins_with_the_version() -> None:
    """The first entry of the changelog is that of the version in VERSION."""
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first
    assert first[1] == (ROOT / "VERSION").read_text().strip()


def unknown_sessions(text: str, sessions: set[str]) -> set[str]:
    """Return the sessions with a hyphen in their names that a page uses and nox does not have."""
    commands = re.findall(r"nox (?:-r )?-s ((?:[a-z][a-zX0-9-]*[ `\n])+)", text)
    named = {name for command in commands for name in re.findall(r"[a-zX0-9-]+", command)}
    return {name for name in named if "-" in name} - {"build-X"} - sessions


def dead_links(text: str, directory: Path) -> list[str]:
    """Return the files that a page in a directory links to and that do not exist."""
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    return [target for target in targets if not (directory / target).exists()]


@pytest.mark.parametrize("page", PAGES)
def test_docs_name_existing_sessions_and_files(page: str, sessions: dict[str, str]) -> None:
    """The nox sessions and the files that a page names exist."""
    text = (ROOT / page).read_text()
    assert not unknown_sessions(text, set(sessions))
    assert not dead_links(text, (ROOT / page).parent)


def test_check_of_the_docs_catches_faults() -> None:
    """The check of the docs finds a session that does not exist, and a link to a missing file."""
    text = "Run `nox -s build-cpu build-gone`, see [a](README.md), [b](gone.md), [c](https://x)."
    assert unknown_sessions(text, {"build-cpu"}) == {"build-gone"}
    assert dead_links(text, ROOT) == ["gone.md"]
