"""What differs between a step and the same step in an earlier build."""

import re
from collections import Counter
from collections.abc import Iterator
from textwrap import shorten

from msgspec import Struct

from scripts.causes.graph import Fact, Node, files_below

GENERATED = "source.json"
"""The file that describes a source tree: it differs whenever the tree does."""

_SHORT = {
    "instruction": "instruction",
    "base": "base",
    "from": "FROM",
    "builder": "another builder",
    "cache": "not in the cache",
    "new": "new",
    "needed": "needed now",
    "failed": "failed before",
}
_LONG = {
    "file": "{}",
    "argument": "the build argument {}",
    "setting": "the setting {} of the stage",
    "packages": "the packages in {}",
    "instruction": "the instruction in {}",
    "base": "the base image {}",
    "context": "where {} comes from",
    "from": "the FROM of the stage",
    "builder": "another builder, {}, which has no result in its cache",
    "cache": "nothing that is recorded: the cache has no result any more",
    "new": "the first recorded build of {}",
    "needed": "the result is needed now, and no build before needed it",
    "failed": "it failed in the build before",
}
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*(/\w+)?(=\S+)?")
_SHOWN_WORDS = 4
_SHOWN_CHARACTERS = 40


class Cause(Struct, frozen=True, omit_defaults=True):
    """Why a step ran."""

    kind: str
    """`file`, `argument`, `setting`, `packages`, `instruction`, `base`, `context` or `from` if
    that changed; `builder` or `cache` if nothing did; `new`, `needed` or `failed` if the step ended
    in no build before."""
    name: str = ""
    """The path in its context, the variable, the Dockerfile with the line, the image."""
    detail: str = ""
    """The values before and now, or the words that differ."""
    context: str = ""
    """The named context that has the file; empty for the checkout."""

    @property
    def short(self) -> str:
        """The cause in a few words, for a table."""
        if self.kind == "packages":
            return self.detail
        return _SHORT.get(self.kind, self.name)

    def __str__(self) -> str:
        """Return the cause in one line."""
        where = f" in {self.context}" if self.context else ""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{_LONG[self.kind].format(self.name)}{where}{detail}"


def differences(before: Node, now: Node) -> list[Cause]:
    """Return what a step reads that changed, in the order in which it reads it."""
    earlier = {_identity(fact): fact for fact in before.facts}
    present = {_identity(fact) for fact in now.facts}
    moved = {
        fact.name
        for fact in now.facts
        if fact.kind == "context" and earlier.get(_identity(fact), fact) != fact
    }
    causes: dict[Cause, None] = {}
    for fact in now.facts:
        old = earlier.get(_identity(fact))
        is_new_reading = old is None and fact.kind in {"files", "context", "from"}
        if fact == old or is_new_reading or (fact.kind == "files" and fact.name in moved):
            continue  # the text of the instruction says what it reads
        causes.update(dict.fromkeys(_causes(now, fact, old)))
    for identity, fact in earlier.items():
        if identity not in present and fact.kind in {"argument", "setting"}:
            causes[Cause(fact.kind, fact.name, f"{_value(fact)} before, not set now")] = None
    # The description of a source tree is a cause only if nothing else of the tree differs.
    edited = {cause.context for cause in causes if cause.kind == "file" and cause.name != GENERATED}
    return [cause for cause in causes if cause.name != GENERATED or cause.context not in edited]


def _identity(fact: Fact) -> tuple[str, str, str]:
    path = fact.value.partition(":")[2] if fact.kind == "files" else ""
    return fact.kind, "" if fact.kind == "instruction" else fact.name, path


def _value(fact: Fact) -> str:
    return shorten(fact.value, _SHOWN_CHARACTERS, placeholder="...")


def _causes(now: Node, fact: Fact, old: Fact | None) -> Iterator[Cause]:
    """Yield the causes of a fact that is not what it was."""
    if fact.kind == "files" and old:
        yield from _changed_files(fact, old)
    elif fact.kind == "instruction" and old:
        yield _edited(now, old.value)
    elif fact.kind == "base" and old:
        if old.value and fact.value:  # the digest is known of both
            yield Cause("base", fact.name, f"{old.value[:19]} to {fact.value[:19]}")
    else:
        values = (f"{_value(old)} to " if old else "not set before, now ") + _value(fact)
        yield Cause(fact.kind, fact.name, values)


def _changed_files(now: Fact, before: Fact) -> Iterator[Cause]:
    """Yield the files that were edited, added or removed."""
    files, earlier = (files_below(*fact.value.partition(":")[::2]) for fact in (now, before))
    if files is None or earlier is None:
        if now.value != before.value:
            path = now.value.partition(":")[2] or "."
            yield Cause("file", path, "the digests of the build before were removed", now.name)
        return
    for path in sorted({*files, *earlier}):
        if files.get(path) == earlier.get(path):
            continue
        modes = [entries.get(path, "").partition(" ") for entries in (earlier, files)]
        detail = ""
        if path not in earlier:
            detail = "added"
        elif path not in files:
            detail = "removed"
        elif modes[0][2] == modes[1][2]:
            detail = f"mode {modes[0][0]} to {modes[1][0]}"
        yield Cause("file", path, detail, now.name)


def in_instruction(node: Node, detail: str, kind: str = "instruction") -> Cause:
    """Return a cause that is in the text of a Dockerfile."""
    return Cause(kind, f"{node.instruction.file}:{node.instruction.line}", detail)


def _edited(node: Node, before: str) -> Cause:
    """Return the cause of an edited instruction, with the words that differ."""
    words, earlier = (Counter(text.replace("\\\n", " ").split()) for text in (node.text, before))
    added, removed = words - earlier, earlier - words
    shown = [f"+{word}" for word in added] + [f"-{word}" for word in removed]
    more = f" and {len(shown) - _SHOWN_WORDS} more" if len(shown) > _SHOWN_WORDS else ""
    detail = " ".join(shown[:_SHOWN_WORDS]) + more if shown else "spacing or order"
    installs = re.search(r"\binstall\b", node.text) and re.search(r"\binstall\b", before)
    packages = installs and shown and all(map(_PACKAGE.fullmatch, [*added, *removed]))
    return in_instruction(node, detail, "packages" if packages else "instruction")
