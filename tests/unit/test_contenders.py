"""The contenders of the rebuild bench are what they are called, made from the real files."""

import re
from pathlib import Path

import pytest

from scripts import contenders
from scripts.console import UserError
from scripts.contenders import ADR, BEFORE, CONTENDERS, LIMIT, OURS, REGISTRY, Contender
from scripts.paths import ROOT
from scripts.policy import dockerfile

PRODUCTION = ROOT / contenders.PRODUCTION


def written(contender: Contender) -> dockerfile.Dockerfile:
    """Return a contender's Dockerfile, parsed, and so known to be one."""
    text = contender.rewrite(contenders.PRODUCTION, PRODUCTION.read_text())
    return dockerfile.read(text, contender.name)


def recipe(contender: Contender, name: str) -> str:
    """Return a contender's recipe."""
    folders = (ROOT / "docker" / "recipes" / folder for folder in ("compile", "lib"))
    (found,) = (path for folder in folders for path in folder.rglob(name))
    path = str(found.relative_to(ROOT))
    return contender.rewrite(path, found.read_text())


def mounts(parsed: dockerfile.Dockerfile, kind: str) -> list[tuple[str, dockerfile.Mount]]:
    """Return the mounts of a kind, with their stage."""
    return [
        (stage.name, mount)
        for stage in parsed.stages
        for step in stage.instructions
        for mount in step.mounts
        if mount.kind == kind
    ]


def environment(parsed: dockerfile.Dockerfile) -> dict[str, dict[str, str]]:
    """Return the variables that each compiling stage sets before its steps."""
    compiling = {stage.name for stage in dockerfile.read(PRODUCTION.read_text(), "").stages}
    return {
        stage.name: stage.instructions[0].pairs()
        for stage in parsed.stages
        if stage.name in compiling and stage.instructions and stage.instructions[0].name == "ENV"
    }


def compiling() -> set[str]:
    """Return the stages of this checkout that have the compiler cache."""
    ours = dockerfile.read(PRODUCTION.read_text(), "")
    return {stage.name for stage in ours.stages if contenders.compiles(stage)}


def test_ours_is_this_checkout(tmp_path: Path) -> None:
    """What is measured as ours is what a user builds, to the byte."""
    OURS.write(tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (ROOT / path.relative_to(tmp_path)).read_bytes()
    assert (tmp_path / contenders.PRODUCTION).exists()
    assert (tmp_path / "docker-bake.hcl").exists()
    assert (tmp_path / ".dockerignore").exists()


@pytest.mark.parametrize("contender", [BEFORE, REGISTRY], ids=lambda one: one.name)
def test_before_has_no_cache_of_any_kind(contender: Contender) -> None:
    """No mount, no ccache, no launcher, and apt's leavings removed in the step that left them."""
    parsed = written(contender)
    assert mounts(parsed, "cache") == []
    assert not any(stage in compiling() for stage, _ in mounts(parsed, "tmpfs"))
    for name in compiling():
        variables = environment(parsed)[name]
        assert variables["CCACHE_DISABLE"] == "1", name
        assert variables[contenders.LAUNCHER_OFF.partition("=")[0]] == "1", name
    for stage in parsed.stages:
        for step in stage.instructions:
            if "apt.sh" in step.source and step.name == "RUN":
                assert step.source.rstrip().endswith(contenders.CLEANUP), step.source


def test_before_keeps_all_other_mounts_and_words() -> None:
    """It builds the same image: only caches go."""
    ours, theirs = (dockerfile.read(PRODUCTION.read_text(), ""), written(BEFORE))
    assert len(mounts(theirs, "bind")) == len(mounts(ours, "bind"))
    assert len(mounts(theirs, "secret")) == len(mounts(ours, "secret"))
    assert [stage.name for stage in theirs.stages] == [stage.name for stage in ours.stages]


@pytest.mark.parametrize("contender", [BEFORE, REGISTRY, ADR], ids=lambda one: one.name)
def test_others_compile_ffmpeg_against_libvmaf_itself(contender: Contender) -> None:
    """An interface between them is ours alone."""
    for stage in written(contender).stages:
        for step in stage.instructions:
            assert "/interface" not in step.source, stage.name


def test_the_adr_has_a_compiler_cache_for_each_variant() -> None:
    """One variant's libvmaf and FFmpeg share it, two variants do not; apt's mounts stay."""
    caches = mounts(written(ADR), "cache")
    ids = {stage: mount.options["id"] for stage, mount in caches if mount.target == "/ccache"}
    assert ids["libvmaf-cpu"] == ids["ffmpeg-cpu"] == "vmaf-ccache-cpu-$TARGETARCH"
    assert ids["ffmpeg-cuda12"] == "vmaf-ccache-cuda12-$TARGETARCH"
    assert len(caches) == len(mounts(dockerfile.read(PRODUCTION.read_text(), ""), "cache"))
    for variables in environment(written(ADR)).values():
        assert "CCACHE_DISABLE" not in variables


@pytest.mark.parametrize("contender", [BEFORE, REGISTRY, ADR], ids=lambda one: one.name)
def test_others_recipes_are_as_one_writes_them(contender: Contender) -> None:
    """Packages are deleted once installed, and ccache meets the probes of configure."""
    apt, ffmpeg = recipe(contender, "apt.sh"), recipe(contender, "ffmpeg.sh")
    assert "Keep-Downloaded" not in apt
    assert "Post-Invoke" not in apt
    assert "extended_states" in apt  # the mount must still not own them
    assert "CCACHE_DISABLE" not in ffmpeg
    assert "/src/configure --prefix" in ffmpeg
    assert "runcache" not in ffmpeg
    assert "split-config.py" not in ffmpeg
    assert '\nmake -j"$(nproc)" --silent\n' in ffmpeg
    assert "-mmin" not in apt
    assert "CCACHE_DEPEND=" not in recipe(contender, "compile.sh")
    assert "\ntrap 'rm -rf /build/*' EXIT\n" in recipe(contender, "compile.sh")


@pytest.mark.parametrize("name", ["ffmpeg.sh", "libvmaf.sh"])
def test_others_call_their_compilers_themselves(name: str) -> None:
    """Without our launcher, and before the ADR without ccache; the ADR has ccache."""
    for contender in (BEFORE, REGISTRY, ADR):
        assert "\nlaunch " not in recipe(contender, name)
        called = re.findall(r"ccache (?:gcc|g\+\+|\$\{C)", recipe(contender, name))
        assert len(called) == (2 if contender is ADR else 0)


def test_the_adr_has_no_memory_either() -> None:
    """Its build trees are on the layers' file system, and removed."""
    assert not any(stage in compiling() for stage, _ in mounts(written(ADR), "tmpfs"))


def test_the_limit_has_its_clock_where_it_compiles() -> None:
    """Before make and ninja of the images' own compile steps, whose caches are ours."""
    parsed = written(LIMIT)
    clocks = [stage for stage, mount in mounts(parsed, "bind") if "limit.sh" in mount.source]
    assert {"libvmaf-cpu", "ffmpeg-cpu", "libvmaf-cuda12", "ffmpeg-cuda12"} <= set(clocks)
    assert mounts(parsed, "cache") == mounts(dockerfile.read(PRODUCTION.read_text(), ""), "cache")
    assert "\n/run/limit/make -j" in recipe(LIMIT, "ffmpeg.sh")
    assert "\n/run/limit/ninja -C build\n" in recipe(LIMIT, "libvmaf.sh")


def test_the_limits_tree_has_the_clock(tmp_path: Path) -> None:
    """The mount's source is there, and can be run."""
    LIMIT.write(tmp_path)
    clock = tmp_path / "docker" / "recipes" / "limit.sh"
    assert clock.stat().st_mode & 0o111
    assert clock.read_text() == (ROOT / "scripts" / "limit.sh").read_text()


def test_a_change_that_finds_nothing_is_an_error() -> None:
    """Or a contender would be ours under another name."""
    with pytest.raises(UserError, match="`without_cache_mounts` finds nothing"):
        Contender("x", "", (contenders.without_cache_mounts,)).rewrite(
            contenders.PRODUCTION, "FROM scratch AS x\n"
        )


def test_a_package_is_added_to_the_toolchain_alone() -> None:
    """One step more changes than the one that installs the compilers."""
    text = PRODUCTION.read_text()
    changed = contenders.add_package(text, "ed")
    before, after = text.splitlines(), changed.splitlines()
    different = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert len(different) == 1
    assert re.search(r"apt\.sh install ed\b", different[0][1])


def test_the_digest_is_of_what_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of docs/ changes nothing, a recipe does."""
    before = contenders.digest()
    assert before == contenders.digest()
    monkeypatch.setattr(contenders, "SEEN", (*contenders.SEEN, "noxfile.py"))
    assert before != contenders.digest()
    assert not any(name.startswith("docs") for name in contenders.SEEN)


def test_every_contender_says_what_it_is() -> None:
    """The names are those of the command line."""
    assert list(CONTENDERS) == ["before", "adr", "registry", "ours"]
    assert all(one.what and name == one.name for name, one in CONTENDERS.items())
