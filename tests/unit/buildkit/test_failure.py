"""The error message of a failed build, from output of buildx 0.13.1."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.buildkit import failure as failures
from scripts.buildkit.failure import failure
from scripts.buildkit.rawjson import Build
from tests.support.builds import outcome

RECIPE = "#!/bin/sh\nset -eu\nverb=$1\necho compiling\nfrobnicate --all\n"


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the test's own checkout, with the Dockerfiles and recipes of the fixtures."""
    monkeypatch.setattr(failures, "ROOT", tmp_path)
    for name in ("docker", "dev", "recipes"):
        (tmp_path / name).mkdir()
    (tmp_path / "docker" / "Dockerfile.y").touch()
    (tmp_path / "dev" / "Dockerfile.recipe").touch()
    (tmp_path / "recipes" / "compile.sh").write_text(RECIPE)
    return tmp_path


def test_failure_names_the_recipe_and_its_line() -> None:
    """The error of a failed build has the Dockerfile's line, the recipe's, and the last output."""
    error = failure(outcome("recipe.rawjson", 1))
    assert error.what == "stage compile failed"
    assert error.why.splitlines() == [
        "exit code: 127",
        "at dev/Dockerfile.recipe:3",
        "in recipes/compile.sh:5",
        "  | compiling for cpu",
        "  | /run/recipes/compile.sh: 5: frobnicate: not found",
    ]
    assert "x.log" in error.todo
    assert "stay cached" in error.todo


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("/run/recipes/compile.sh: line 5: frobnicate: command not found", "recipes/compile.sh:5"),
        ("/run/recipes/compile.sh: 3: other.sh: frobnicate: not found", "recipes/compile.sh"),
        ("/run/recipes/compile.sh: 50: frobnicate: not found", "recipes/compile.sh"),
        ("/run/recipes/apt.sh: 5: frobnicate: not found", "recipes/compile.sh:5"),
        ("/run/recipes/apt.sh: 4: grep: not found", "recipes/apt.sh"),
        ("/usr/bin/x: 5: frobnicate: not found", "recipes/apt.sh or recipes/compile.sh"),
        ("make: *** [x] Error 1", "recipes/apt.sh or recipes/compile.sh"),
    ],
    ids=["bash", "sourced", "no-such-line", "sourced-recipe", "unreadable", "other", "none"],
)
def test_line_of_a_recipe_has_the_command_that_failed(line: str, place: str) -> None:
    """The error of a failed build gives a recipe's line only if the failed command is there.

    A shell prints the line of a sourced file with the name of the script that sourced it.
    Without such a line, the recipe is named; without a message of the shell, all recipes of
    the step are named.
    """
    failed = outcome("recipe.rawjson", 1)
    assert failed.build.failed
    failed.build.failed.tail.clear()
    failed.build.failed.tail.extend([line, "last line"])
    assert failure(failed).why.splitlines()[2] == f"in {place}"


def test_failure_without_a_recipe_shows_the_instruction(checkout: Path) -> None:
    """The error of a step without a recipe has the instruction, and its Dockerfile's path."""
    error = failure(outcome("failed.rawjson", 1))
    assert error.what == "stage b failed"
    assert error.why.splitlines() == [
        "exit code: 137",
        "at docker/Dockerfile.y:9",
        "  RUN sleep 1.2; echo fail; exit 137",
        "  | fail",
    ]
    assert "memory" in error.todo
    (checkout / "Dockerfile.y").touch()
    assert "at Dockerfile.y:9" in failure(outcome("failed.rawjson", 1)).why.splitlines()


def test_failure_without_a_place_names_the_step() -> None:
    """The error of a failed build names the step if buildx prints no line of a Dockerfile."""
    failed = outcome("failed.rawjson", 1)
    failed.build.text.clear()
    assert failure(failed).why.splitlines()[1:3] == [
        "at [b b 1/1]",
        "  RUN sleep 1.2; echo fail; exit 137",
    ]


def test_layer_that_a_prune_removed_has_a_hint() -> None:
    """The error of an engine whose build cache lacks a layer says how to mend it."""
    build = Build()
    build.feed("ERROR: failed to solve: failed to prepare 96d7 as ucx2: open x: no such file")
    error = failure(replace(outcome("failed.rawjson", 1), build=build))
    assert "prune --filter id=ID" in error.todo


def test_daemon_that_ended_has_a_hint() -> None:
    """The error of a build whose daemon was killed says that another build continues."""
    build = Build()
    build.feed("ERROR: failed to receive status: rpc error: error reading from server: EOF")
    error = failure(replace(outcome("failed.rawjson", 1), build=build))
    assert "Build again when it runs" in error.todo


def test_full_disk_has_a_hint() -> None:
    """The error of a step that a full disk ended has a hint, for the messages of Go and of gcc."""
    for line in ("write x: no space left on device", "cc1: fatal error: No space left on device"):
        failed = outcome("failed.rawjson", 1)
        assert failed.build.failed
        failed.build.failed.tail.append(line)
        assert "The disk is full" in failure(failed).todo


def test_failure_of_the_parser_shows_the_instruction() -> None:
    """The error for an invalid Dockerfile has the file, the line and the instruction."""
    build = Build()
    for line in ("Dockerfile.y:2", "-----", "   2 | >>> FRM x", "-----", "ERROR: unknown FRM"):
        build.feed(line)
    error = failure(replace(outcome("failed.rawjson", 1), build=build))
    assert error.what == "the build failed"
    assert error.why.splitlines() == ["ERROR: unknown FRM", "at docker/Dockerfile.y:2", "  FRM x"]


def test_failure_shows_the_last_lines() -> None:
    """The error of a failed build shows the last twenty lines of the step's output."""
    failed = outcome("failed.rawjson", 1)
    assert failed.build.failed
    failed.build.failed.tail.extend(f"line {number}" for number in range(100))
    tail = [line for line in failure(failed).why.splitlines() if line.startswith("  |")]
    assert tail == [f"  | line {number}" for number in range(80, 100)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ERROR: failed to find target nope", "ERROR: failed to find target nope"),
        ("", "buildx exited with status 1, without output"),
    ],
)
def test_failure_without_a_step_shows_the_message_of_buildx(line: str, why: str) -> None:
    """The error of a bake that fails before its first step has the message of buildx."""
    build = Build()
    if line:
        build.feed(line)
    error = failure(replace(outcome("failed.rawjson", 1), build=build))
    assert (error.what, error.why) == ("the build failed", why)
    assert "nox -s engine" in error.todo
