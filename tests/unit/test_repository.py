"""The repository agrees with itself: sessions, bake file, docs, linted files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.core import git
from scripts.core.paths import ROOT
from scripts.dockerfile import bake
from scripts.images import catalogue
from tests.support.buildx import needs_buildx


@pytest.fixture(scope="module")
def sessions() -> dict[str, str]:
    """Return the description of each nox session, by name."""
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(re.findall(r"^[*-] (\S+)(?: -> (.*))?$", listed.stdout, re.MULTILINE))


@needs_buildx
def test_every_image_has_a_build_session_and_no_other_has(sessions: dict[str, str]) -> None:
    """`nox -l` must list without Docker, so its names are typed once more, and held here."""
    builds = {name for name in sessions if name.startswith("build-")}
    assert builds == {image.session for image in catalogue.images().values()}


@needs_buildx
def test_every_tagged_target_is_in_the_default_group() -> None:
    """An image outside it would be built, tested and drawn by nobody."""
    declared = re.findall(
        r'^target "([a-z0-9-]+)"', (ROOT / "docker-bake.hcl").read_text(), re.MULTILINE
    )
    targets = bake.bake_print(*declared)["target"]
    tagged = {name for name in declared if targets[name].get("tags")}
    assert tagged == set(catalogue.images())


@needs_buildx
def test_every_dockerfile_of_the_bake_files_is_linted() -> None:
    """Hadolint gets its list from the tree; no file may hide from it by its name."""
    printed = bake.bake_print("base", *catalogue.images(), files=[f.name for f in bake_files()])
    built = {target["dockerfile"] for target in printed["target"].values()}
    assert built <= {str(path) for path in git.dockerfiles()}


def bake_files() -> list[Path]:
    """Return the bake files, the one list first."""
    return sorted(ROOT.glob("docker-bake*.hcl"), key=lambda path: len(path.name))


def test_nox_l_reads_as_a_manual(sessions: dict[str, str]) -> None:
    """Each session says in one line what it is for."""
    for name, description in sessions.items():
        assert description, name
        assert description[0].isupper(), name
        assert len(description) <= 100, name


@pytest.mark.parametrize(
    "page", ["README.md", *(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))]
)
def test_docs_name_what_exists(page: str, sessions: dict[str, str]) -> None:
    """Sessions and linked files that a page names are there."""
    text = (ROOT / page).read_text()
    for words in re.findall(r"nox -s ((?:[a-z][a-zX0-9-]*[ `\n])+)", text):
        named = {word for word in re.findall(r"[a-zX0-9-]+", words) if "-" in word}
        assert named - {"build-X"} <= set(sessions), words
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target
