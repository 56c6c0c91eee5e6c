"""Running apt with its cache mount, with a substitute for apt-get."""

import hashlib
from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.paths import ROOT

RECIPE = ROOT / "docker" / "recipes" / "lib" / "apt.sh"
CONTENT = "a package"
SHA256 = hashlib.sha256(CONTENT.encode()).hexdigest()
APT = f"""#!/bin/sh
# Like apt, this fetches what the cache lacks, and does not check what it has.
case " $* " in
*" --print-uris "*) echo "'http://mirror/x.deb' x_1_all.deb 9 SHA256:{SHA256}" ;;
*" show "*) echo "Version: 1" ;;
*" install "*|*" download "*)
    cd "$ARCHIVES" || exit 1
    [ -f x_1_all.deb ] || {{ echo fetched && printf '{CONTENT}' >x_1_all.deb; }}
    grep -qx '{CONTENT}' x_1_all.deb
    ;;
esac
"""


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """Write the recipe and apt-get to a directory; return the directory of packages there."""
    text = RECIPE.read_text()
    for path in ("/var/", "/dev/shm"):  # noqa: S108 (paths in the recipe)
        assert path in text
        text = text.replace(path, f"{tmp_path}{path}")
    (tmp_path / "apt.sh").write_text(text)
    for name in ("apt-get", "apt-cache"):
        (tmp_path / name).write_text(APT)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "dev" / "shm").mkdir(parents=True)
    (tmp_path / "var" / "lib" / "apt" / "lists").mkdir(parents=True)
    directory = tmp_path / "var" / "cache" / "apt" / "archives"
    directory.mkdir(parents=True)
    return directory


def install(archives: Path, verb: str = "install") -> process.CompletedProcess[str]:
    """Install or download a package as a build step does."""
    directory = archives.parents[3]
    environment = {"ARCHIVES": str(archives), "PATH": f"{directory}:/usr/bin:/bin"}
    return process.run("sh", str(directory / "apt.sh"), verb, "x", env=environment)


def test_package_in_the_cache_is_used(archives: Path) -> None:
    """An intact package is fetched once."""
    assert "fetched" in install(archives).stdout
    done = install(archives)
    assert not done.returncode
    assert "fetched" not in done.stdout
    assert "#warning" not in done.stderr


@pytest.mark.parametrize("verb", ["install", "download"])
def test_new_mount_is_empty(archives: Path, verb: str) -> None:
    """The first step that uses a mount makes the directory of packages, whatever it does."""
    archives.rmdir()
    done = install(archives, verb)
    assert not done.returncode, done.stderr
    assert "can't cd" not in done.stderr
    assert (archives / "x_1_all.deb").exists()
    assert verb == "install" or done.stdout == f"{archives}/x_1_all.deb\n"


@pytest.mark.parametrize("damaged", ["b package", "a pack", ""])
def test_damaged_package_is_fetched_again(archives: Path, damaged: str) -> None:
    """A changed or incomplete package is fetched again, and a warning names it."""
    package = archives / "x_1_all.deb"
    package.write_text(damaged)
    done = install(archives)
    assert not done.returncode, done.stderr
    assert "fetched" in done.stdout
    assert package.read_text() == CONTENT
    assert "#warning apt's cache had a damaged x_1_all.deb" in done.stderr


def test_other_packages_in_the_cache_stay(archives: Path) -> None:
    """Packages that this step does not install are not removed."""
    other = archives / "y_1_all.deb"
    other.write_text("of another step")
    assert not install(archives).returncode
    assert other.exists()
