"""Why the next build begins with empty caches: the last refused `nox -s cache -- load`."""

import msgspec
from msgspec import Struct

from scripts.core.paths import RECORDS

FILE = RECORDS / "cold.json"


class Refusal(Struct):
    """A load that was refused."""

    namespace: str
    """The namespace of the mounts that were not loaded; empty for the default one."""
    reason: str


def write(namespace: str, reason: str) -> None:
    """Record that a load was refused."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_bytes(msgspec.json.encode(Refusal(namespace, reason)))


def read(namespace: str) -> str:
    """Return the reason of a refused load in a namespace; empty if there is none."""
    try:
        refusal = msgspec.json.decode(FILE.read_bytes(), type=Refusal)
    except (OSError, msgspec.MsgspecError):
        return ""
    return refusal.reason if refusal.namespace == namespace else ""


def take(namespace: str) -> str:
    """Return the reason of a refused load in a namespace and forget it; empty if there is none."""
    reason = read(namespace)
    if reason:
        FILE.unlink()
    return reason
