"""Tests of source tree overrides: layouts, what is copied, and what is refused."""

import json
import os
import stat
from pathlib import Path

import pytest

from scripts.causes import inputs, store
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.images import rocm, sources
from tests.support.checkouts import run_git


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def libvmaf_tree(
    top: Path, directory: str = "libvmaf", options: str = "option('enable_cuda')"
) -> Path:
    """Make the smallest tree that is accepted as a libvmaf checkout."""
    (top / directory).mkdir(parents=True)
    (top / directory / "meson.build").write_text(
        "project('libvmaf', 'c',\n    version : '9.8.7')\n"
    )
    (top / directory / "meson_options.txt").write_text(options)
    (top / "model").mkdir()
    (top / "model" / "vmaf.json").write_text("{}")
    return top


@pytest.mark.parametrize("directory", ["libvmaf", "core"])
def test_copy_has_one_layout(tmp_path: Path, directory: str) -> None:
    """The copy of a libvmaf tree has the same layout for Netflix's tree and for the fork's."""
    source = sources.prepare("libvmaf", str(libvmaf_tree(tmp_path / "vmaf", directory)))
    assert sorted(path.name for path in source.directory.iterdir()) == [
        "libvmaf",
        "model",
        "source.json",
    ]
    described = json.loads((source.directory / "source.json").read_text())
    assert described["version"] == "9.8.7"
    assert described["source"] == "directory vmaf"
    assert described["digest"].startswith("sha256:")
    assert source.context == "libvmaf-source"


def test_licence_beside_the_library_is_copied(tmp_path: Path) -> None:
    """The licence of a libvmaf tree is in the copy and in the digest, as images contain it."""
    tree = libvmaf_tree(tmp_path / "vmaf")
    without = sources.prepare("libvmaf", str(tree))
    (tree / "LICENSE").write_text("BSD+Patent\n")
    source = sources.prepare("libvmaf", str(tree))
    assert (source.directory / "LICENSE").read_text() == "BSD+Patent\n"
    assert "LICENSE" in source.files
    assert source.digest != without.digest
    described = json.loads((source.directory / sources.DESCRIPTION).read_text())
    assert described["digest"] == f"sha256:{source.digest}"


def test_directory_with_meson_build_is_accepted(tmp_path: Path) -> None:
    """`--libvmaf vmaf/libvmaf` selects the tree around that directory."""
    tree = libvmaf_tree(tmp_path / "vmaf")
    assert sources.prepare("libvmaf", str(tree / "libvmaf")).version == "9.8.7"


def test_features_are_read_from_the_options(tmp_path: Path) -> None:
    """The features of a tree are those in its Meson options, and `cpu`."""
    options = "option('enable_hip')\n  option('enable_dnn')\n# option('enable_sycl')"
    source = sources.prepare("libvmaf", str(libvmaf_tree(tmp_path / "a", options=options)))
    assert source.features == {"cpu", "hip", "dnn"}
    assert source.backends == {"cpu", "hip"}
    tree = libvmaf_tree(tmp_path / "b")
    assert sources.prepare("libvmaf", str(tree)).features == {"cpu", "cuda"}
    (tree / "libvmaf" / "meson_options.txt").rename(tree / "libvmaf" / "meson.options")
    assert sources.prepare("libvmaf", str(tree)).features == {"cpu", "cuda"}


def test_tree_in_the_shape_of_a_fork() -> None:
    """Of a fork's tree, the layout, the version, the licence and the features are found."""
    source = sources.prepare("libvmaf", str(ROOT / "tests" / "fixtures" / "fork"))
    assert (source.directory / "libvmaf" / "subprojects" / "volk.wrap").is_file()
    assert (source.version, source.licence) == ("3.9.0", "EUPL-1.2")
    assert source.backends == {"cpu", "cuda", "hip", "sycl", "vulkan"}
    assert source.features - source.backends == {"dnn", "mcp", "metal"}
    assert source.needed_rocm == (7, "meson_options.txt")


@pytest.mark.parametrize(
    ("directory", "name", "text", "licence"),
    [
        ("", "LICENSE", "LICENSE - BSD+Patent\nnot the GNU General", "BSD-2-Clause-Patent"),
        ("libvmaf", "COPYING", "  GNU GENERAL PUBLIC LICENSE\n  Version 3, 2007", "GPL-3.0-only"),
        ("", "LICENSE.md", "MIT License\n", "MIT"),
        ("", "LICENSE", "Terms of our own\n" + 500 * "." + "MIT License", sources.UNKNOWN_LICENCE),
        ("", "README", "MIT License", sources.UNKNOWN_LICENCE),
    ],
)
def test_licence_is_read_from_the_tree(
    tmp_path: Path, directory: str, name: str, text: str, licence: str
) -> None:
    """The licence of a libvmaf tree is the one that its licence file begins with."""
    tree = libvmaf_tree(tmp_path / "vmaf")
    (tree / directory / name).write_text(text)
    source = sources.prepare("libvmaf", str(tree))
    described = json.loads((source.directory / "source.json").read_text())
    assert (source.licence, described["licence"]) == (licence, licence)


def test_digest_depends_on_content_only(tmp_path: Path) -> None:
    """The digest of a tree changes when a file is edited, not when it is touched."""

    def digest() -> str:
        copy = sources.prepare("libvmaf", str(tree)).directory
        return str(json.loads((copy / "source.json").read_text())["digest"])

    tree = libvmaf_tree(tmp_path / "vmaf")
    before = digest()
    (tree / "model" / "vmaf.json").touch()
    assert digest() == before
    (tree / "model" / "vmaf.json").write_text("{} ")
    assert digest() != before


def test_copy_can_be_read_by_everyone(tmp_path: Path) -> None:
    """The copy of a private tree can be read by the user of the steps that compile."""
    previous = os.umask(0o077)
    try:
        tree = libvmaf_tree(tmp_path / "vmaf")
        (tree / "libvmaf" / "tool.sh").touch(mode=0o700)
        copy = sources.prepare("libvmaf", str(tree)).directory
    finally:
        os.umask(previous)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (copy, *copy.rglob("*"))}
    assert modes.pop("tool.sh") == 0o755
    assert {modes.pop(name) for name in (copy.name, "libvmaf", "model")} == {0o755}
    assert modes.keys() >= {"meson.build", "source.json", "vmaf.json"}
    assert set(modes.values()) == {0o644}


def test_build_directories_are_not_copied(tmp_path: Path) -> None:
    """Build directories and ignored files are not copied, in a checkout or outside of one."""
    tree = libvmaf_tree(tmp_path / "vmaf")
    (tree / "libvmaf" / "build" / "meson-private").mkdir(parents=True)
    (tree / "libvmaf" / "build" / "libvmaf.so").write_text("stale")
    assert not (sources.prepare("libvmaf", str(tree)).directory / "libvmaf" / "build").exists()

    run_git(tree, "init", "--quiet")
    (tree / ".gitignore").write_text("*.log\n")
    (tree / "libvmaf" / "x.log").write_text("noise")
    (tree / "libvmaf" / "new.c").write_text("int untracked;")
    copy = sources.prepare("libvmaf", str(tree)).directory / "libvmaf"
    assert (copy / "new.c").exists()
    assert not (copy / "x.log").exists()


def test_git_url_selects_a_commit(tmp_path: Path) -> None:
    """URL#REF selects a branch of a source tree, and the description names the commit."""
    tree = libvmaf_tree(tmp_path / "vmaf")
    run_git(tree, "init", "--quiet", "--initial-branch=main")
    run_git(tree, "add", "-A")
    run_git(tree, "commit", "--quiet", "-m", "one")
    first = run_git(tree, "rev-parse", "HEAD")
    run_git(tree, "branch", "old")
    (tree / "libvmaf" / "meson.build").write_text(
        "project('libvmaf', 'c',\n  version : '10.0.0')\n"
    )
    run_git(tree, "commit", "--quiet", "-am", "two")
    url = tree.as_uri()
    assert sources.prepare("libvmaf", url).version.startswith("10.0.0+g")
    old = sources.prepare("libvmaf", f"{url}#old")
    assert old.version == f"9.8.7+g{first[:9]}"
    assert first in (old.directory / "source.json").read_text()


@pytest.mark.parametrize(
    ("project", "reason"), [("libvmaf", "no libvmaf/meson.build"), ("ffmpeg", "no configure")]
)
def test_tree_of_another_project_is_refused(tmp_path: Path, project: str, reason: str) -> None:
    """The error for a source tree of another project names the missing files."""
    with pytest.raises(UserError, match=reason):
        sources.prepare(project, str(tmp_path))


def test_missing_directory_and_unreachable_url_are_refused(tmp_path: Path) -> None:
    """A missing source directory and an unreachable URL are user errors, not tracebacks."""
    with pytest.raises(UserError, match="no such directory"):
        sources.prepare("libvmaf", str(tmp_path / "absent"))
    with pytest.raises(UserError, match="cannot fetch --libvmaf"):
        sources.prepare("libvmaf", (tmp_path / "absent.git").as_uri())


def test_ffmpeg_tree_configured_in_place_is_refused(tmp_path: Path) -> None:
    """An FFmpeg tree configured in place is refused, as it cannot be built from outside."""
    (tmp_path / "configure").touch()
    (tmp_path / "libavfilter").mkdir()
    (tmp_path / "RELEASE").write_text("7.1.5\n")
    assert sources.prepare("ffmpeg", str(tmp_path)).version == "7.1.5"
    (tmp_path / "config.h").touch()
    with pytest.raises(UserError, match="configured in place"):
        sources.prepare("ffmpeg", str(tmp_path))


def test_version_names_a_commit_that_is_no_release(tmp_path: Path) -> None:
    """A commit is named unless it has the tag of a release; other changes count as well."""
    tree = libvmaf_tree(tmp_path / "vmaf")
    assert sources.prepare("libvmaf", str(tree)).version == "9.8.7"  # it may be a tarball's
    run_git(tree, "init", "--quiet", "--initial-branch=main")
    run_git(tree, "add", "-A")
    run_git(tree, "commit", "--quiet", "-m", "one")
    run_git(tree, "tag", "nightly")
    commit = run_git(tree, "rev-parse", "HEAD")[:9]
    assert sources.prepare("libvmaf", str(tree)).version == f"9.8.7+g{commit}"
    run_git(tree, "tag", "v9.8.7")
    assert sources.prepare("libvmaf", str(tree)).version == "9.8.7"
    assert sources.prepare("libvmaf", f"{tree.as_uri()}#v9.8.7").version == "9.8.7"
    (tree / "model" / "new.json").write_text("{}")
    assert sources.prepare("libvmaf", str(tree)).version == f"9.8.7+g{commit}.dirty"


def test_changes_are_found_if_libvmaf_is_the_repository(tmp_path: Path) -> None:
    """A change counts also if model/ is outside of the repository."""
    tree = libvmaf_tree(tmp_path / "vmaf")
    library = tree / "libvmaf"
    run_git(library, "init", "--quiet", "--initial-branch=main")
    run_git(library, "add", "-A")
    run_git(library, "commit", "--quiet", "-m", "one")
    run_git(library, "tag", "v9.8.7")
    assert sources.prepare("libvmaf", str(library)).version == "9.8.7"
    (library / "new.c").write_text("int x;")
    assert sources.prepare("libvmaf", str(library)).version.endswith(".dirty")


@pytest.mark.parametrize("project", ["libvmaf", "ffmpeg"])
def test_files_are_those_of_the_copy(
    project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest of a tree is that of its copy, so that a build need not read the copy again."""
    monkeypatch.setattr(store, "RECORDS", tmp_path / "build")
    tree = libvmaf_tree(tmp_path / "vmaf")
    (tree / "configure").touch(mode=0o755)
    (tree / "libavfilter").mkdir()
    source = sources.prepare(project, str(tree))
    assert source.files == inputs.manifest(source.directory)
    assert "source.json" in source.files


def test_shared_trees_are_not_copied_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build whose variable names the description of the copies gets the same trees."""
    tree = sources.SourceTree(
        *("libvmaf", tmp_path / "copy", "1.0+gabc", frozenset({"cpu", "hip"}), "EUPL-1.2"),
        needed_rocm=rocm.Requirement(7, "meson.build"),
    )
    with monkeypatch.context() as patch:
        patch.setattr(sources, "prepare", lambda _project, _location: tree)
        shared = sources.share({"libvmaf": "../vmaf"}, tmp_path / "sources.json")
    monkeypatch.setenv(sources.SHARED, str(shared))
    assert sources.prepare("libvmaf", "/nonexistent") == tree
