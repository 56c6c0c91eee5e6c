"""Given source trees: found in every layout, copied clean, refused with a reason."""

import json
import subprocess
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.images import sources


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def libvmaf_tree(
    top: Path, folder: str = "libvmaf", options: str = "option('enable_cuda')"
) -> Path:
    """Make the least that counts as a libvmaf checkout."""
    (top / folder).mkdir(parents=True)
    (top / folder / "meson.build").write_text("project('libvmaf', 'c',\n    version : '9.8.7')\n")
    (top / folder / "meson_options.txt").write_text(options)
    (top / "model").mkdir()
    (top / "model" / "vmaf.json").write_text("{}")
    return top


def git(*words: str, cwd: Path) -> str:
    """Run git as somebody."""
    return subprocess.run(
        ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *words],
        cwd=cwd,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.mark.parametrize("folder", ["libvmaf", "core"])
def test_a_tree_becomes_libvmaf_model_and_description(tmp_path: Path, folder: str) -> None:
    """Netflix's layout and the fork's give the same copy."""
    source = sources.prepare("libvmaf", str(libvmaf_tree(tmp_path / "vmaf", folder)))
    assert sorted(path.name for path in source.folder.iterdir()) == [
        "libvmaf",
        "model",
        "source.json",
    ]
    described = json.loads((source.folder / "source.json").read_text())
    assert described["version"] == "9.8.7"
    assert described["source"] == "directory vmaf"
    assert described["digest"].startswith("sha256:")
    assert source.context == "libvmaf-source"


def test_the_folder_with_meson_build_serves_too(tmp_path: Path) -> None:
    """`--libvmaf vmaf/libvmaf` means the tree around it."""
    tree = libvmaf_tree(tmp_path / "vmaf")
    assert sources.prepare("libvmaf", str(tree / "libvmaf")).version == "9.8.7"


def test_backends_are_read_from_the_options(tmp_path: Path) -> None:
    """A fork's tree may offer more than Netflix's, or less."""
    tree = libvmaf_tree(tmp_path / "a", options="option('enable_hip')\noption('enable_sycl')")
    assert sources.prepare("libvmaf", str(tree)).backends == {"cpu", "hip", "sycl"}
    assert sources.prepare("libvmaf", str(libvmaf_tree(tmp_path / "b"))).backends == {"cpu", "cuda"}


def test_the_digest_follows_content_and_nothing_else(tmp_path: Path) -> None:
    """A touched file is the same source; an edited one is another."""

    def digest() -> str:
        folder = sources.prepare("libvmaf", str(tree)).folder
        return str(json.loads((folder / "source.json").read_text())["digest"])

    tree = libvmaf_tree(tmp_path / "vmaf")
    before = digest()
    (tree / "model" / "vmaf.json").touch()
    assert digest() == before
    (tree / "model" / "vmaf.json").write_text("{} ")
    assert digest() != before


def test_build_folders_stay_behind(tmp_path: Path) -> None:
    """What the owner's own builds left is no source, in a checkout or outside one."""
    tree = libvmaf_tree(tmp_path / "vmaf")
    (tree / "libvmaf" / "build" / "meson-private").mkdir(parents=True)
    (tree / "libvmaf" / "build" / "libvmaf.so").write_text("stale")
    assert not (sources.prepare("libvmaf", str(tree)).folder / "libvmaf" / "build").exists()

    git("init", "--quiet", cwd=tree)
    (tree / ".gitignore").write_text("*.log\n")
    (tree / "libvmaf" / "x.log").write_text("noise")
    (tree / "libvmaf" / "new.c").write_text("int untracked;")
    copy = sources.prepare("libvmaf", str(tree)).folder / "libvmaf"
    assert (copy / "new.c").exists()
    assert not (copy / "x.log").exists()


def test_a_git_url_gives_the_asked_commit(tmp_path: Path) -> None:
    """URL#REF takes a branch, and the manifest names the commit."""
    tree = libvmaf_tree(tmp_path / "vmaf")
    git("init", "--quiet", "--initial-branch=main", cwd=tree)
    git("add", "-A", cwd=tree)
    git("commit", "--quiet", "-m", "one", cwd=tree)
    first = git("rev-parse", "HEAD", cwd=tree)
    git("branch", "old", cwd=tree)
    (tree / "libvmaf" / "meson.build").write_text(
        "project('libvmaf', 'c',\n  version : '10.0.0')\n"
    )
    git("commit", "--quiet", "-am", "two", cwd=tree)
    url = tree.as_uri()
    assert sources.prepare("libvmaf", url).version == "10.0.0"
    old = sources.prepare("libvmaf", f"{url}#old")
    assert old.version == "9.8.7"
    assert first in (old.folder / "source.json").read_text()


@pytest.mark.parametrize(
    ("project", "reason"), [("libvmaf", "no libvmaf/meson.build"), ("ffmpeg", "no configure")]
)
def test_a_tree_of_something_else_is_refused(tmp_path: Path, project: str, reason: str) -> None:
    """The message says what was looked for."""
    with pytest.raises(UserError, match=reason):
        sources.prepare(project, str(tmp_path))


def test_a_missing_folder_and_an_unreachable_url_are_refused(tmp_path: Path) -> None:
    """Neither ends in a traceback."""
    with pytest.raises(UserError, match="no such folder"):
        sources.prepare("libvmaf", str(tmp_path / "absent"))
    with pytest.raises(UserError, match="cannot fetch --libvmaf"):
        sources.prepare("libvmaf", (tmp_path / "absent.git").as_uri())


def test_an_ffmpeg_tree_configured_in_place_is_refused(tmp_path: Path) -> None:
    """FFmpeg cannot be built from outside such a tree."""
    (tmp_path / "configure").touch()
    (tmp_path / "libavfilter").mkdir()
    (tmp_path / "RELEASE").write_text("7.1.5\n")
    assert sources.prepare("ffmpeg", str(tmp_path)).version == "7.1.5"
    (tmp_path / "config.h").touch()
    with pytest.raises(UserError, match="configured in place"):
        sources.prepare("ffmpeg", str(tmp_path))
