"""Update the lock: ask the origins, write the new lines, and commit each part."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.lock import crates, debian, pypi
from scripts.lock.offers import Offers
from scripts.lock.plan import Plan, plan
from scripts.lock.sources_lock import PATH, PYPI, File, Lock


def choose(lock: Lock, names: Sequence[str]) -> list[str]:
    """Return the parts with these names, by default all.

    Raises:
        UserError: the lock has no part of a name.
    """
    if unknown := [name for name in names if name not in lock.parts]:
        raise UserError(
            "no such part of the lock", ", ".join(unknown), f"Choose: {', '.join(lock.parts)}."
        )
    return [part for part in lock.parts if part in names or not names]


def ask(lock: Lock, parts: Sequence[str], environment: Mapping[str, str]) -> Plan:
    """Ask the origins of some parts, and return the plan for their update.

    Raises:
        UserError: an origin cannot be asked, or upstream's signature of a new file is not valid.
    """
    offers = {
        part: _ask_index(lock.parts[part], environment)
        for part in parts
        if not lock.parts[part][0].is_debian
    }
    if len(offers) == len(parts):
        return plan(lock, offers, parts)
    say("asking Debian, in a build step")
    suites = debian.ask()
    for suite, date in suites.dates.items():
        say(f"the mirror has {suite} of {date:%Y-%m-%d}")
    from_debian = {part: files for part, files in lock.parts.items() if files[0].is_debian}
    # All of them, as Debian's archive must have the files of all.
    offers |= {part: suites.offers(files) for part, files in from_debian.items()}
    planned = plan(lock, offers, parts, suites.archive())
    for finding in planned.findings:
        for _, new in finding.changes:
            suites.check_signature(new)
    return planned


def _ask_index(files: Sequence[File], environment: Mapping[str, str]) -> Offers:
    """Return what an index has now of a part.

    Raises:
        UserError: the index cannot be asked.
    """
    part, origin = files[0].part, files[0].origin
    say(f"asking {pypi.INDEX if origin == PYPI else origin} for {part}")
    return pypi.ask(files) if origin == PYPI else crates.ask(files, environment)


def require_committed(path: Path = PATH) -> None:
    """Check that git has the lock as it is, so that a commit contains the update only.

    Raises:
        UserError: the lock was edited, or is not in a git checkout.
    """
    listed = process.run("git", "status", "--porcelain", "--", path.name, cwd=path.parent)
    if listed.returncode or listed.stdout:
        raise UserError(
            f"cannot update {path.name}",
            listed.stderr.strip() or "it has changes that are not committed",
            "Commit them or restore the file; `nox -s update -- --check` needs neither.",
        )


def write(planned: Plan, path: Path = PATH) -> int:
    """Write the lock and commit it, once for each part; return the number of commits.

    Raises:
        UserError: git cannot commit. The lock then has the new lines of the part.
    """
    commits = 0
    for lock, message in planned.steps():
        path.write_text(lock.text())
        done = process.run(
            *("git", "commit", "--quiet", "--only", "--message", message, "--", path.name),
            cwd=path.parent,
        )
        if done.returncode:
            raise UserError(
                f"cannot commit {path.name}",
                (done.stderr or done.stdout).strip(),
                "The file has the new lines. Commit it, or restore it and run `nox -s update`.",
            )
        say(f"committed: {message.splitlines()[0]}")
        commits += 1
    return commits
