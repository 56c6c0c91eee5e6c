"""The Go modules of the repository: the versions in each go.mod, and the digests in its go.sum.

Go itself asks its proxy and edits a copy of the module. The modules that others require move with
these. A module without releases, whose version names a commit, moves only if another requires it.
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scripts.core import process
from scripts.core.console import UserError
from scripts.pins.proposal import Finding, Proposal, Step, count, held, message

SECONDS = 600
"""The timeout of each command of Go, in seconds; it may fetch modules and a release of Go."""
GO = "go"
"""The name under which Go lists its own releases, as if they were of a module."""
IMAGES: Mapping[str, str] = {"github.com/moby/buildkit": "moby/buildkit"}
"""The images that are released with a module; a file names them as IMAGE:VERSION."""
FOLLOWERS = (Path("docker/kubernetes/buildkitd.yaml"), Path("docs/scale.md"))
"""The files that name such an image; its version is the one in go.mod."""
REMARKS: Mapping[str, str] = {
    "docker/cache-stream/go.mod": (
        "The program changes with its modules: tests/builder/test_cache_archives.py prints the\n"
        "line that docker/cache-stream/program.sha256 must have."
    ),
}
"""What remains to be done after the update of a module, by the path of its go.mod."""


@dataclass(frozen=True)
class Requirement:
    """A line of go.mod, or its go directive."""

    path: str
    version: str
    hold: str = ""
    """The reason why the version must stay."""


@dataclass(frozen=True)
class Releases:
    """The newer releases of a requirement."""

    fitting: tuple[str, ...] = ()
    """Those that need no newer Go than go.mod names, the newest first."""
    note: str = ""
    """Which newer release there is otherwise, and what it needs."""


class GoError(Exception):
    """A command of Go failed; the message is Go's."""


class Modules:
    """The kind of pin; the modules of a go.mod are one part, as they require each other."""

    def __init__(self, root: Path, homes: Sequence[Path]) -> None:
        """Store the checkout, and the paths of its go.mod files, relative to it."""
        self._root, self._homes = root, homes

    def parts(self) -> dict[str, tuple[Path, ...]]:
        """Return the parts, which have the names of the go.mod files."""
        return {str(home): self._files(home) for home in self._homes}

    def _files(self, home: Path) -> tuple[Path, ...]:
        """Return the files that an update of a go.mod may change."""
        names_image = any(image in (self._root / home).read_text() for image in IMAGES)
        followers = [path for path in FOLLOWERS if (self._root / path).is_file()]
        return (home, home.with_name("go.sum"), *(followers if names_image else ()))

    def ask(self, parts: Sequence[str]) -> Proposal:
        """Ask Go's proxy for newer releases, and edit copies of the modules.

        Raises:
            UserError: a go.mod is damaged.
        """
        proposals = [self._ask(Path(part)) for part in parts]
        return Proposal(
            tuple(finding for proposal in proposals for finding in proposal.findings),
            tuple(step for proposal in proposals for step in proposal.steps),
        )

    def _ask(self, home: Path) -> Proposal:
        part, directory = str(home), (self._root / home).parent
        try:
            text = (self._root / home).read_text()
        except OSError as error:
            raise UserError(
                f"cannot read {home}", error.strerror or str(error), "Restore the file."
            ) from error
        if not shutil.which("go", path=process.environment()["PATH"]):
            return _unasked(part, "Go is not installed")
        try:
            required = requirements(json.loads(_go(directory, "mod", "edit", "-json")), text)
        except GoError as error:
            raise UserError(f"cannot read {home}", str(error), "Correct the file.") from error
        try:
            releases = _releases(directory, required)
            changed, refused, files = self._update(home, required, releases)
        except GoError as error:
            return _unasked(part, str(error), len(required))
        details = tuple(
            f"{one.path} {one.version} to {changed[one.path]}"
            for one in required
            if one.path in changed
        )
        notes = [releases[one.path].note for one in required if releases[one.path].note]
        notes += [why for path, why in refused.items() if path in changed]
        problem = "; ".join(why for path, why in refused.items() if path not in changed)
        notes += [f"{one.path} stays {one.version}: {one.hold}" for one in required if one.hold]
        finding = Finding(
            part,
            part,
            count(len(required), "pin"),
            f"{len(details)} newer" if details else "",
            details,
            problem,
            tuple(notes),
        )
        if not details:
            return Proposal((finding,))
        title = details[0] if len(details) == 1 else f"{len(details)} modules"
        body = details if len(details) > 1 else ()
        step = Step(message(part, title, body, REMARKS.get(part, "")), files)
        return Proposal((finding,), (step,))

    def _update(
        self, home: Path, required: Sequence[Requirement], releases: Mapping[str, Releases]
    ) -> tuple[dict[str, str], dict[str, str], dict[Path, str]]:
        """Update a copy of a module, whose held versions and release of Go stay.

        Returns:
            The new versions by module, why Go refuses the newest one by module, and the content of
            the changed files.

        Raises:
            GoError: Go cannot fetch a module.
        """
        refused: dict[str, str] = {}
        versions = {one.path: one.version for one in required}
        with TemporaryDirectory() as temporary:
            copy = Path(temporary) / "module"
            shutil.copytree((self._root / home).parent, copy)
            for one in required:
                for release in releases[one.path].fitting:
                    # Go refuses a release that would raise one of the other arguments.
                    staying = [
                        f"{path}@{versions[path]}"
                        for path in (GO, *(held.path for held in required if held.hold))
                        if path != one.path
                    ]
                    try:
                        _go(copy, "get", f"{one.path}@{release}", *dict.fromkeys(staying))
                    except GoError as error:
                        refused.setdefault(one.path, f"{one.path} {release} is refused: {error}")
                    else:
                        versions[one.path] = release
                        break
            if all(versions[one.path] == one.version for one in required):
                return {}, refused, {}
            _go(copy, "mod", "tidy")
            # Modules that others require move as well.
            module = json.loads(_go(copy, "mod", "edit", "-json"))
            now = {one.path: one.version for one in requirements(module, "")}
            names = ("go.mod", "go.sum")
            files = {home.with_name(name): (copy / name).read_text() for name in names}
        changed = {
            one.path: now[one.path]
            for one in required
            if now.get(one.path, one.version) != one.version
        }
        for path in self._files(home)[len(names) :]:
            text = (self._root / path).read_text()
            for module, image in IMAGES.items():
                if module in changed:
                    text = re.sub(rf"\b{image}:v\d+\.\d+\.\d+", f"{image}:{changed[module]}", text)
            files[path] = text
        before = {path: (self._root / path).read_text() for path in files}
        return changed, refused, {p: t for p, t in files.items() if t != before[p]}


def requirements(module: Mapping[str, Any], text: str) -> list[Requirement]:
    """Return what a module requires by itself: the go directive, modules, and modules of tools.

    Args:
        module: the output of `go mod edit -json`.
        text: the text of the go.mod, which has the reasons of `hold: REASON` in comments.
    """
    tools = [tool["Path"] for tool in module.get("Tool") or ()]
    found = [Requirement(GO, module["Go"], _hold(text, "go", module["Go"]))]
    for one in module.get("Require") or ():
        path, version = one["Path"], one["Version"]
        has_tool = any(tool == path or tool.startswith(f"{path}/") for tool in tools)
        if has_tool or not one.get("Indirect"):
            found.append(Requirement(path, version, _hold(text, path, version)))
    return found


def newer(one: Requirement, listed: Sequence[str]) -> list[str]:
    """Return the final releases after the required one, the newest first.

    Args:
        one: the requirement; one that names a commit has no such releases.
        listed: all versions in ascending order, as Go lists them.
    """
    number, _, candidate = one.version.partition("-")
    if re.search(r"\d{14}-[0-9a-f]{12}$", candidate):
        return []
    # Go's own release candidates have names such as 1.27rc1.
    final = [version for version in listed if re.fullmatch(r"v?\d+(\.\d+)*", version)]
    # A version that its author has retracted is not listed.
    return [
        version
        for version in reversed(final)
        if _numbers(version) > _numbers(number)
        or (candidate and _numbers(version) == _numbers(number))
    ]


def fitting(
    one: Requirement, candidates: Sequence[str], needs: Mapping[str, str], go: str
) -> Releases:
    """Return which newer releases of a requirement can be taken.

    Args:
        one: the requirement.
        candidates: its newer releases, the newest first.
        needs: the release of Go that each of them needs, if it names one.
        go: the release of Go in go.mod.
    """
    if not candidates:
        return Releases()
    if one.path == GO:  # the second number is that of a release with new features
        series = one.version.split(".")[:2]
        taken = tuple(version for version in candidates if version.split(".")[:2] == series)
        why = "a new release, which needs a person's decision"
    else:
        taken = tuple(
            version for version in candidates if _numbers(needs.get(version, go)) <= _numbers(go)
        )
        why = f"out, which needs Go {needs.get(candidates[0], '')}; go.mod names {go}"
    note = "" if candidates[0] in taken else f"{one.path} {candidates[0]} is {why}"
    return Releases(taken, note)


def _releases(directory: Path, required: Sequence[Requirement]) -> dict[str, Releases]:
    """Ask Go's proxy for the newer releases of each requirement.

    Raises:
        GoError: the proxy does not answer.
    """
    moving = [one for one in required if not one.hold]
    if not moving:
        return dict.fromkeys((one.path for one in required), Releases())
    listed = {
        module["Path"]: module.get("Versions") or ()
        for module in _objects(
            _go(directory, "list", "-m", "-versions", "-json", *(one.path for one in moving))
        )
    }
    candidates = {one.path: newer(one, listed.get(one.path, ())) for one in required}
    go = next(one.version for one in required if one.path == GO)
    asked = [
        f"{one.path}@{version}"
        for one in moving
        for version in candidates[one.path]
        if one.path != GO
    ]
    needs: dict[str, dict[str, str]] = {}
    for module in _objects(_go(directory, "list", "-m", "-json", *asked)) if asked else ():
        needs.setdefault(module["Path"], {})[module["Version"]] = _go_of(module) or go
    return {
        one.path: fitting(one, candidates[one.path], needs.get(one.path, {}), go)
        for one in required
    }


def _go_of(module: Mapping[str, Any]) -> str:
    """Return the release of Go that a module needs; empty if it names none.

    `go list` does not print one that is newer than itself, so it is read from the go.mod.
    """
    path = module.get("GoMod")
    found = re.search(r"^go\s+(\S+)", Path(path).read_text(), re.MULTILINE) if path else None
    return found[1] if found else ""


def _go(directory: Path, *arguments: str) -> str:
    """Run Go in a module and return what it prints to stdout.

    Raises:
        GoError: it failed.
    """
    done = process.run(
        *("go", *arguments),
        cwd=directory,
        # go.mod names the release of Go, which Go fetches if it is another one.
        env={**process.environment(), "GOTOOLCHAIN": "auto", "GOFLAGS": "", "GOWORK": "off"},
        timeout=SECONDS,
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        downloads = ("go: downloading", "go: finding")
        reasons = [line for line in lines if not line.startswith(downloads)] or lines
        raise GoError("; ".join(reasons[-3:]) or f"go ends with status {done.returncode}")
    return done.stdout


def _objects(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects in a text, which Go prints one after the other."""
    decoder, found = json.JSONDecoder(), []
    rest = text.lstrip()
    while rest:
        one, end = decoder.raw_decode(rest)
        found.append(one)
        rest = rest[end:].lstrip()
    return found


def _hold(text: str, path: str, version: str) -> str:
    """Return the reason why a line of go.mod must stay."""
    pattern = rf"^\s*(?:require\s+)?{re.escape(path)}\s+{re.escape(version)}\b(.*)$"
    found = re.search(pattern, text, re.MULTILINE)
    return held(found[1]) if found else ""


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a release of Go, such as (1, 26, 8); 1.26 is 1.26.0."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version))
    return (*numbers, 0, 0, 0)[:3]


def _unasked(part: str, why: str, pins: int = 0) -> Proposal:
    pinned = count(pins, "pin") if pins else "?"
    return Proposal((Finding(part, part, pinned, problem=why, asked=False),))
