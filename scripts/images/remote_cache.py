"""The remote cache of the compile steps: docker/compiler-cache/src/remote.py in the container.

Its address may contain passwords, so no message here repeats any part of it.
"""

import uuid
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from scripts.core.console import UserError

VARIABLE = "VMAF_REMOTE_CACHE"
"""The environment variable with the address."""
SCHEMES = ("redis", "rediss", "http", "https", "s3")
ATTRIBUTES = ("read-only", "key", "region", "token", "endpoint")
KEY_LENGTH = 16
"""The shortest key in characters."""
LARGEST = 500 * 1024
"""The largest secret that BuildKit passes, in bytes."""


def secret(address: str, bundle: Path | None) -> str:
    """Return the secret of a build: the address, an id of the build, and what TLS trusts.

    The steps of a build tell each other by the id that the store does not answer. The images that
    compile have no certificates.

    Args:
        address: the value of `VARIABLE`.
        bundle: the host's CA bundle.

    Raises:
        UserError: the address is not usable.
    """
    if fault := _fault(address):
        raise UserError(
            "cannot use the remote cache",
            f"the address in {VARIABLE} {fault}",
            f"Correct or unset {VARIABLE}; docs/caching.md#remote-cache has examples.",
        )
    lines = f"{address.strip()}\nbuild {uuid.uuid4().hex}\n"
    certificates = bundle.read_text(errors="replace") if bundle else ""
    uses_tls = address.startswith(("rediss:", "https:", "s3:"))
    return lines + (certificates if uses_tls and len(certificates) < LARGEST - len(lines) else "")


def _fault(address: str) -> str:
    """Return what is wrong with an address; empty if nothing is."""
    if len(address.split()) != 1:
        return "contains white space"
    try:
        url = urlsplit(address)
        attributes = dict(parse_qsl(url.query, keep_blank_values=True))
        endpoint = urlsplit(attributes.get("endpoint", ""))
        _ = (url.port, endpoint.port)  # out of range, or no number
    except ValueError:
        return "is not a URL"
    schemes = ", ".join(f"{scheme}://" for scheme in SCHEMES)
    bucket = url.path.strip("/") or endpoint.hostname
    checks = {
        f"begins with none of {schemes}": url.scheme in SCHEMES,
        "names no host": url.hostname,
        "names no bucket": url.scheme != "s3" or bucket,
        f"has attributes other than {', '.join(ATTRIBUTES)}": not set(attributes) - set(ATTRIBUTES),
        f"has a key of less than {KEY_LENGTH} characters": (
            len(attributes.get("key", "x" * KEY_LENGTH)) >= KEY_LENGTH
        ),
    }
    return next((fault for fault, holds in checks.items() if not holds), "")
