"""Read the workflows and actions of .github, and find what breaks the project's rules for them.

Each rule is a function that yields a message for each violation. `faults` applies all of them.
"""

import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from scripts.cli import options
from scripts.core.console import UserError
from scripts.core.paths import ROOT

GITHUB = ROOT / ".github"
FILES = ("workflows/*.yml", "actions/*/action.yml")

READS = {"contents": "read"}
WRITES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("workflows/images.yml", "code-scanning"): {"security-events": "write"},
    ("workflows/release.yml", "publish"): {
        "contents": "read",
        "packages": "write",
        "id-token": "write",
    },
}
"""The permissions of the jobs that may do more than read the repository."""
NIGHTLY = {
    *("build-cpu", "verify-images", "upstream-tests", "server-tests", "mutants", "faults", "unit"),
    "update",
}
"""The sessions of the nightly workflow."""
COMPILER_CACHE = ROOT / "docker" / "compiler-cache" / "README.md"
"""The page with the command that installs an S3 server."""
FIXED_LINES: set[str] = {
    "python3 -m pip install --quiet --group nox",
    "sudo rm -rf /usr/local/lib/android /usr/share/dotnet /opt/hostedtoolcache/CodeQL",
    "rm -r build/caches",
    "sudo apt-get update && sudo apt-get install --yes --no-install-recommends redis-server",
    *re.findall(r"`(cargo install [^`]+)`", COMPILER_CACHE.read_text()),
    'echo "${REGISTRY:?is not a variable of the repository, see docs/ci.md}"',
    'docker login --username "$USERNAME" --password-stdin "${REGISTRY%%/*}" <<<"$PASSWORD"',
}
"""The lines that run no session; tests/unit/test_workflows.py runs each."""
AS_ROOT = 'sudo env "PATH=$PATH" '
"""What may be before a session that needs root."""
VALUES = {
    "GITHUB_OUTPUT": "build/outputs",
    "GITHUB_STEP_SUMMARY": "build/summary.md",
    "IMAGE": "cpu",
    "IMAGES": "cpu cuda12",
    "FFMPEG_RELEASE": "",
    "LIBVMAF": "",
    "REGISTRY": "registry.example.org/team",
}
"""Examples of the variables in the lines that run sessions."""
GIVEN = {"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"}
"""The variables that GitHub sets in each step."""
SAVES = (
    "inputs.save && github.event_name == 'push' "
    "&& github.ref_name == github.event.repository.default_branch"
)
"""The condition under which caches are saved."""


@cache
def _parse(text: str) -> Any:  # noqa: ANN401 # a document
    """Return a document, in which every value is a text, so that `on` is no boolean."""
    return yaml.load(text, yaml.BaseLoader)  # noqa: S506 # makes only texts


@dataclass(frozen=True)
class Step:
    """A step of a job or of a composite action."""

    file: str
    job: str
    """Empty in an action."""
    fields: Mapping[str, Any]
    variables: frozenset[str]
    """The environment variables that the job and the step set."""

    @property
    def place(self) -> str:
        """The file and the job, for messages."""
        return f"{self.file} {self.job}".strip()

    @property
    def uses(self) -> str:
        """The action; empty if the step runs commands."""
        return str(self.fields.get("uses", ""))

    @property
    def condition(self) -> str:
        """The condition, on one line."""
        return " ".join(str(self.fields.get("if", "")).split())

    @property
    def lines(self) -> list[str]:
        """The commands, a line each."""
        lines = str(self.fields.get("run", "")).splitlines()
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


@dataclass(frozen=True)
class Files:
    """The texts of the workflows and actions, and what they mean."""

    texts: Mapping[str, str]
    documents: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Parse the files."""
        parsed = {name: _parse(text) for name, text in self.texts.items()}
        object.__setattr__(self, "documents", parsed)

    @property
    def workflows(self) -> dict[str, Any]:
        """The workflows, by file."""
        return {name: data for name, data in self.documents.items() if "jobs" in data}

    def jobs(self) -> Iterator[tuple[str, str, Any]]:
        """Yield each job with its file and its name."""
        for name, data in self.workflows.items():
            for job, fields in data["jobs"].items():
                yield name, job, fields

    def steps(self) -> Iterator[Step]:
        """Yield each step of each job and action."""
        for name, job, fields in self.jobs():
            for step in fields.get("steps", ()):
                variables = {*fields.get("env", {}), *step.get("env", {})}
                yield Step(name, job, step, frozenset(variables))
        for name, data in self.documents.items():
            for step in data.get("runs", {}).get("steps", ()):
                yield Step(name, "", step, frozenset(step.get("env", {})))

    def called(self, fields: Mapping[str, Any]) -> str:
        """Return the file of the reusable workflow that a job calls; empty if it calls none."""
        return str(fields.get("uses", "")).removeprefix("./.github/")

    def reached(self, name: str) -> set[str]:
        """Return a workflow with all reusable workflows that it calls."""
        calls = (self.called(job) for job in self.workflows[name]["jobs"].values())
        return {name}.union(*(self.reached(file) for file in calls if file in self.workflows))

    def of_pull_requests(self) -> set[str]:
        """Return the workflows that a pull request runs."""
        starts = [name for name, data in self.workflows.items() if "pull_request" in data["on"]]
        return set[str]().union(*map(self.reached, starts))


def read(directory: Path = GITHUB) -> Files:
    """Return the files of a directory .github, by their path in it."""
    paths = (path for pattern in FILES for path in sorted(directory.glob(pattern)))
    return Files({str(path.relative_to(directory)): path.read_text() for path in paths})


def sessions_of(line: str) -> tuple[list[str], list[str]] | None:
    """Return the sessions of a line and the arguments after `--`; None if it runs no session."""
    words = shlex.split(line.removeprefix(AS_ROOT), comments=True)
    if words[:2] != ["nox", "-s"]:
        return None
    end = words.index("--") if "--" in words else len(words)
    return words[2:end], words[end + 1 :]


def commands(files: Files, sessions: Collection[str]) -> Iterator[str]:
    """Each line runs sessions that exist, with their options, or is one that a test runs."""
    for step in files.steps():
        for line in step.lines:
            found = sessions_of(line)
            if found is None:
                if line not in FIXED_LINES:
                    yield f"{step.place}: no test runs `{line}`"
                continue
            named, arguments = found
            for name in set(named) - set(sessions):
                yield f"{step.place}: nox has no session `{name}`"
            variables = set(re.findall(r"\$(\w+)", " ".join(arguments)))
            for name in variables - step.variables - GIVEN:
                yield f"{step.place}: `{line}` reads {name}, which it does not set"
            yield from _refused(step, named, arguments)


def _refused(step: Step, named: list[str], arguments: list[str]) -> Iterator[str]:
    """Yield the message of each session that does not accept the arguments."""
    values = [re.sub(r"\$(\w+)", lambda m: VALUES.get(m[1], m[0]), word) for word in arguments]
    for name in named:
        if (verb := options.verb_of(name)) in options.VERBS:
            try:
                options.parse([verb, *values], named)
            except UserError as error:
                yield f"{step.place}: {name}: {error.why}"


def pins(files: Files) -> Iterator[str]:
    """Each action of others is pinned by a commit, with its version; all by the same one."""
    commits: dict[str, str] = {}
    for name, text in files.texts.items():
        for line in text.splitlines():
            if (used := re.match(r"[\s-]*uses: (\S+)(.*)", line)) and used[1][:2] != "./":
                if not re.fullmatch(r" # v\d+\.\d+\.\d+", used[2]):
                    yield f"{name}: {used[1]} has no version in a comment"
                action, _, commit = used[1].partition("@")
                if not re.fullmatch(r"[0-9a-f]{40}", commit):
                    yield f"{name}: {action} is not pinned by a commit"
                project = "/".join(action.split("/")[:2])
                if commits.setdefault(project, commit) != commit:
                    yield f"{name}: {project} is pinned by two commits"


def permissions(files: Files) -> Iterator[str]:
    """A workflow has no permissions, and each job exactly those that it needs."""
    for name, data in files.workflows.items():
        if data.get("permissions") != {}:
            yield f"{name}: the workflow has permissions"
    for name, job, fields in files.jobs():
        if fields.get("permissions") != WRITES.get((name, job), READS):
            yield f"{name} {job}: not the least permissions"
        own = "github.event.pull_request.head.repo.full_name == github.repository"
        writes = (name, job) in WRITES and name in files.of_pull_requests()
        if writes and own not in fields.get("if", ""):
            yield f"{name} {job}: runs for forks, which may not write"
    for step in files.steps():
        writes = (step.file, step.job) in WRITES and step.file in files.of_pull_requests()
        if writes and (step.lines or step.uses.startswith("./")):
            yield f"{step.place}: runs code of a pull request with permission to write"


def untrusted(files: Files) -> Iterator[str]:
    """A pull request gets no secret, and no workflow runs its code with the base's rights."""
    for name, data in files.workflows.items():
        for event in {"pull_request_target", "workflow_run", "issue_comment"} & set(data["on"]):
            yield f"{name}: runs on {event}"
    actions = set(files.documents) - set(files.workflows)
    for name in files.of_pull_requests() | actions:
        text = files.texts[name]
        if re.search(r"secrets\s*[.:\[]|github\.token|^\s+environment:", text, re.MULTILINE):
            yield f"{name}: a pull request gets a secret"
    for step in files.steps():
        if any("${{" in line for line in step.lines):
            yield f"{step.place}: an expression is in a command"
        checks_out = step.uses.startswith("actions/checkout@")
        if checks_out and step.fields.get("with", {}).get("persist-credentials") != "false":
            yield f"{step.place}: the checkout stores the token"


def matrices(files: Files) -> Iterator[str]:
    """Each matrix is an output of `nox -s matrix`; no job starts for an empty one."""
    for name, job, fields in files.jobs():
        if not (strategy := fields.get("strategy")):
            continue
        pattern = r"\$\{\{ fromJSON\(needs\.list\.outputs\.(images|others)\) \}\}"
        used = re.fullmatch(pattern, str(strategy["matrix"].get("include")))
        if not used or len(strategy["matrix"]) != 1:
            yield f"{name} {job}: the matrix is not that of bake"
            continue
        listing = files.workflows[name]["jobs"]["list"]
        output = f"${{{{ steps.matrix.outputs.{used[1]} }}}}"
        lines = [line for s in listing["steps"] if s.get("id") == "matrix" for line in [s["run"]]]
        if listing["outputs"].get(used[1]) != output or "nox -s matrix" not in "".join(lines):
            yield f"{name} {job}: the matrix is not that of bake"
        if used[1] == "others" and fields.get("if") != "needs.list.outputs.others != '[]'":
            yield f"{name} {job}: GitHub rejects an empty matrix"
        if strategy.get("fail-fast") != "false":
            yield f"{name} {job}: an image stops the others"


def order(files: Files) -> Iterator[str]:
    """Images are built after the checks, the others after the first; a release has its list."""
    for name, job, before in (
        ("workflows/images.yml", "images", "checks"),
        ("workflows/build.yml", "others", "first"),
    ):
        needs = files.workflows[name]["jobs"][job].get("needs", ())
        if before not in ([needs] if isinstance(needs, str) else needs):
            yield f"{name} {job}: does not wait for {before}"
    listing = files.workflows["workflows/release.yml"]["jobs"]["list"]["steps"]
    if not any("--redistributable" in step.get("run", "") for step in listing):
        yield "workflows/release.yml list: has images that must not be passed on"


def nightly(files: Files) -> Iterator[str]:
    """The nightly workflow has all of its sessions, and no job that stops another."""
    name = "workflows/nightly.yml"
    found = {
        session
        for step in files.steps()
        if step.file == name
        for line in step.lines
        for session in (sessions_of(line) or ((), ()))[0]
    }
    for missing in NIGHTLY - found:
        yield f"{name}: {missing} does not run"
    jobs = files.workflows[name]["jobs"]
    for job, fields in jobs.items():
        if fields.get("needs", "list") != "list":
            yield f"{name} {job}: waits for a test"
    cold = [step for step in jobs["cold"]["steps"] if "actions/setup" in step.get("uses", "")]
    if any("with" in step for step in cold):
        yield f"{name} cold: loads caches"
    if jobs["ffmpeg-7"].get("with", {}).get("ffmpeg") != "7.1":
        yield f"{name}: FFmpeg 7.1 is not built"


def caches(files: Files) -> Iterator[str]:
    """Only a push to the default branch saves caches, of a build that succeeded."""
    steps = list(files.steps())
    for number, step in enumerate(steps):
        action = step.uses.partition("@")[0]
        if action == "actions/cache":
            yield f"{step.place}: actions/cache saves after each job"
        if any("cache -- save" in line for line in step.lines) and step.condition != SAVES:
            yield f"{step.place}: caches are not only saved by the default branch"
        if action == "actions/cache/save":
            previous = steps[number - 1]
            saved = any("cache -- save" in line for line in previous.lines)
            if not saved or step.condition != f"steps.{previous.fields['id']}.outcome == 'success'":
                yield f"{step.place}: caches are saved that `nox -s cache` did not write"
            if step.fields["with"].get("key") != "${{ steps.setup.outputs.key }}":
                yield f"{step.place}: another key than that of setup"
    outputs = files.documents["actions/setup/action.yml"]["outputs"]
    own = next(step for step in steps if step.fields.get("id") == "own").fields["with"]
    if outputs["key"]["value"] != own["key"] or not own["key"].startswith(own["restore-keys"]):
        yield "actions/setup/action.yml: a saved key is not found again"


def limits(files: Files) -> Iterator[str]:
    """Each job ends after a time that its author chose."""
    for name, job, fields in files.jobs():
        if "runs-on" in fields and "timeout-minutes" not in fields:
            yield f"{name} {job}: has no timeout"


RULES: tuple[Callable[[Files], Iterator[str]], ...] = (
    *(pins, permissions, untrusted, matrices, order, nightly, caches, limits),
)


def faults(files: Files, sessions: Collection[str]) -> list[str]:
    """Return the messages of all rules."""
    return [*commands(files, sessions), *(fault for rule in RULES for fault in rule(files))]


def call_faults(text: str, files: Files) -> list[str]:
    """Return what is wrong with a workflow of another repository that calls build.yml."""
    callee = "workflows/build.yml"
    inputs = files.workflows[callee]["on"]["workflow_call"]["inputs"]
    document = _parse(text)
    found = []
    if document.get("permissions") != {}:
        found.append("the workflow has permissions")
    for job in document["jobs"].values():
        if f"/.github/{callee}@" not in job.get("uses", ""):
            found.append(f"the job does not call {callee}")
        found += [f"there is no input `{name}`" for name in set(job["with"]) - set(inputs)]
        needed = (
            fields.get("permissions", {})
            for file, _, fields in files.jobs()
            if file in files.reached(callee)
        )
        if any(set(one) - set(job.get("permissions", {})) for one in needed):
            found.append("the job lacks permissions")
    return found
