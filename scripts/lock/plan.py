"""Compare the lock with what the origins have now, and plan its update part by part."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scripts.lock.debian import series_of
from scripts.lock.offers import Offer, Offers
from scripts.lock.sources_lock import File, Lock

SUBJECT = 71
"""The maximum number of characters of a commit's subject."""


@dataclass(frozen=True)
class Finding:
    """What the update makes of a part."""

    part: str
    version: str
    """The version that most of its locked files have."""
    source: str
    """The origin as messages name it."""
    changes: tuple[tuple[File, File], ...] = ()
    """The lines that change, old and new."""
    problem: str = ""
    """Why the part stays as it is although its origin has something else now; empty if it does
    not."""
    notes: tuple[str, ...] = ()
    """What a person may want to know, such as a new release."""

    @property
    def is_behind(self) -> bool:
        """Whether the lock is not what the origin has now."""
        return bool(self.changes or self.problem)

    @property
    def versions(self) -> tuple[str, str]:
        """The versions that most of the changed files had and get, or the locked one twice."""
        pairs = Counter((old.version, new.version) for old, new in self.changes)
        return pairs.most_common(1)[0][0] if pairs else (self.version, self.version)

    @property
    def title(self) -> str:
        """The part, and the versions that most of its changed files had and get."""
        if not self.changes:
            return f"{self.part} {self.version}"
        before, after = self.versions
        series = series_of([old for old, _ in self.changes])
        name = self.part.removesuffix(series) if series else self.part
        return f"{name} {before} to {after}" if before != after else f"{name} {before}, other path"

    @property
    def details(self) -> tuple[str, ...]:
        """The versions of each changed file, if the part has several."""
        return tuple(
            f"{old.short} {old.version} to {new.version}"
            for old, new in self.changes
            if "/" in old.name
        )

    @property
    def message(self) -> str:
        """The message of the commit that updates the part."""
        subject = f"lock: {self.title}"
        if len(subject) > SUBJECT:
            subject = f"lock: {self.part}"
        return "\n".join([subject, *(["", *self.details] if self.details else [])])


@dataclass(frozen=True)
class Plan:
    """What to do with the lock."""

    lock: Lock
    findings: tuple[Finding, ...]
    """One for each part that was asked for."""
    archive: str = ""
    """The new time in Debian's archive; empty if it stays."""
    holding: tuple[str, ...] = ()
    """The parts for which the time stays, although new files would need a newer one."""

    def steps(self) -> Iterator[tuple[Lock, str]]:
        """Yield the lock after the update of each part, with the message of the commit.

        The time in Debian's archive changes with the last part that is from Debian.
        """
        changing = [finding for finding in self.findings if finding.changes]
        last = max(
            (n for n, finding in enumerate(changing) if finding.changes[0][0].is_debian), default=-1
        )
        lock = self.lock
        for number, finding in enumerate(changing):
            files = {new.name: new for _, new in finding.changes}
            lock = lock.replace(files, self.archive if number == last else "")
            yield lock, finding.message


def plan(
    lock: Lock, offers: Mapping[str, Offers], parts: Collection[str], archive: str = ""
) -> Plan:
    """Return the plan for the update of some parts.

    Debian's archive is asked for files that have left the suites, at one time for all parts. It
    only moves to a time at which the archive has every locked file, which is one when all parts are
    what the suites have.

    Args:
        lock: the lock as it is.
        offers: what the origins have now, by part; all parts from Debian if one of them is.
        parts: the parts to update.
        archive: the time at which the archive has the files that the suites have now.
    """
    findings = {part: compare(lock.parts[part], offers[part], lock.archive) for part in offers}
    chosen = tuple(findings[part] for part in lock.parts if part in parts)
    is_debian = {part: files[0].is_debian for part, files in lock.parts.items()}
    changes = [change for finding in chosen for change in finding.changes]
    moving = any(old.is_debian for old, _ in changes)
    holding = tuple(
        part
        for part, finding in findings.items()
        if is_debian[part] and (finding.problem or (finding.changes and part not in parts))
    )
    if not moving:
        return Plan(lock, chosen)
    return Plan(lock, chosen, "" if holding else archive, holding)


def compare(files: Sequence[File], offers: Offers, archive: str) -> Finding:
    """Compare a part with what its origin has now.

    The files of a part are updated together or not at all.

    Args:
        files: the locked files of the part.
        offers: what the origin has now.
        archive: the time at which Debian's archive is asked for files that have left the suite.
    """
    version = Counter(file.version for file in files).most_common(1)[0][0]
    problem = offers.gone
    if problem and files[0].is_debian:
        where = "upstream or " if all(file.address for file in files) else ""
        problem += (
            f"; a person must decide, and until then the locked files are taken from {where}"
            f"Debian's archive of {day(archive)}"
        )
    for file in files:
        problem = problem or _fault(file, offers.files[file.name], offers.source)
    problem = problem or _torn(files, offers)
    changes = [(file, _updated(file, offers.files[file.name])) for file in files if not problem]
    return Finding(
        files[0].part,
        version,
        offers.source,
        tuple((old, new) for old, new in changes if old != new),
        problem,
        offers.notes,
    )


def day(archive: str) -> str:
    """Return the day of a time in Debian's archive, such as 2026-11-27."""
    return f"{archive[:4]}-{archive[4:6]}-{archive[6:8]}"


def _fault(file: File, offer: Offer, source: str) -> str:
    """Return why an offer cannot replace a file; an empty string if it can."""
    locked = Offer(file.version, file.sha256, file.path)
    if offer.order < locked.order:
        return f"{source} has {file.short} {offer.version}, which is older than the locked one"
    if offer.version == file.version and offer.sha256 != file.sha256:
        return (
            f"{source} has another file as {file.short} {file.version}: sha256:{offer.sha256}; a"
            " person must find out why"
        )
    return ""


def _torn(files: Sequence[File], offers: Offers) -> str:
    """Return which packages of one source would get different versions; an empty string if none.

    A package that its source no longer builds stays in a suite for some time.
    """
    first: dict[tuple[str, str], File] = {}
    for file in files:
        if not file.is_debian:
            continue
        other = first.setdefault((file.path.rpartition("/")[0], _source(file.version)), file)
        versions = [_source(offers.files[one.name].version) for one in (other, file)]
        if versions[0] != versions[1]:
            return (
                f"{offers.source} has {other.short} {versions[0]} and, from the same source,"
                f" {file.short} {versions[1]}; a person must decide"
            )
    return ""


def _source(version: str) -> str:
    """Return the version of the source of a package, without the number of its rebuild."""
    return re.sub(r"\+b\d+$", "", version)


def _updated(file: File, offer: Offer) -> File:
    """Return the line of a file with the version that is offered.

    An address that does not contain the old version would name another file, so it is left out.
    """
    address = file.address
    if offer.version != file.version:
        has_version = file.version in address
        address = address.replace(file.version, offer.version) if has_version else ""
    return replace(
        file, version=offer.version, sha256=offer.sha256, path=offer.path, address=address
    )
