"""The error message of a failed build."""

from scripts.buildkit.progress import Outcome
from scripts.core.console import UserError
from scripts.core.paths import ROOT

_LAST_LINES = 20


_HINTS = {
    "exit code: 137": "Exit code 137 means killed, mostly for want of memory.",
    "no space left": "The disk is full: `docker system df` shows what the engine keeps on it.",
}


def failure(outcome: Outcome) -> UserError:
    """Return the error that tells people what failed in a build, where, and what to do."""
    build, step, source = outcome.build, outcome.build.failed, outcome.build.source
    todo = [f"The full log is {outcome.log}."]
    what = f"stage {step.stage} failed" if step and step.number else "the build failed"
    if step:
        lines = [step.error.rpartition("did not complete successfully: ")[2], *step.tail]
        todo.append("Mend this and build again: what is done stays cached.")
    else:
        lines = build.text[-1:] or [f"buildx ended with code {outcome.returncode}, and no word"]
        todo.append("`nox -s engine -- --status` says whether an engine answers.")
    todo += [hint for sign, hint in _HINTS.items() if any(sign in line for line in lines)]
    reason, *tail = lines
    why = [reason, *(f"  | {line}" for line in tail[-_LAST_LINES:])]
    if source:
        # The buildx of 2024 tells the file without its folder.
        files = [path.relative_to(ROOT) for path in ROOT.glob(source.file)]
        files += [
            path.relative_to(ROOT)
            for folder in ("docker", "dev")
            for path in (ROOT / folder).rglob(source.file)
        ]
        file = files[0] if len(files) == 1 else source.file
        why += [
            f"at {file}:{source.line}",
            *(f"  {line}" for line in source.instruction.splitlines()),
        ]
    elif step:
        why.append(f"at {step.label}")
    return UserError(what, "\n".join(why), "\n".join(todo))
