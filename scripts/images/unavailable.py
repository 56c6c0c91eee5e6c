"""Images that cannot be built any more, as nothing has the files that the lock names.

With VMAF_LOCK=accept, as in CI, a build skips such images and builds the others, and the tests skip
them with the reason. An example is vmaf:rocm6 where Debian has HIP 7 only and its archive is out of
reach; vmaf:rocm7 is still built.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from scripts.buildkit.progress import Outcome
from scripts.core import files
from scripts.core.paths import RECORDS
from scripts.dockerfile import bake

FILE = RECORDS / "unavailable.json"
_MESSAGE = re.compile(r"locked\.sh: (neither .+)")
"""The last line of locked.sh if it cannot fetch a file, or what a package depends on."""


def reasons(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return why images cannot be built, by tag; nothing unless VMAF_LOCK=accept."""
    return _read() if environment.get("VMAF_LOCK") == "accept" else {}


def _read() -> dict[str, str]:
    if not FILE.exists():
        return {}
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, str])


def write(skipped: Mapping[str, str], built: Collection[str] = ()) -> None:
    """Record the images that a build skipped, and forget those that it built.

    Args:
        skipped: the reasons by tag.
        built: the tags.
    """
    with files.locked(FILE):
        kept = {tag: reason for tag, reason in _read().items() if tag not in built}
        files.replace(FILE, msgspec.json.encode({**kept, **skipped}).decode())


def skipped(outcome: Outcome, targets: Collection[str]) -> dict[str, str]:
    """Return the requested targets that a failed build cannot build, each with the reason.

    There are none if the build failed for another reason.

    Args:
        outcome: the outcome of the build.
        targets: the requested targets.
    """
    step = outcome.build.failed
    found = next((m[1] for line in step.tail if (m := _MESSAGE.match(line))), "") if step else ""
    if not step or not found:
        return {}
    declared = bake.bake_print(*targets)["target"]
    failed = set(step.targets or targets)
    return {name: found for name in targets if failed & {name, *_needed(name, declared)}}


def _needed(name: str, declared: Mapping[str, Any]) -> Iterator[str]:
    """Yield the targets that a target uses as named contexts, and theirs."""
    for context in declared[name].get("contexts", {}).values():
        if context.startswith("target:"):
            used = context.removeprefix("target:")
            yield used
            yield from _needed(used, declared)
