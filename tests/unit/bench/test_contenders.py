"""Tests of scripts/bench/contenders.py and of the patches that make the contenders."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.bench import contenders
from scripts.bench.contenders import (
    CONTENDERS,
    LIMIT_CONTENDER,
    PRODUCTION,
    PROJECT_CONTENDER,
    Contender,
)
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.dockerfile import parser
from scripts.dockerfile.parser import Dockerfile, Mount, Stage

CLEANUP = "rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb"
OTHERS = [CONTENDERS[name] for name in ("before", "registry", "adr")]
WITHOUT_CACHES = OTHERS[:2]

Tree = Callable[[Contender], Path]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Return a function that writes a contender's files, once for each contender."""
    written: dict[str, Path] = {}

    def write(contender: Contender) -> Path:
        if contender.name not in written:
            directory = tmp_path_factory.mktemp(contender.name) / "tree"
            contender.write(directory)
            written[contender.name] = directory
        return written[contender.name]

    return write


def production(directory: Path) -> Dockerfile:
    """Parse the main Dockerfile of a tree."""
    return parser.read((directory / PRODUCTION).read_text(), PRODUCTION)


def recipe(directory: Path, name: str) -> str:
    """Return the text of a recipe of a tree."""
    recipes = directory / "docker" / "recipes"
    (path,) = (path for path in recipes.rglob(name) if path.parent != recipes / "fetch")
    return path.read_text()


def mounts(dockerfile: Dockerfile, kind: str) -> list[tuple[str, Mount]]:
    """Return the mounts of a kind, each with its stage."""
    return [
        (stage.name, mount)
        for stage in dockerfile.stages
        for step in stage.instructions
        for mount in step.mounts
        if mount.type == kind
    ]


def compiles(stage: Stage) -> bool:
    """Return whether a step of the stage mounts the compiler cache."""
    return any(mount.target == "/ccache" for step in stage.instructions for mount in step.mounts)


def compiling_stages() -> set[str]:
    """Return the names of this checkout's stages that mount the compiler cache."""
    return {stage.name for stage in production(ROOT).stages if compiles(stage)}


def variables(dockerfile: Dockerfile, name: str) -> dict[str, str]:
    """Return the environment that a stage sets."""
    (stage,) = (stage for stage in dockerfile.stages if stage.name == name)
    return {
        key: value
        for instruction in stage.instructions
        if instruction.name == "ENV"
        for key, value in instruction.pairs().items()
    }


def test_project_is_this_checkout(tree: Tree) -> None:
    """The bench's contender `project` is the checkout, byte for byte."""
    directory = tree(PROJECT_CONTENDER)
    for path in directory.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (ROOT / path.relative_to(directory)).read_bytes()
    assert (directory / PRODUCTION).exists()
    assert (directory / "docker-bake.hcl").exists()
    for line in (directory / ".dockerignore").read_text().splitlines():
        name = line.removeprefix("!")
        if line.startswith("!") and not name.startswith("build/"):
            assert (directory / name).exists(), f"the builds read {name}"


@pytest.mark.parametrize("contender", WITHOUT_CACHES, ids=lambda one: one.name)
def test_before_has_no_caches(contender: Contender, tree: Tree) -> None:
    """The contender `before` has no cache mounts or compiler caches, and removes apt's files."""
    dockerfile = production(tree(contender))
    stages = compiling_stages()
    assert mounts(dockerfile, "cache") == []
    assert not any(stage in stages for stage, _ in mounts(dockerfile, "tmpfs"))
    for name in stages:
        environment = variables(dockerfile, name)
        assert environment["CCACHE_DISABLE"] == "1", name
        assert environment["DEPCACHE_DISABLE"] == "1", name
    for stage in dockerfile.stages:
        for step in stage.instructions:
            if "apt.sh" in step.source and step.name == "RUN":
                assert step.source.rstrip().endswith(CLEANUP), step.source


def test_before_builds_the_same_images(tree: Tree) -> None:
    """The contender `before` has the same stages, bind mounts and secrets as the project."""
    project, before = production(ROOT), production(tree(CONTENDERS["before"]))
    assert len(mounts(before, "bind")) == len(mounts(project, "bind"))
    assert len(mounts(before, "secret")) == len(mounts(project, "secret"))
    assert [stage.name for stage in before.stages] == [stage.name for stage in project.stages]


@pytest.mark.parametrize("contender", OTHERS, ids=lambda one: one.name)
def test_others_compile_ffmpeg_against_libvmaf_itself(contender: Contender, tree: Tree) -> None:
    """Only the project compiles FFmpeg against an interface without libvmaf's code."""
    for stage in production(tree(contender)).stages:
        if stage.name.startswith("ffmpeg-"):
            assert not any("/interface" in step.source for step in stage.instructions), stage.name


def test_adr_has_a_compiler_cache_for_each_variant(tree: Tree) -> None:
    """In the contender `adr`, libvmaf and FFmpeg share a compiler cache for each variant."""
    dockerfile = production(tree(CONTENDERS["adr"]))
    caches = mounts(dockerfile, "cache")
    ids = {stage: mount.options["id"] for stage, mount in caches if mount.target == "/ccache"}
    assert ids["libvmaf-cpu"] == ids["ffmpeg-cpu"] == "vmaf-ccache-cpu-$TARGETARCH"
    assert ids["ffmpeg-cuda12"] == "vmaf-ccache-cuda12-$TARGETARCH"
    assert len(caches) == len(mounts(production(ROOT), "cache"))
    for name in compiling_stages():
        assert "CCACHE_DISABLE" not in variables(dockerfile, name)
    assert not any(stage in compiling_stages() for stage, _ in mounts(dockerfile, "tmpfs"))


@pytest.mark.parametrize("contender", OTHERS, ids=lambda one: one.name)
def test_others_have_common_recipes(contender: Contender, tree: Tree) -> None:
    """The contenders other than the project delete packages, and run plain configure and make."""
    directory = tree(contender)
    apt, ffmpeg = recipe(directory, "apt.sh"), recipe(directory, "ffmpeg.sh")
    assert "Keep-Downloaded" not in apt
    assert "#clear" not in apt
    assert "extended_states" in apt  # the cache mount must still not contain them
    assert "-mmin" not in apt
    assert "CCACHE_DISABLE" not in ffmpeg
    assert "\n/src/configure --prefix" in ffmpeg
    assert "split-config.py" not in ffmpeg
    assert '\nmake -j"$(nproc)" --silent\n' in ffmpeg
    assert "CCACHE_DEPEND=" not in recipe(directory, "compile.sh")
    assert "\ntrap 'rm -rf /build/*' EXIT\n" in recipe(directory, "compile.sh")


@pytest.mark.parametrize("name", ["ffmpeg.sh", "libvmaf.sh"])
@pytest.mark.parametrize("contender", OTHERS, ids=lambda one: one.name)
def test_others_use_no_depcache(contender: Contender, name: str, tree: Tree) -> None:
    """The contenders other than the project do not use depcache, and only `adr` calls ccache."""
    text = recipe(tree(contender), name)
    assert "\nlaunch " not in text
    called = re.findall(r"ccache (?:gcc|g\+\+|\$\{C)", text)
    assert len(called) == (2 if contender.name == "adr" else 0)


def test_registry_has_no_syntax_line(tree: Tree) -> None:
    """The contender `registry` uses the builder's own frontend, and need not build another."""
    text = (tree(CONTENDERS["registry"]) / PRODUCTION).read_text()
    assert not text.startswith("# syntax=")


def test_limit_has_a_clock_in_its_compile_steps(tree: Tree) -> None:
    """The contender `limit` runs make and ninja through an executable clock, with all caches."""
    directory = tree(LIMIT_CONTENDER)
    dockerfile = production(directory)
    stages = {stage for stage, mount in mounts(dockerfile, "bind") if "clock.sh" in mount.source}
    assert {"libvmaf-cpu", "ffmpeg-cpu", "libvmaf-cuda12", "ffmpeg-cuda12"} <= stages
    assert mounts(dockerfile, "cache") == mounts(production(ROOT), "cache")
    assert "\n/run/clock/make -j" in recipe(directory, "ffmpeg.sh")
    assert "\n/run/clock/ninja -C build\n" in recipe(directory, "libvmaf.sh")
    assert (directory / "docker" / "recipes" / "clock.sh").stat().st_mode & 0o111


def test_patch_that_does_not_apply_is_an_error(tmp_path: Path) -> None:
    """A contender whose patch does not apply is an error, and never equals the project."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_text("one\n")
    patch = tmp_path / "x.patch"
    patch.write_text("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-two\n+three\n")
    with pytest.raises(UserError, match=r"cannot apply x\.patch"):
        contenders.apply(patch, tmp_path / "tree")


def test_digest_covers_the_files_of_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest of the bench's inputs covers the files that a build can see, and not docs/."""
    before = contenders.digest()
    assert before == contenders.digest()
    monkeypatch.setattr(contenders, "INPUTS", (*contenders.INPUTS, "noxfile.py"))
    assert before != contenders.digest()
    assert not any(name.startswith("docs") for name in contenders.INPUTS)


def test_quick_run_chooses_the_project() -> None:
    """A quick run of the bench measures the project only, unless contenders are named."""
    assert contenders.choose([], quick=True) == [PROJECT_CONTENDER]
    assert contenders.choose(["adr"], quick=True) == [CONTENDERS["adr"]]
    assert contenders.choose([], quick=False) == list(CONTENDERS.values())
    with pytest.raises(UserError, match="`bazel`"):
        contenders.choose(["bazel"], quick=False)
