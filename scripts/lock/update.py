"""Ask the origins of the files in the lock, and plan its update."""

from collections.abc import Mapping, Sequence

from scripts.core.console import UserError, say
from scripts.lock import crates, debian, pypi
from scripts.lock.offers import Offers
from scripts.lock.plan import Plan, plan
from scripts.lock.sources_lock import PYPI, File, Lock


def ask(
    lock: Lock, parts: Sequence[str], environment: Mapping[str, str]
) -> tuple[Plan, dict[str, str]]:
    """Ask the origins of some parts.

    Returns:
        The plan for the update of the parts whose origin answers, and the reasons of the others.

    Raises:
        UserError: upstream's signature of a new file is not valid.
    """
    offers: dict[str, Offers] = {}
    unasked: dict[str, str] = {}
    for part in parts:
        if lock.parts[part][0].is_debian:
            continue
        try:
            offers[part] = _ask_index(lock.parts[part], environment)
        except UserError as error:
            unasked[part] = f"{error.what}: {error.why}"
    from_debian = [part for part in parts if lock.parts[part][0].is_debian]
    if not from_debian:
        return plan(lock, offers, list(offers)), unasked
    say("asking Debian, in a build step")
    try:
        suites = debian.ask()
    except UserError as error:
        unasked |= dict.fromkeys(from_debian, f"{error.what}: {error.why}")
        return plan(lock, offers, list(offers)), unasked
    for suite, date in suites.dates.items():
        say(f"the mirror has {suite} of {date:%Y-%m-%d}")
    # All of them, as Debian's archive must have the files of all.
    offers |= {
        part: suites.offers(files) for part, files in lock.parts.items() if files[0].is_debian
    }
    chosen = [part for part in parts if part not in unasked]
    planned = plan(lock, offers, chosen, suites.archive())
    for finding in planned.findings:
        for _, new in finding.changes:
            suites.check_signature(new)
    return planned, unasked


def _ask_index(files: Sequence[File], environment: Mapping[str, str]) -> Offers:
    """Return what an index has now of a part.

    Raises:
        UserError: the index cannot be asked.
    """
    part, origin = files[0].part, files[0].origin
    say(f"asking {pypi.INDEX if origin == PYPI else origin} for {part}")
    return pypi.ask(files) if origin == PYPI else crates.ask(files, environment)
