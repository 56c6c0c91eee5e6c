"""The commands of the workflows, in their order, in a clean clone of this commit.

GitHub's part is replaced: the checkout by the clone, setup-python by a virtual environment, and the
caches and artifacts by nothing, as in the first pull request of a fork.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scripts.core import process
from scripts.core.paths import ROOT
from scripts.engine import client
from tests.support import workflows
from tests.support.buildx import needs_buildx
from tests.support.workflows import SAVES

pytestmark = [needs_buildx, pytest.mark.timeout(3600)]

IMAGE = "go-server"
ALWAYS = "${{ !cancelled() && steps.%s.outcome != 'skipped' }}"
CONDITIONS = {
    "": True,
    ALWAYS % "policy": True,
    ALWAYS % "build": True,
    "inputs.verify": True,
    "inputs.libvmaf != ''": False,
    "inputs.large == 'true' && runner.environment == 'github-hosted'": False,
    SAVES: False,
    "steps.save.outcome == 'success'": False,
    "inputs.image != ''": True,
    "inputs.image != '' && inputs.fallback != '' && !steps.own.outputs.cache-matched-key": True,
    "steps.own.outputs.cache-matched-key || steps.other.outputs.cache-matched-key": False,
    "steps.load.outcome == 'failure'": False,
}
"""The conditions of the steps that do not depend on the inputs of this test."""
SETUP = "./.github/actions/setup"


@dataclass
class Runner:
    """Runs the steps of jobs."""

    clone: Path
    environment: Mapping[str, str]
    values: dict[str, str] = field(default_factory=dict)
    """The values of expressions."""
    ran: list[str] = field(default_factory=list)
    """The lines that ran."""

    @property
    def documents(self) -> Mapping[str, Any]:
        """The workflows and actions of the clone."""
        return workflows.read(self.clone / ".github").documents

    def job(self, file: str, name: str) -> dict[str, str]:
        """Run the steps of a job, and return the outputs of its steps."""
        job = self.documents[file]["jobs"][name]
        outputs: dict[str, str] = {}
        for step in job["steps"]:
            outputs |= self._step(step, job.get("env", {}))
        return outputs

    def _step(self, step: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, str]:
        condition = " ".join(step.get("if", "").split())
        if condition == "inputs.engine == 'true'":
            runs = self.values["inputs.engine"] == "true"
        else:
            runs = CONDITIONS[condition]
        if runs and step.get("uses") == SETUP:
            action = self.documents["actions/setup/action.yml"]
            given = {name: value["default"] for name, value in action["inputs"].items()}
            given |= step.get("with", {})
            self.values["inputs.engine"] = given["engine"]
            for one in action["runs"]["steps"]:
                self._step(one, {})
        if not runs or "run" not in step:
            return {}
        return self._run(step["run"], {**variables, **step.get("env", {})})

    def _run(self, commands: str, variables: Mapping[str, str]) -> dict[str, str]:
        output, summary = (self.clone.parent / name for name in ("outputs", "summary.md"))
        output.write_text("")
        done = process.run(
            *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", commands),
            cwd=self.clone,
            env={
                **self.environment,
                **{name: self._expand(value) for name, value in variables.items()},
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(summary),
            },
        )
        self.ran.append(commands)
        assert done.returncode == 0, f"{commands}\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
        return dict(line.partition("=")[::2] for line in output.read_text().splitlines())

    def _expand(self, text: str) -> str:
        return re.sub(r"\$\{\{ (.+?) \}\}", lambda match: self.values[match[1]], text)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """Return a runner with a clean clone, and with a Python that has pip only."""
    clone, python = tmp_path / "clone", tmp_path / "python"
    steps = workflows.read().documents["actions/setup/action.yml"]["runs"]["steps"]
    pip = f"pip=={steps[0]['with']['pip-version']}"
    for command in (
        ("git", "clone", "--quiet", f"file://{ROOT}", str(clone)),
        (sys.executable, "-m", "venv", str(python)),
        (f"{python}/bin/python", "-m", "pip", "install", "--quiet", pip),
    ):
        done = process.run(*command)
        assert done.returncode == 0, done.stderr
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VMAF_", "NOX", "PYTEST", "PYTHON", "VIRTUAL_ENV", "GITHUB_"))
    }
    return Runner(clone, {**kept, "PATH": f"{python}/bin:{os.environ['PATH']}", "CI": "true"})


def test_checks_pass_in_a_clean_clone(runner: Runner) -> None:
    """The checks of images.yml pass, and build.yml then lists the job of one image.

    The file of the policy's findings is where the workflow uploads it from.
    """
    runner.job("workflows/images.yml", "checks")
    assert runner.ran[-3:] == [
        "nox -s policy -- --format sarif --output build/policy.sarif",
        "nox -s lint",
        "nox -s unit",
    ]
    assert json.loads((runner.clone / "build" / "policy.sarif").read_text())["runs"]
    runner.values["inputs.images"] = IMAGE
    outputs = runner.job("workflows/build.yml", "list")
    assert json.loads(outputs["first"]) == [{"image": IMAGE, "large": False}]
    assert outputs["others"] == "[]"


def test_image_is_built_and_verified_in_a_clean_clone(runner: Runner) -> None:
    """The job of one image builds and verifies it, and writes both reports.

    The engine's caches make the build short.
    """
    try:
        client.require()
    except client.NoEngineError:
        pytest.skip("no Docker Engine answers")
    runner.values |= {
        "inputs.image": IMAGE,
        "inputs.ffmpeg": "",
        "inputs.libvmaf && 'build/libvmaf'": "",
    }
    runner.job("workflows/image.yml", "image")
    assert [line.split()[2] for line in runner.ran if line.startswith("nox")] == [
        *("engine", "build", "verify-images", "report", "report"),
    ]
    assert f"### {IMAGE}: built in" in (runner.clone.parent / "summary.md").read_text()
    assert (runner.clone / "build" / "report.html").stat().st_size
