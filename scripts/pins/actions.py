"""The actions of GitHub that workflows use: `uses: OWNER/REPOSITORY@COMMIT # vVERSION`.

git lists the tags of an action's repository. The commit is that of the tag in the comment, so both
change together, in all workflows.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scripts.core import process
from scripts.pins.proposal import Finding, Proposal, Step, held, home_of, message, series

SECONDS = 60
"""The timeout for the tags of a repository, in seconds."""
ORIGIN = "https://github.com/"
DIRECTORIES = ("workflows", "actions")
"""The directories of .github that have workflows and actions."""
_USES = re.compile(
    r"""^(?P<begin>\s*(?:-\s+)?uses:\s*["']?)(?P<action>[\w.-]+/[\w.-]+)(?P<path>(?:/[\w./-]+)?)"""
    r"""@(?P<commit>[^\s"'#]+)(?P<quote>["']?)[^\S\n]*(?P<comment>#[^\n]*)?$""",
    re.MULTILINE,
)
_VERSION = re.compile(r"v?\d+(?:\.\d+)*")


@dataclass(frozen=True)
class Use:
    """A place where a file uses an action."""

    home: Path
    commit: str
    version: str
    """The tag in the comment; empty if there is none."""
    hold: str = ""
    """The reason why the commit must stay."""


class Actions:
    """The kind of pin; each repository is a part."""

    def __init__(self, root: Path, homes: Sequence[Path]) -> None:
        """Store the checkout, and the paths of its workflows and actions, relative to it."""
        self._root, self._homes = root, homes

    def parts(self) -> dict[str, tuple[Path, ...]]:
        """Return the parts, such as actions/checkout."""
        return {
            action: tuple(dict.fromkeys(use.home for use in uses))
            for action, uses in _uses(self._texts()).items()
        }

    def ask(self, parts: Sequence[str]) -> Proposal:
        """Ask for the tags of some actions, at the same time."""
        texts = self._texts()
        uses = _uses(texts)
        with ThreadPoolExecutor() as pool:
            tags = dict(zip(parts, pool.map(list_tags, parts), strict=True))
        findings, steps = [], []
        for action in parts:
            finding, commit = compare(action, uses[action], tags[action])
            findings.append(finding)
            if commit:
                before = texts
                texts = {
                    home: edit(text, action, commit, finding.newest)
                    for home, text in before.items()
                }
                title = f"{action} {finding.pinned} to {finding.newest}"
                digests = f"{uses[action][0].commit} to {commit}"
                files = {home: text for home, text in texts.items() if text != before[home]}
                steps.append(Step(message("actions", title, (digests,)), files))
        return Proposal(tuple(findings), tuple(steps))

    def _texts(self) -> dict[Path, str]:
        return {home: (self._root / home).read_text() for home in self._homes}


def list_tags(action: str) -> dict[str, str] | str:
    """Return the commits of an action's repository by tag, or why it does not answer."""
    done = process.run(
        *("git", "ls-remote", "--tags", f"{ORIGIN}{action}"),
        env={**process.environment(), "GIT_TERMINAL_PROMPT": "0"},
        timeout=SECONDS,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines() or [f"git ends with status {done.returncode}"]
        return reason[0].removeprefix("fatal: ")
    return tags(done.stdout)


def tags(listed: str) -> dict[str, str]:
    """Return the commit of each tag in the output of `git ls-remote --tags`.

    An annotated tag has two lines; the one that ends in ^{} has the commit.
    """
    found: dict[str, str] = {}
    for line in listed.splitlines():
        commit, _, reference = line.partition("\t")
        tag = reference.removeprefix("refs/tags/")
        if tag.endswith("^{}"):
            found[tag.removesuffix("^{}")] = commit
        else:
            found.setdefault(tag, commit)
    return found


def compare(
    action: str, uses: Sequence[Use], listed: Mapping[str, str] | str
) -> tuple[Finding, str]:
    """Compare the uses of an action with the tags of its repository.

    Args:
        action: the repository.
        uses: the places where it is used.
        listed: the commits by tag, or why the repository does not answer.

    Returns:
        What is known about the action, and the commit to use; empty if it stays.
    """
    use = uses[0]
    home = home_of(one.home for one in uses)
    hold = next((one.hold for one in uses if one.hold), "")
    pinned = use.version or use.commit
    if problem := _fault(action, uses):
        return Finding(action, home, pinned, problem=problem), ""
    if isinstance(listed, str):
        why = f"{ORIGIN}{action} does not answer: {listed}"
        return Finding(action, home, pinned, problem=why, asked=False), ""
    tagged = listed.get(use.version)
    if tagged != use.commit:
        has = f"has {tagged} as {use.version}" if tagged else f"has no tag {use.version}"
        why = f"{ORIGIN}{action} {has}, and the commit is {use.commit}; a person must find out why"
        return Finding(action, home, pinned, problem=why, held=hold), ""
    # Tags with fewer numbers, such as v4, are moved to each new release.
    newer = sorted(
        (
            tag
            for tag in listed
            if _VERSION.fullmatch(tag)
            and tag.count(".") == use.version.count(".")
            and _numbers(tag) > _numbers(use.version)
        ),
        key=_numbers,
    )
    fitting = [tag for tag in newer if series(tag) == series(use.version) and not hold]
    notes = [
        f"{tag} ({listed[tag]}) is a new release, which needs a person's decision"
        for tag in newer[-1:]
        if tag not in fitting
    ]
    newest = fitting[-1] if fitting else ""
    finding = Finding(action, home, pinned, newest, notes=tuple(notes), held=hold)
    return finding, listed[newest] if newest else ""


def edit(text: str, action: str, commit: str, version: str) -> str:
    """Return the text of a workflow with another commit and version of an action."""

    def changed(match: re.Match[str]) -> str:
        if match["action"] != action:
            return match[0]
        comment = _VERSION.sub(version, match["comment"], count=1)
        return f"{match['begin']}{action}{match['path']}@{commit}{match['quote']} {comment}"

    return _USES.sub(changed, text)


def _uses(texts: Mapping[Path, str]) -> dict[str, list[Use]]:
    """Return the uses of each action; those of the checkout itself begin with ./ and are none."""
    found: dict[str, list[Use]] = {}
    for home, text in texts.items():
        for match in _USES.finditer(text):
            comment = match["comment"] or ""
            version = re.match(rf"#\s*({_VERSION.pattern})\b", comment)
            use = Use(home, match["commit"], version[1] if version else "", held(comment))
            found.setdefault(match["action"], []).append(use)
    return found


def _fault(action: str, uses: Iterable[Use]) -> str:
    """Return what is wrong with the uses of an action; an empty string if nothing is."""
    return next(iter(_faults(action, uses)), "")


def _faults(action: str, uses: Iterable[Use]) -> Iterator[str]:
    pairs = dict.fromkeys((use.commit, use.version) for use in uses)
    form = f"`uses: {action}@COMMIT # vVERSION`"
    for commit, version in pairs:
        if not re.fullmatch(r"[0-9a-f]{40}", commit):
            yield f"{commit} is no commit; the form is {form}"
        if not version:
            yield f"no comment names the version of {commit}; the form is {form}"
    if len(pairs) > 1:
        shown = " and ".join(f"{version} ({commit})" for commit, version in pairs)
        yield f"its uses differ: {shown}"


def _numbers(tag: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", tag))
