"""The images, as `docker buildx bake --print` lists them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from scripts.core.console import UserError
from scripts.dockerfile import bake
from scripts.images import platforms

NOT_REDISTRIBUTABLE = "LicenseRef-nonfree-not-redistributable"
"""The licence label of an image that must not be distributed; it covers all nonfree components."""


@dataclass(frozen=True)
class Image:
    """An image of docker-bake.hcl."""

    name: str
    """The bake target, which is also the id of its tests, such as `cpu`."""
    tag: str
    """The tag of the built image, such as `vmaf:cpu`."""
    dockerfile: str
    """The path of the Dockerfile, relative to the checkout."""
    stage: str
    """The stage of the Dockerfile."""
    labels: Mapping[str, str]
    provides: frozenset[str]
    """The capabilities of the image, including all capabilities of its parents."""
    platforms: Sequence[str] = ()
    """The platforms that the image is built for, such as `linux/arm64`; empty for the builder's."""

    @property
    def description(self) -> str:
        """The description label, one line."""
        return self.labels["org.opencontainers.image.description"]

    @property
    def entry(self) -> str:
        """The entry point according to its label; empty without the label."""
        return self.labels.get("vmaf.entry", "")

    @property
    def backends(self) -> frozenset[str]:
        """The compute backends of its libvmaf."""
        return frozenset(self.labels["vmaf.backends"].split())

    @property
    def redistributable(self) -> bool:
        """Whether its licence label allows others to have it."""
        return NOT_REDISTRIBUTABLE not in self.labels.get("org.opencontainers.image.licenses", "")

    @property
    def session(self) -> str:
        """The nox session that builds the image."""
        return f"build-{self.name}"


def read(printed: Mapping[str, Any]) -> dict[str, Image]:
    """Return the images in the JSON of `bake --print` by name. They are the targets with a tag."""
    targets: Mapping[str, Any] = printed["target"]

    def capabilities(name: str) -> frozenset[str]:
        labels = targets[name]["labels"]
        own = frozenset(labels["vmaf.provides"].split())
        parent = labels.get("vmaf.parent")
        return own | capabilities(parent) if parent else own

    return {
        name: Image(
            name=name,
            tag=target["tags"][0],
            dockerfile=target["dockerfile"],
            stage=target.get("target", ""),
            labels=target["labels"],
            platforms=target.get("platforms") or (),
            provides=capabilities(name),
        )
        for name, target in targets.items()
        if target.get("tags")
    }


@cache
def images() -> dict[str, Image]:
    """Return the images of docker-bake.hcl by name, in the order of the default group."""
    printed = bake.bake_print()
    by_name = read(printed)
    return {name: by_name[name] for name in printed["group"]["default"]["targets"]}


@cache
def of_platform(platform: str) -> dict[str, Image]:
    """Return the images that can be built for a platform, such as `linux/arm64`, by name.

    Their tags are those of builds with `--platform`. `platforms` of each has this one only.
    """
    printed = bake.bake_print(environment={**os.environ, platforms.VARIABLE: platform})
    return {name: image for name, image in read(printed).items() if platform in image.platforms}


def choose(names: Iterable[str]) -> list[Image]:
    """Return the named images, or if no name is given all that the requested platforms have.

    Raises:
        UserError: a name is not in the bake file; the message lists the valid names.
    """
    known = images()
    every = [name for name, image in known.items() if platforms.is_built_for(image, os.environ)]
    requested = list(dict.fromkeys(names)) or every
    for name in requested:
        if name not in known:
            listing = "\n".join(f"  {i.name:<14} {i.description}" for i in known.values())
            raise UserError("no such image", f"`{name}`", f"The images are:\n{listing}")
    return [known[name] for name in requested]


def tags(names: Iterable[str]) -> list[str]:
    """Return the tag of each image, which is given by its name in the bake file or by its tag.

    Raises:
        UserError: no image is named.
    """
    known = images()
    requested = [known[name].tag if name in known else name for name in names]
    if not requested:
        raise UserError(
            "cannot read an image",
            "none is named",
            f"Name a tag after --, or one of: {' '.join(known)}.",
        )
    return requested
