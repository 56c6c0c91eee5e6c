"""The tags of a published image, which are computed from the built image.

They are in three groups:

- moving tags, such as `cpu` and `cpu-ffmpeg9.0`, name the newest image
- the release, such as `cpu-ffmpeg9.0.2-vmaf3.2.0-gf85a85369`, names the newest image with these
  releases, which may be on a newer base
- the dated tag has the time of its publication at its end, and always names the same image
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scripts.contents import inventory
from scripts.contents.archive import SavedImage
from scripts.core.console import UserError
from scripts.images.catalogue import NOT_REDISTRIBUTABLE

LATEST = "cpu"
"""The image that `latest` names, as it runs on any machine."""
_FORBIDDEN = re.compile(r"[^\w.-]")
_LONGEST = 128
"""The characters that a tag may have (OCI distribution specification)."""


@dataclass(frozen=True)
class Built:
    """An image as the engine has it."""

    name: str
    """The name in docker-bake.hcl, such as `cpu`."""
    labels: Mapping[str, str]
    versions: Mapping[str, Mapping[str, Any]]
    """The content of its versions.json: what it consists of, by component."""
    nonfree: Sequence[str] = ()
    """What of it must not be passed on, in words."""
    platform: str = ""
    """The platform in its configuration, such as `linux/arm64`."""

    @classmethod
    def read(cls, name: str, saved: SavedImage) -> "Built":
        """Return an image from its files."""
        config = saved.config
        return cls(
            name,
            config.get("config", {}).get("Labels") or {},
            json.loads(saved.read(inventory.VERSIONS)),
            [f"{item.name} ({item.nonfree})" for item in inventory.read(saved) if item.nonfree],
            f"{config['os']}/{config['architecture']}",
        )

    def version(self, component: str) -> str:
        """Return the version of a component as a part of a tag; empty if the image lacks it."""
        return _FORBIDDEN.sub("-", str(self.versions.get(component, {}).get("version", "")))

    @property
    def without(self) -> list[str]:
        """The features that FFmpeg was built without."""
        return self.labels.get("vmaf.without", "").split()


@dataclass(frozen=True)
class Tags:
    """The tags of an image."""

    moving: tuple[str, ...]
    release: str
    dated: str

    @property
    def all(self) -> tuple[str, ...]:
        """All tags, in the order in which they are moved: the one that never moves is the first."""
        return (self.dated, self.release, *self.moving)


def is_dated(tag: str, release: str) -> bool:
    """Return whether a tag is the dated tag of an image with these releases."""
    return bool(re.fullmatch(rf"{re.escape(release)}-\d{{8}}T\d{{4}}Z", tag))


def refusals(image: Built) -> list[str]:
    """Return why an image must not be published; nothing if it may be."""
    reasons = []
    if NOT_REDISTRIBUTABLE in image.labels.get("org.opencontainers.image.licenses", ""):
        reasons.append(f"it must not be passed on: {', '.join(image.nonfree) or 'its label'}")
    for name, entry in image.versions.items():
        if "lock" in entry:
            reasons.append(f"{entry.get('name', name)} is not what sources.lock has")
    revision = image.labels.get("org.opencontainers.image.revision", "")
    if not revision or revision.endswith("-dirty"):
        reasons.append("it was built of files that are not in a commit")
    return reasons


def tags(image: Built, when: datetime, *, default_ffmpeg: str) -> Tags:
    """Return the tags of an image.

    Args:
        image: the image.
        when: the time of its publication, in UTC.
        default_ffmpeg: the release of FFmpeg that is built by default, such as `9.0`.

    Raises:
        UserError: it says neither which FFmpeg nor which libvmaf it has, or a tag is too long.
    """
    series, ffmpeg = image.labels.get("vmaf.ffmpeg", ""), image.version("ffmpeg")
    libvmaf = image.version("libvmaf")
    if not libvmaf or bool(series) != bool(ffmpeg):
        raise UserError(
            f"cannot name vmaf:{image.name}",
            "its label and versions.json do not say which FFmpeg and libvmaf it has",
            "Build it with this project.",
        )
    base = "-".join([image.name, *(["without", *image.without] if image.without else [])])
    release = "-".join([base, *([f"ffmpeg{ffmpeg}"] if ffmpeg else []), f"vmaf{libvmaf}"])
    moving = [f"{base}-ffmpeg{series}"] if series else []
    if series in {"", default_ffmpeg}:
        moving.insert(0, base)
        if base == LATEST:
            moving.append("latest")
    named = Tags(tuple(moving), release, f"{release}-{when:%Y%m%dT%H%MZ}")
    if len(named.dated) > _LONGEST:
        raise UserError(
            f"cannot name vmaf:{image.name}",
            f"a tag would have {len(named.dated)} characters, and may have {_LONGEST}",
            "Leave out fewer features (FFMPEG_WITHOUT).",
        )
    return named
