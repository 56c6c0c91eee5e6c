"""The files of an image that the project built, for the comparison with a cold build."""

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from scripts.contents import listing
from scripts.contents.archive import SavedImage, saved_image
from scripts.contents.listing import Entry

VERSIONS = "/usr/local/share/vmaf/versions.json"


def of_image(tag: str) -> dict[str, Entry]:
    """Return the project's files in an image of the engine.

    Raises:
        UserError: the engine has no such image, or cannot save it.
    """
    with saved_image(tag) as (_, saved):
        return of_saved(saved)


def of_saved(saved: SavedImage) -> dict[str, Entry]:
    """Return the project's files in a saved image.

    versions.json has the digest of libvmaf's tree, in which each build has a new file so that the
    steps which compile it run again. That digest is left out.
    """
    entries = listing.read(saved)
    own = {path: entry for path, entry in entries.items() if entry.owner == "project"}
    document = json.loads(saved.read(VERSIONS))
    document["libvmaf"].pop("digest", None)
    text = json.dumps(document, sort_keys=True)
    digest = sha256(text.encode()).hexdigest()
    own[VERSIONS] = replace(own[VERSIONS], size=len(text), sha256=digest, parts={})
    return own


def differences(a: Mapping[str, Entry], b: Mapping[str, Entry]) -> list[str]:
    """Return the files that differ, each with what differs."""
    return [
        f"{one.path}: {one.what}{one.why and f' ({one.why})'}" for one in listing.differences(a, b)
    ]
