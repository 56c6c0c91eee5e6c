"""The files in sources.lock, as a kind of pin; scripts/lock asks for them and edits the lock."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.core.paths import ROOT
from scripts.lock import update
from scripts.lock.plan import Finding as Found
from scripts.lock.plan import day
from scripts.lock.sources_lock import PATH, Lock
from scripts.pins.proposal import Finding, Proposal, Step

HOME = PATH.relative_to(ROOT)


class Sources:
    """The kind of pin; a part is a part of the lock."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Store the environment variables of the user."""
        self._environment = environment

    def parts(self) -> dict[str, tuple[Path]]:
        """Return the parts of the lock.

        Raises:
            UserError: the lock is damaged.
        """
        return dict.fromkeys(Lock.read().parts, (HOME,))

    def ask(self, parts: Sequence[str]) -> Proposal:
        """Ask the origins of some parts; Debian is asked in a build step.

        Raises:
            UserError: the lock is damaged, or upstream's signature of a new file is not valid.
        """
        if not parts:
            return Proposal()
        lock = Lock.read()
        planned, unasked = update.ask(lock, parts, self._environment)
        findings = {found.part: _finding(found) for found in planned.findings}
        versions = {part: files[0].version for part, files in lock.parts.items()}
        findings |= {
            part: Finding(part, str(HOME), versions[part], problem=why, asked=False)
            for part, why in unasked.items()
        }
        steps = tuple(Step(message, {HOME: new.text()}) for new, message in planned.steps())
        remark = (
            f"Debian's archive stays that of {day(lock.archive)}, which has the locked files of "
            f"{', '.join(planned.holding)}; it may not have the new files"
        )
        return Proposal(
            tuple(findings[part] for part in parts),
            steps,
            (remark,) if planned.holding and steps else (),
        )


def _finding(found: Found) -> Finding:
    before, after = found.versions
    changed = bool(found.changes)
    return Finding(
        found.part,
        str(HOME),
        before,
        (after if after != before else "other path") if changed else "",
        found.details,
        found.problem,
        found.notes,
    )
