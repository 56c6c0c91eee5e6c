"""The exact versions of Python packages in the dependency groups of pyproject.toml.

uv finds the newest versions that fit each other, so that all groups can be installed together.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.console import UserError
from scripts.pins import uv
from scripts.pins.proposal import Finding, Proposal, Step, held, message, series

HOME = Path("pyproject.toml")
INDEX = "the package index"
_PIN = re.compile(
    r"""(?P<quote>["'])(?P<name>[\w.-]+)(?P<extras>\[[^]]*\])?==(?P<version>[^"'\s;,]+)"""
    r"""\s*(?P<marker>;[^\n]*?)?(?P=quote)(?=(?P<rest>[^\n]*))"""
)


@dataclass(frozen=True)
class Pin:
    """A package with an exact version; it may be in several groups."""

    name: str
    """The normal name."""
    version: str
    extras: str = ""
    marker: str = ""
    """The environment marker with its semicolon; empty if a group has the package without one."""
    hold: str = ""
    """The reason why the version must stay."""

    def requirement(self, version: str) -> str:
        """Return the requirement with other versions, such as `~=1.2`."""
        return f"{self.name}{self.extras}{version}{self.marker}"


class Groups:
    """The kind of pin."""

    def __init__(self, root: Path) -> None:
        """Store the checkout."""
        self._root = root

    def parts(self) -> dict[str, tuple[Path]]:
        """Return the parts: packages, or the first word of packages that are released together."""
        return dict.fromkeys(together(pins(self._text())), (HOME,))

    def ask(self, parts: Sequence[str]) -> Proposal:
        """Ask the index for the newest versions; the packages of other parts stay.

        Raises:
            UserError: uv is not installed, or pyproject.toml is damaged.
        """
        text = self._text()
        all_parts = together(pins(text))
        chosen = {part: all_parts[part] for part in parts}
        try:
            found = uv.versions(self._lock(requirements(all_parts, chosen)))
            names = [pin.requirement("") for part in chosen.values() for pin in part]
            newest = uv.versions(self._lock(names, "--no-deps"))
        except uv.NoSolutionError as error:
            why = f"{INDEX} has no versions that fit each other: {error}"
            return Proposal(tuple(_stays(part, chosen[part], why, asked=True) for part in parts))
        except uv.UnreachableError as error:
            why = f"{INDEX} does not answer: {error}"
            return Proposal(tuple(_stays(part, chosen[part], why, asked=False) for part in parts))
        findings = tuple(compare(part, chosen[part], found, newest) for part in parts)
        return Proposal(findings, tuple(_steps(text, findings, chosen, found)))

    def _text(self) -> str:
        try:
            return (self._root / HOME).read_text()
        except OSError as error:
            raise _damaged(error.strerror or str(error)) from error

    def _lock(self, requirements: Sequence[str], *options: str) -> str:
        python = tomllib.loads(self._text()).get("tool", {}).get("mypy", {}).get("python_version")
        oldest = (f"--python-version={python}",) if python else ()
        return uv.lock(
            "\n".join(requirements),
            *("--no-header", "--no-annotate", *oldest, *options),
            cwd=self._root,
        )


def pins(text: str) -> dict[str, Pin]:
    """Return the pins in the text of pyproject.toml by normal name.

    Raises:
        UserError: the file is damaged, or a package has two versions.
    """
    found: dict[str, Pin] = {}
    for match in _matches(text):
        name = uv.normal(match["name"])
        pin = Pin(
            name,
            match["version"],
            match["extras"] or "",
            match["marker"] or "",
            held(match["rest"]),
        )
        other = found.get(name, pin)
        if other.version != pin.version:
            raise _damaged(f"{name} has the versions {other.version} and {pin.version}")
        found[name] = Pin(
            name,
            pin.version,
            max(other.extras, pin.extras),
            other.marker and pin.marker,
            other.hold or pin.hold,
        )
    return found


def together(pinned: Mapping[str, Pin]) -> dict[str, list[Pin]]:
    """Return the packages of each part.

    Packages with the same first word and the same version are released together, such as
    grpcio-tools and grpcio-reflection, and each of them may require the version of the others.
    """
    words: dict[tuple[str, str], list[Pin]] = {}
    for pin in pinned.values():
        words.setdefault((pin.name.partition("-")[0], pin.version), []).append(pin)
    return {
        members[0].name
        if len(members) == 1 or (word in pinned and pinned[word] not in members)
        else word: members
        for (word, _), members in words.items()
    }


def requirements(
    parts: Mapping[str, Sequence[Pin]], chosen: Mapping[str, Sequence[Pin]]
) -> list[str]:
    """Return what is required of each package: a newer version of the same series, or this one."""
    required = []
    for part, members in parts.items():
        for pin in members:
            major = series(pin.version)
            bound = f",=={major}.*" if major else ""
            moves = part in chosen and not any(member.hold for member in members)
            required.append(
                pin.requirement(f">={pin.version}{bound}" if moves else f"=={pin.version}")
            )
    return required


def compare(
    part: str, members: Sequence[Pin], found: Mapping[str, str], newest: Mapping[str, str]
) -> Finding:
    """Compare a part with the newest versions.

    Args:
        part: the name of the part.
        members: its packages.
        found: the versions that fit each other.
        newest: the newest versions of each package.
    """
    pinned = members[0].version
    # A package that other platforms need only is in neither answer.
    versions = {pin.name: found.get(pin.name, pin.version) for pin in members}
    changed = [pin for pin in members if versions[pin.name] != pin.version]
    hold = next((pin.hold for pin in members if pin.hold), "")
    notes = [
        f"{pin.name} {latest} is a new release, which needs a person's decision"
        if hold or series(latest) != series(pin.version)
        else f"{pin.name} {latest} does not fit the other packages"
        for pin in members
        if (latest := newest.get(pin.name, versions[pin.name])) != versions[pin.name]
    ]
    return Finding(
        part,
        str(HOME),
        pinned,
        versions[changed[0].name] if changed else "",
        tuple(f"{pin.name} {pin.version} to {versions[pin.name]}" for pin in changed)
        if len(members) > 1
        else (),
        notes=tuple(notes),
        held=hold,
    )


def edit(text: str, versions: Mapping[str, str]) -> str:
    """Return the text of pyproject.toml with other versions of some packages, by normal name."""
    for match in reversed(_matches(text)):
        version = versions.get(uv.normal(match["name"]))
        if version:
            begin, end = match.span("version")
            text = text[:begin] + version + text[end:]
    return text


def _steps(
    text: str,
    findings: Sequence[Finding],
    parts: Mapping[str, Sequence[Pin]],
    found: Mapping[str, str],
) -> Iterator[Step]:
    for finding in findings:
        if finding.newest:
            text = edit(text, {pin.name: found[pin.name] for pin in parts[finding.part]})
            title = f"{finding.part} {finding.pinned} to {finding.newest}"
            yield Step(message("pins", title, finding.details), {HOME: text})


def _matches(text: str) -> list[re.Match[str]]:
    """Return the pins in the dependency groups.

    Raises:
        UserError: the file is damaged.
    """
    try:
        groups = tomllib.loads(text).get("dependency-groups", {})
    except tomllib.TOMLDecodeError as error:
        raise _damaged(str(error)) from error
    section = re.search(r"^\[dependency-groups\]$.*?(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    matches = [
        match
        for match in (_PIN.finditer(text, *section.span()) if section else ())
        if not text[: match.start()].rpartition("\n")[2].lstrip().startswith("#")
    ]
    listed = [item for group in groups.values() for item in group if isinstance(item, str)]
    if len(matches) != sum("==" in item.partition(";")[0] for item in listed):
        raise _damaged("a package with == is not on a line as `name==version`")
    return matches


def _stays(part: str, members: Sequence[Pin], why: str, *, asked: bool) -> Finding:
    return Finding(part, str(HOME), members[0].version, problem=why, asked=asked)


def _damaged(why: str) -> UserError:
    return UserError(
        f"cannot read the pins of {HOME}", why, f"Correct {HOME} and run `nox -s update` again."
    )
