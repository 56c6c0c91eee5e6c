"""Stages, named contexts and scripts are connected as in BuildKit."""

from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.dockerfile import bake, parser, project
from scripts.dockerfile.project import ExternalImage, Project, StageReference
from tests.support.buildx import needs_buildx
from tests.support.dockerfiles import only_step


def of_texts(
    contexts: dict[str, StageReference | ExternalImage] | None = None, **texts: str
) -> Project:
    """Return a project of Dockerfiles; the contexts are those of the file `a`."""
    files = {path: parser.read(text, path) for path, text in texts.items()}
    return Project(files, {"a": contexts or {}})


def test_resolve_prefers_a_named_context_to_a_stage() -> None:
    """A named context replaces a stage of the same name, as in BuildKit."""
    context = StageReference("b", "runtime")
    placeholder = "FROM scratch AS Runtime\nFROM runtime AS final\n"
    for name in ("runtime", "Runtime"):
        replaced = of_texts({"runtime": context}, a=placeholder, b="FROM scratch AS runtime\n")
        assert replaced.resolve(name, "a", 2) == context
        assert of_texts(a=placeholder).resolve(name, "a", 2) == StageReference("a", "runtime")


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("one", StageReference("a", "one")),
        ("0", StageReference("a", "one")),
        ("1", StageReference("a", "1")),
        ("later", ExternalImage("later")),
        ("debian:trixie", ExternalImage("debian:trixie")),
    ],
)
def test_resolve_finds_earlier_stages_by_name_and_number(
    name: str, origin: StageReference | ExternalImage
) -> None:
    """A stage is found by name or number after its FROM; another name is an image."""
    read = of_texts(a="FROM scratch AS one\nFROM scratch\nCOPY --from=0 / /\nFROM one AS later\n")
    assert read.resolve(name, "a", 3) == origin


def test_state_of_a_step_includes_the_replacement_of_its_base() -> None:
    """A step has the user and the variables of the stage that replaces its base."""
    read = of_texts(
        {"base": StageReference("b", "")},
        a="FROM scratch AS base\nUSER 1:1\nFROM base AS final\nRUN true\n",
        b="FROM scratch AS x\nENV A=1\nUSER 2:2\n",
    )
    (step,) = read.steps
    assert (step.user, step.environment) == ("2:2", {"A": "1"})


def test_base_named_by_an_argument_is_found(tmp_path: Path) -> None:
    """A base that an argument names is found by the argument's default."""
    text = "ARG A=one\nFROM scratch AS base-one\nUSER 1:1\nFROM base-${A} AS two\nRUN true\n"
    assert only_step(tmp_path, text).user == "1:1"


def test_stage_rejects_a_name_that_the_file_does_not_have() -> None:
    """A bake file that names a missing stage gets an error with the file and the stage."""
    with pytest.raises(UserError, match=r"a has no stage `gone`"):
        of_texts(a="FROM scratch\n").stage(StageReference("a", "gone"))


def test_of_files_rejects_a_missing_file() -> None:
    """The error for a missing Dockerfile names its path."""
    with pytest.raises(UserError, match=r"no file nowhere/Dockerfile"):
        project.of_files(["nowhere/Dockerfile"])


def test_script_beside_a_foreign_dockerfile_is_followed(tmp_path: Path) -> None:
    """A script that a foreign Dockerfile copies from its directory is one of its step's."""
    text = "FROM scratch AS a\nCOPY ci/run /usr/local/bin/build-all\nRUN build-all\n"
    step = only_step(tmp_path, text, {"ci/run": "#!/bin/sh\nmake\n"})
    assert [script.file for script in step.scripts][1:] == ["ci/run"]


def test_scripts_of_a_foreign_dockerfile_may_be_in_the_root_of_its_checkout(tmp_path: Path) -> None:
    """A Dockerfile in a subdirectory of a git checkout may copy from the checkout's root."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "build.sh").write_text("#!/bin/sh\nmake\n")
    text = "FROM scratch AS a\nCOPY build.sh /\nRUN /build.sh\n"
    step = only_step(tmp_path / "docker", text)
    assert [script.file for script in step.scripts][1:] == ["build.sh"]


def test_missing_script_of_a_foreign_dockerfile_is_ignored(tmp_path: Path) -> None:
    """A missing script is no error, as the Dockerfile's build context may be elsewhere."""
    text = "FROM scratch AS a\nCOPY install.sh /usr/local/bin/install-all\nRUN install-all\n"
    assert len(only_step(tmp_path, text).scripts) == 1


@needs_buildx
def test_declared_targets_include_those_that_no_image_needs() -> None:
    """Each target of the bake files is returned, with the overrides of the later files."""
    first = 'target "a" {\n  dockerfile = "A"\n  tags = ["x"]\n}\ntarget "b" { target = "s" }\n'
    second = 'target "a" {\n  no-cache = true\n  contexts = { n = "target:b" }\n}\n'
    targets = bake.declared_targets(first, second)
    assert targets == {
        "a": bake.Target("A", contexts={"n": "target:b"}, tags=["x"], no_cache=True),
        "b": bake.Target("Dockerfile", target="s"),
    }
