"""Ask the index of crates.io what it has now of the crate in the lock."""

import json
import tomllib
import urllib.request
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from scripts.core.console import UserError
from scripts.lock.offers import Offer, Offers
from scripts.lock.sources_lock import CRATES, File

INDEX = "https://index.crates.io/"
SECONDS = 60
"""The timeout for the index, in seconds."""


def ask(files: Sequence[File], environment: Mapping[str, str]) -> Offers:
    """Return the newest releases of crates that are compatible with the locked ones.

    Args:
        files: the crates of the part.
        environment: the environment variables of the user; CARGO_HOME is the directory of cargo's
            settings, which may replace the index.

    Raises:
        UserError: the index cannot be read.
    """
    index = _index(environment)
    return read(files, {file.path: _fetch(index + path_of(file.path)) for file in files})


def address(file: File, environment: Mapping[str, str]) -> str:
    """Return the URL of a crate, which the settings of the index determine.

    Args:
        file: the crate.
        environment: as for `ask`.

    Raises:
        UserError: the settings of the index cannot be read.
    """
    url = _index(environment) + "config.json"
    try:
        template: str = json.loads(_fetch(url))["dl"]
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(url, str(error)) from error
    if "{" not in template:  # as in cargo's documentation of indexes
        template += "/{crate}/{version}/download"
    values = {
        "{crate}": file.path,
        "{version}": file.version,
        "{sha256-checksum}": file.sha256,
        "{lowerprefix}": path_of(file.path).rpartition("/")[0],
    }
    for name, value in values.items():
        template = template.replace(name, value)
    return template


def _index(environment: Mapping[str, str]) -> str:
    """Return the URL of the index that the user's cargo uses.

    Raises:
        UserError: cargo's settings are damaged, or the index is not a sparse one.
    """
    home = Path(environment.get("CARGO_HOME") or Path.home() / ".cargo")
    settings = home / "config.toml"
    return index_of(settings.read_text()) if settings.is_file() else INDEX


def index_of(settings: str) -> str:
    """Return the URL of the index that cargo uses for crates.io, according to its settings.

    Raises:
        UserError: the settings are damaged, or the index is not a sparse one.
    """
    try:
        sources: Mapping[str, Any] = tomllib.loads(settings).get("source", {})
    except tomllib.TOMLDecodeError as error:
        raise _unreadable("cargo's settings", str(error)) from error
    name, seen = CRATES.replace(".", "-"), set[str]()
    while (source := sources.get(name, {}).get("replace-with")) and source not in seen:
        seen.add(source)
        name = source
    registry: str = sources.get(name, {}).get("registry", f"sparse+{INDEX}")
    if not registry.startswith("sparse+https://"):
        raise _unreadable(f"the index {registry}", "only a sparse index over HTTPS is supported")
    return registry.removeprefix("sparse+").rstrip("/") + "/"


def path_of(crate: str) -> str:
    """Return the path of a crate in a sparse index, such as vm/af/vmaf-head-sys."""
    name = crate.lower()
    if len(name) <= 3:  # noqa: PLR2004 (short names have directories of their own)
        return "/".join([str(len(name)), *([name[0]] if len(name) == 3 else []), name])  # noqa: PLR2004
    return f"{name[:2]}/{name[2:4]}/{name}"


def read(files: Sequence[File], texts: Mapping[str, str]) -> Offers:
    """Return the releases in the index.

    Args:
        files: the crates of the part.
        texts: the lines of the index by crate, each a release.

    Raises:
        UserError: a line of the index is damaged.
    """
    offered: dict[str, Offer] = {}
    gone: list[str] = []
    notes: list[str] = []
    for file in files:
        try:
            releases = [
                Offer(release["vers"], release["cksum"], file.path)
                for release in map(json.loads, texts[file.path].splitlines())
                if not release["yanked"] and "-" not in release["vers"]
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(f"the index entry of {file.path}", str(error)) from error
        releases.sort(key=lambda offer: offer.order)
        locked = _compatibility(file.version)
        fitting = [offer for offer in releases if _compatibility(offer.version) == locked]
        if fitting:
            offered[file.name] = fitting[-1]
        else:
            gone.append(f"{file.path} {file.version}, nor a release that is compatible with it")
        if releases and releases[-1] not in fitting:
            newest = releases[-1].version
            notes.append(f"{newest} is a new release, which is not compatible with the locked one")
    missing = f"{CRATES} no longer has {', '.join(gone)}" if gone else ""
    return Offers(CRATES, offered, missing, tuple(notes))


def _compatibility(version: str) -> tuple[str, ...]:
    """Return the components of a version up to the first that is not 0; cargo compares these."""
    components = version.partition("+")[0].split(".")
    zeros = len(list(takewhile(lambda component: component == "0", components)))
    return tuple(components[: zeros + 1])


def _fetch(url: str) -> str:
    """Return the text at an HTTPS address.

    Raises:
        UserError: the server does not answer with the file.
    """
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 (always HTTPS)
            text: str = answer.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(url, str(error)) from error
    return text


def _unreadable(what: str, why: str) -> UserError:
    return UserError(
        f"cannot read {what}",
        why,
        "The index must be reachable; config.toml in CARGO_HOME can replace it.",
    )
