"""The error message of a failed build."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.buildkit.progress import Outcome
from scripts.buildkit.rawjson import MOUNT, Source, Step
from scripts.core.console import UserError
from scripts.core.paths import ROOT

_LAST_LINES = 20
_HINTS = {
    "exit code: 137": "Exit code 137 means that the step was killed, usually for lack of memory.",
    "failed to prepare": (
        "A prune removed a layer that is in use. Restart the engine with `nox -s engine -- --stop` "
        "and `nox -s engine`, run `docker buildx prune --filter id=ID` with the first id above, "
        "and build again."
    ),
    "error reading from server": (
        "BuildKit ended during the build. Build again when it runs: finished steps and compiled "
        "objects stay cached."
    ),
    "no space left": "The disk is full: `docker system df` shows how much the engine uses.",
}
_SHELL_ERROR = re.compile(r"(/[^\s:]+): (?:line )?(\d+): (?:\S+\.sh: )?([^:]+)")
"""An error of dash or bash, such as `/run/recipes/ffmpeg.sh: 41: foo: not found`.

Both shells print the name of the script that was started. If the error is in a file that the
script sources, the line number is still the line in that file.
"""


def failure(outcome: Outcome) -> UserError:
    """Return the error for a failed build: its stage, location, last output and next steps."""
    build, step, source = outcome.build, outcome.build.failed, outcome.build.source
    todo = [f"The full log is {outcome.log}."]
    if step:
        what = f"stage {step.stage} failed" if step.number else "the build failed"
        reason = step.error.rpartition("did not complete successfully: ")[2]
        tail = list(step.tail)
        todo.append("Fix this and build again: finished steps stay cached.")
    else:
        what, tail = "the build failed", []
        no_output = f"buildx exited with status {outcome.returncode}, without output"
        reason = build.text[-1] if build.text else no_output
        todo.append("`nox -s engine -- --status` shows whether an engine answers.")
    lines = [line.lower() for line in (reason, *tail)]
    todo += [hint for text, hint in _HINTS.items() if any(text in line for line in lines)]
    why = [reason, *_locations(step, source), *(f"  | {line}" for line in tail[-_LAST_LINES:])]
    return UserError(what, "\n".join(why), "\n".join(todo))


def _locations(step: Step | None, source: Source | None) -> list[str]:
    """Return the line of the Dockerfile that failed, and the recipe or instruction."""
    dockerfile = f"at {_dockerfile(source.file)}:{source.line}" if source else ""
    if step:
        recipes = _recipes(step)
        instruction = _recipe_line(step, recipes) if recipes else f"  {step.command}"
        return [dockerfile or f"at {step.prefix}", instruction]
    if source:
        return [dockerfile, *(f"  {line}" for line in source.instruction.splitlines())]
    return []


def _dockerfile(name: str) -> Path | str:
    """Return the path of a Dockerfile in the checkout, as buildx 0.13 omits its directory."""
    paths = list(ROOT.glob(name))
    for directory in ("docker", "dev"):
        paths += (ROOT / directory).rglob(name)
    return paths[0].relative_to(ROOT) if len(paths) == 1 else name


def _recipes(step: Step) -> dict[str, str]:
    """Return the recipes that a step runs, relative to the checkout, by path in the container."""
    binds = dict(_binds(step.text))
    recipes = {}
    for argument in MOUNT.sub("", step.text).split():
        target = next((path for path in binds if f"{argument}/".startswith(f"{path}/")), None)
        if target and argument.endswith((".sh", ".py")):
            recipes[argument] = f"{binds[target]}{argument.removeprefix(target)}"
    return recipes


def _binds(instruction: str) -> Iterable[tuple[str, str]]:
    """Yield the target and the source of each file of the checkout that a step mounts."""
    for options in MOUNT.findall(instruction):
        mount = dict(option.partition("=")[::2] for option in options.split(","))
        if mount.get("type") == "bind" and "from" not in mount and "source" in mount:
            yield mount.get("target", ""), mount["source"]


def _recipe_line(step: Step, recipes: Mapping[str, str]) -> str:
    """Return the recipe and its line, if the shell printed it; else all recipes of the step."""
    for line in reversed(step.tail):
        error = _SHELL_ERROR.match(line)
        if error and error[1] in recipes:
            number, program = int(error[2]), error[3].split()[-1]
            mounted = [source for _, source in _binds(step.text)]
            for path in dict.fromkeys([recipes[error[1]], *mounted]):
                if program in _line(ROOT / path, number):
                    return f"in {path}:{number}"
            return f"in {recipes[error[1]]}"
    return f"in {' or '.join(dict.fromkeys(recipes.values()))}"


def _line(path: Path, number: int) -> str:
    """Return a line of a file; empty if there is no such line."""
    try:
        return path.read_text().splitlines()[number - 1]
    except (OSError, IndexError, UnicodeError):
        return ""
