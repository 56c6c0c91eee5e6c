"""Ask BuildKit's database of cache keys about steps that ran although nothing recorded changed.

A buildkitd from 0.24 keeps it with `--save-cache-debug` and lists it at
`http://DEBUG_ADDRESS/debug/cache/all`. It has the definition of every RUN that has a key, with all
variables, but neither the paths of files nor times; those are in the records of the builds.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from msgspec.structs import replace

from scripts.causes.explain import Explanation
from scripts.core.console import UserError

VARIABLE = "VMAF_CACHE_KEYS"
"""The environment variable with the address of the database."""

_SECONDS = 5.0
_EXEC = "buildkit.exec.v0"


def fetch(address: str) -> str:
    """Return the database as text.

    Raises:
        UserError: the address is not of HTTP, or nothing answers there within 5 seconds.
    """
    reason: object = "it is no http:// address"
    if address.startswith(("http://", "https://")):
        try:
            with urlopen(address, timeout=_SECONDS) as answer:  # noqa: S310 (the scheme is checked)
                return str(answer.read().decode(errors="replace"))
        except HTTPError as error:
            error.close()
            reason = error
        except OSError as error:
            reason = error
    raise UserError(
        "cannot read BuildKit's database of cache keys",
        f"{VARIABLE} is {address}: {reason}",
        "Start buildkitd with --save-cache-debug and --debugaddr, and set it to "
        "http://DEBUG_ADDRESS/debug/cache/all; or unset it.",
    )


def definitions(text: str) -> dict[str, list[dict[str, Any]]]:
    """Return the different definitions of each RUN in the database, by its command."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in text.splitlines():
        data = line.strip().removeprefix("data: ")
        if _EXEC not in data:
            continue
        definition = json.loads(data)
        known = found.setdefault(_plain(definition["Exec"]["meta"]["args"][-1]), [])
        if definition not in known:
            known.append(definition)
    return found


def confirm(explanation: Explanation, text: str) -> Explanation:
    """Return an explanation in which lost results have what the database says about them."""
    known = definitions(text)
    steps = [
        replace(
            step,
            causes=[
                replace(cause, detail=_verdict(known.get(_command(step.instruction), [])))
                if cause.kind == "cache" and step.instruction.startswith("RUN ")
                else cause
                for cause in step.causes
            ],
        )
        for step in explanation.steps
    ]
    return replace(explanation, steps=steps)


def _verdict(found: list[dict[str, Any]]) -> str:
    """Return what the definitions of a step in the database say about its lost result."""
    if not found:
        return "BuildKit's database does not have the step"
    if len(found) == 1:
        return "BuildKit's database has a single definition of it"
    flat = [dict(_flat(definition)) for definition in found]
    keys = sorted({name for each in flat for name in each})
    differing = [name for name in keys if len({each.get(name) for each in flat}) > 1]
    names = ", ".join(differing)
    return f"BuildKit's database has {len(found)} definitions, which differ in {names}"


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of a definition by their names; a variable by its own name."""
    for name, item in value.items():
        if name == "env":
            yield from (assignment.partition("=")[::2] for assignment in item)
        elif isinstance(item, dict):
            yield from _flat(item, f"{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(item)


def _command(instruction: str) -> str:
    return _plain(re.sub(r"^RUN( --\w+=\S+)*", "", instruction))


def _plain(text: str) -> str:
    return " ".join(text.split())
