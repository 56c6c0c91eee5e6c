"""The programs that a page or a workflow installs with `cargo install --version=VERSION NAME`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.core.console import UserError
from scripts.lock import crates
from scripts.lock.sources_lock import CRATES, File
from scripts.pins.proposal import Finding, Proposal, Step, held, home_of, message

_INSTALL = re.compile(
    r"(cargo install [^`\n]*?--version=)(?P<version>[\w.+-]+)"
    r"(?P<options>[^`\n]*?) (?P<name>[a-z][\w-]*)(?=[`\s]|$)(?P<rest>[^\n]*)"
)


class Crates:
    """The kind of pin; each crate is a part. Cargo checks its digest against the index."""

    def __init__(self, root: Path, homes: Sequence[Path], environment: Mapping[str, str]) -> None:
        """Store the checkout, the paths of the files and the environment of the user."""
        self._root, self._homes, self._environment = root, homes, environment

    def parts(self) -> dict[str, tuple[Path, ...]]:
        """Return the crates, and the files that install them.

        Raises:
            UserError: two files install different versions.
        """
        return {name: tuple(homes) for name, (_, _, homes) in self._pins().items()}

    def ask(self, parts: Sequence[str]) -> Proposal:
        """Ask the index for newer releases that are compatible.

        Raises:
            UserError: two files install different versions.
        """
        pins = self._pins()
        findings, steps = [], []
        texts = {home: (self._root / home).read_text() for home in self._homes}
        for name in parts:
            version, hold, homes = pins[name]
            home = home_of(homes)
            try:
                offers = crates.ask([File(name, version, "", CRATES, name)], self._environment)
            except UserError as error:
                why = f"{error.what}: {error.why}"
                findings.append(Finding(name, home, version, problem=why, asked=False))
                continue
            offered = offers.files[name].version if name in offers.files else version
            newest = offered if offered != version and not hold else ""
            findings.append(
                Finding(name, home, version, newest, (), offers.gone, offers.notes, hold)
            )
            if newest:
                texts |= {path: edit(texts[path], name, newest) for path in homes}
                text = message("pins", f"{name} {version} to {newest}")
                steps.append(Step(text, {path: texts[path] for path in homes}))
        return Proposal(tuple(findings), tuple(steps))

    def _pins(self) -> dict[str, tuple[str, str, list[Path]]]:
        """Return the version, the hold and the files of each crate."""
        found: dict[str, tuple[str, str, list[Path]]] = {}
        for home in self._homes:
            for match in _INSTALL.finditer((self._root / home).read_text()):
                name, version = match["name"], match["version"]
                other, hold, homes = found.setdefault(name, (version, "", []))
                if other != version:
                    raise UserError(
                        f"cannot update {name}",
                        f"{homes[0]} installs {other}, and {home} {version}",
                        "Install the same version in both.",
                    )
                paths = list(dict.fromkeys([*homes, home]))
                found[name] = (version, hold or held(match["rest"]), paths)
        return found


def edit(text: str, name: str, version: str) -> str:
    """Return a text that installs another version of a crate."""
    return _INSTALL.sub(
        lambda match: (
            f"{match[1]}{version}{match['options']} {name}{match['rest']}"
            if match["name"] == name
            else match[0]
        ),
        text,
    )
