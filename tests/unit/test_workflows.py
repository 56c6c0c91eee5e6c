"""The workflows of .github match nox, give no rights away, and do not depend on what moves."""

import os
import re
import sys
from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.paths import ROOT
from scripts.images import catalogue
from tests.support import workflows
from tests.support.buildx import needs_buildx
from tests.support.workflows import Files, call_faults, faults

IMAGE, IMAGES, BUILD = (f"workflows/{name}.yml" for name in ("image", "images", "build"))
NIGHTLY, RELEASE = "workflows/nightly.yml", "workflows/release.yml"
SETUP = "actions/setup/action.yml"
COMMIT = "3d3c42e5aac5ba805825da76410c181273ba90b1"
MUTANTS = {
    "unknown session": (IMAGES, "nox -s lint", "nox -s lints", "nox has no session `lints`"),
    "unknown option": (IMAGES, "--format sarif", "--format xml", "policy: .*invalid choice"),
    "option of another session": (IMAGE, "--require all", "--replace", "verify-images: unknown"),
    "variable that is not set": (IMAGE, "IMAGE: ${{", "IMAG: ${{", "reads IMAGE, which"),
    "untested line": (IMAGES, "run: nox -s unit", "run: make", "no test runs `make`"),
    "tag of an action": (SETUP, "@5fda3b95a4ea91299a34e894583c3862153e4b97", "@v7", "not pinned"),
    "no version": (IMAGES, f"{COMMIT} # v7.0.1", COMMIT, "has no version in a comment"),
    "two commits": (BUILD, COMMIT, COMMIT[::-1], "actions/checkout is pinned by two commits"),
    "permissions of all jobs": (
        IMAGES,
        "permissions: {}",
        "permissions: { contents: read }",
        "the workflow has permissions",
    ),
    "permission too many": (
        NIGHTLY,
        "contents: read",
        "contents: write",
        "cold: not the least permissions",
    ),
    "default permissions": (
        NIGHTLY,
        "    permissions:\n      contents: read\n",
        "",
        "cold: not the least permissions",
    ),
    "code with permission to write": (
        IMAGES,
        "    steps:\n      - uses: actions/download-artifact",
        "    steps:\n      - run: nox -s lint\n      - uses: actions/download-artifact",
        "code-scanning: runs code of a pull request",
    ),
    "write from a fork": (
        IMAGES,
        "head.repo.full_name == github.repository",
        "base.repo.full_name == github.repository",
        "code-scanning: runs for forks",
    ),
    "images without checks": (
        IMAGES,
        "  images:\n    needs: checks\n",
        "  images:\n",
        "images: does not wait for checks",
    ),
    "all images at once": (
        BUILD,
        "needs: [list, first]",
        "needs: list",
        "others: does not wait for first",
    ),
    "release of all images": (
        RELEASE,
        " --redistributable",
        "",
        "has images that must not be passed on",
    ),
    "rights of the base": (
        IMAGES,
        "  pull_request:\n",
        "  pull_request:\n  pull_request_target:\n",
        "runs on pull_request_target",
    ),
    "secret in a called workflow": (
        IMAGE,
        "LIBVMAF: ${{",
        "TOKEN: ${{ secrets.TOKEN }}\n      LIBVMAF: ${{",
        "image.yml: a pull request gets a secret",
    ),
    "all secrets": (
        IMAGES,
        "build.yml\n",
        "build.yml\n    secrets: inherit\n",
        "images.yml: a pull request gets a secret",
    ),
    "token in an action": (
        SETUP,
        "shell: bash",
        "shell: bash\n      env: { TOKEN: '${{ github.token }}' }",
        "action.yml: a pull request gets a secret",
    ),
    "expression in a command": (
        IMAGE,
        'all "$IMAGE"',
        'all "${{ inputs.image }}"',
        "an expression is in a command",
    ),
    "stored token": (
        RELEASE,
        "persist-credentials: false",
        "persist-credentials: true",
        "the checkout stores the token",
    ),
    "written matrix": (
        NIGHTLY,
        "include: ${{ fromJSON(needs.list.outputs.images) }}",
        "image: [cpu]",
        "mutants: the matrix is not that of bake",
    ),
    "matrix of something else": (
        NIGHTLY,
        'nox -s matrix -- --output "$GITHUB_OUTPUT"',
        "nox -s lint",
        "mutants: the matrix is not that of bake",
    ),
    "empty matrix": (BUILD, "    if: needs.list.outputs.others != '[]'\n", "", "an empty matrix"),
    "image that stops others": (BUILD, "fail-fast: false", "fail-fast: true", "stops the others"),
    "forgotten test": (NIGHTLY, "nox -s faults", "nox -s lint", "faults does not run"),
    "test that waits": (
        NIGHTLY,
        "  faults:\n",
        "  faults:\n    needs: cold\n",
        "faults: waits for a test",
    ),
    "warm build": (
        NIGHTLY,
        "setup\n      - id: build",
        "setup\n        with: { image: cpu }\n      - id: build",
        "cold: loads caches",
    ),
    "another S3 server": (NIGHTLY, "s3s-fs", "s3s-aws", "no test runs `cargo install .* s3s-aws`"),
    "one FFmpeg": (NIGHTLY, 'ffmpeg: "7.1"', 'ffmpeg: "9.0"', "FFmpeg 7.1 is not built"),
    "caches of a pull request": (
        IMAGE,
        "github.event_name == 'push'",
        "github.event_name != 'issues'",
        "not only saved by the default branch",
    ),
    "caches of another branch": (
        IMAGE,
        "\n          && github.ref_name == github.event.repository.default_branch",
        "",
        "not only saved by the default branch",
    ),
    "caches that were refused": (
        IMAGE,
        "if: steps.save.outcome == 'success'",
        "if: always()",
        "caches are saved that",
    ),
    "caches of each job": (
        SETUP,
        "actions/cache/restore@",
        "actions/cache@",
        "actions/cache saves after each job",
    ),
    "key that nothing restores": (
        IMAGE,
        "key: ${{ steps.setup.outputs.key }}",
        "key: caches",
        "another key than that of setup",
    ),
    "key without its prefix": (
        SETUP,
        "restore-keys: vmaf-caches-",
        "restore-keys: caches-",
        "a saved key is not found again",
    ),
    "job without end": (IMAGES, "    timeout-minutes: 30\n", "", "checks: has no timeout"),
}
"""A file, a text in it, the text that replaces it, and the only violation that follows."""


@pytest.fixture(scope="module")
def sessions() -> set[str]:
    """Return the names of all nox sessions."""
    listed = process.output(sys.executable, "-m", "nox", "--list", cwd=ROOT)
    return set(re.findall(r"^[*-] (\S+)", listed, re.MULTILINE))


def test_workflows_keep_the_rules(sessions: set[str]) -> None:
    """The workflows match nox, and break none of the rules in tests/support/workflows.py."""
    assert not faults(workflows.read(), sessions)


@pytest.mark.parametrize("name", MUTANTS)
def test_each_rule_finds_its_violation(name: str, sessions: set[str]) -> None:
    """A workflow that breaks a rule is reported for that reason only."""
    file, before, after, message = MUTANTS[name]
    texts = dict(workflows.read().texts)
    assert before in texts[file]
    texts[file] = texts[file].replace(before, after, 1)
    found = faults(Files(texts), sessions)
    assert found
    assert [fault for fault in found if not re.search(message, fault)] == []


def ten_lines() -> str:
    """Return the workflow in docs/ci.md."""
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)
    return str(block)


def test_documented_workflow_calls_build_yml() -> None:
    """The workflow in docs/ci.md has at most ten lines, existing inputs and the permissions."""
    assert len(ten_lines().splitlines()) <= 10
    assert not call_faults(ten_lines(), workflows.read())


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("images: cpu", "image: cpu", "there is no input `image`"),
        ("contents: read", "packages: read", "the job lacks permissions"),
        ("workflows/build.yml", "workflows/images.yml", "does not call"),
        ("permissions: {}", "permissions: read-all", "the workflow has permissions"),
    ],
)
def test_wrong_call_of_build_yml_is_found(before: str, after: str, fault: str) -> None:
    """A documented workflow with another input, permission or callee is reported."""
    (found,) = call_faults(ten_lines().replace(before, after, 1), workflows.read())
    assert fault in found


def test_documented_variables_are_those_of_the_workflows() -> None:
    """The variables in docs/ci.md are those that the workflows read."""
    used = {
        name
        for text in workflows.read().texts.values()
        for name in re.findall(r"\b(?:vars|secrets)\.(\w+)", text)
    }
    text = (ROOT / "docs" / "ci.md").read_text()
    assert used == set(re.findall(r"`([A-Z]+_?[A-Z]+)`", text))


@needs_buildx
def test_written_names_of_images_are_right() -> None:
    """Jobs that name an image name an existing one, and fall back to the first one's caches."""
    known = list(catalogue.images())
    for step in workflows.read().steps():
        given = step.fields.get("with", {})
        if step.uses == "./.github/actions/setup" and "{" not in given.get("image", "{"):
            assert given["image"] in known
        if "{" not in (fallback := given.get("fallback", "{")):
            assert fallback == known[0]


# --- the lines that run no session ------------------------------------------------


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a directory of PATH with programs that record how they are called."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("sudo", "docker", "python3", "cargo"):
        script = f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/calls\ncat >>{tmp_path}/input\n'
        (directory / name).write_text(script)
        (directory / name).chmod(0o755)
    return directory


def line_with(text: str) -> str:
    """Return the only line of `FIXED_LINES` with a text; fail if no workflow has it."""
    (line,) = (line for line in workflows.FIXED_LINES if text in line)
    assert any(line in step.lines for step in workflows.read().steps())
    return line


def run_line(line: str, programs: Path, **environment: str) -> process.CompletedProcess[str]:
    """Run a line as GitHub's runner does, in an empty directory; return the result."""
    work = programs.parent / "work"
    work.mkdir(exist_ok=True)
    path = f"{programs}:{os.environ['PATH']}"
    return process.run(
        *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line),
        cwd=work,
        env={"PATH": path, **environment},
    )


def calls(programs: Path) -> list[str]:
    """Return the recorded calls."""
    return (programs.parent / "calls").read_text().splitlines()


def test_password_is_no_argument(programs: Path) -> None:
    """The login gets the password as its input, and only the host of the registry."""
    environment = {"USERNAME": "me", "PASSWORD": "planted", "REGISTRY": "host:5000/team/vmaf"}
    assert run_line(line_with("docker login"), programs, **environment).returncode == 0
    assert calls(programs) == ["docker login --username me --password-stdin host:5000"]
    assert (programs.parent / "input").read_text() == "planted\n"


def test_release_without_a_registry_ends(programs: Path) -> None:
    """Without the variable REGISTRY, the release ends with the page that describes it."""
    line = line_with("echo")
    assert run_line(line, programs, REGISTRY="host/name").returncode == 0
    ended = run_line(line, programs, REGISTRY="")
    assert ended.returncode
    assert "REGISTRY: is not a variable of the repository, see docs/ci.md" in ended.stderr


def test_nox_is_installed_by_its_pin(programs: Path) -> None:
    """Setup installs the group of pyproject.toml that pins nox."""
    assert run_line(line_with("pip install"), programs).returncode == 0
    (call,) = calls(programs)
    group = call.rpartition("--group ")[2]
    assert f'\n{group} = ["nox==' in (ROOT / "pyproject.toml").read_text()


def test_removed_directories_are_none_of_the_checkout(programs: Path) -> None:
    """More disk space comes from directories of the runner's image, by their full path."""
    assert run_line(line_with("/android"), programs).returncode == 0
    (call,) = calls(programs)
    command, *paths = call.removeprefix("sudo rm ").split()
    assert command == "-rf"
    assert all(re.match(r"/(usr|opt)/\w+/\w+", path) for path in paths)


def test_refused_caches_are_removed(programs: Path) -> None:
    """A refused archive is removed, and nothing else of build/."""
    build = programs.parent / "work" / "build"
    (build / "caches" / "blobs").mkdir(parents=True)
    (build / "report.html").touch()
    assert run_line(line_with("rm -r "), programs).returncode == 0
    assert [path.name for path in build.iterdir()] == ["report.html"]


def test_redis_is_installed_from_a_new_index(programs: Path) -> None:
    """Apt fetches its index before it installs Redis."""
    assert run_line(line_with("apt-get"), programs).returncode == 0
    update, install = calls(programs)
    assert update == "sudo apt-get update"
    assert install.startswith("sudo apt-get install")
    assert install.endswith("redis-server")


def test_s3_store_is_the_documented_one(programs: Path) -> None:
    """The S3 server is installed with the version that the README of the compiler caches names."""
    line = line_with("cargo")
    assert run_line(line, programs).returncode == 0
    assert calls(programs) == [line]


def test_all_fixed_lines_are_used() -> None:
    """Each line that runs no session is still in a workflow."""
    used = {line for step in workflows.read().steps() for line in step.lines}
    assert used >= workflows.FIXED_LINES
