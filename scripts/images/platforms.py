"""The platforms that images are built for: the build machine's own, or a foreign one.

The bake variable PLATFORMS, which `--platform` sets, names them.
"""

import platform
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from scripts.buildkit import builder
from scripts.core.console import UserError
from scripts.engine import client, emulation, host

VARIABLE = "PLATFORMS"
"""The variable of docker-bake.hcl."""
KNOWN = ("linux/amd64", "linux/arm64")
"""The platforms for which docker/recipes/sdk/cross.sh knows a compiler."""
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
"""The architectures by the names that the kernels of Linux and macOS give them."""


class _Image(Protocol):
    """What `check` reads of a `catalogue.Image`."""

    @property
    def tag(self) -> str: ...
    @property
    def platforms(self) -> Collection[str]: ...


def native() -> str:
    """Return the platform of this machine, as buildx names it in BAKE_LOCAL_PLATFORM."""
    machine = platform.machine()
    return f"linux/{_MACHINES.get(machine, machine)}"


def requested(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the platforms that a build is for."""
    return tuple(filter(None, environment.get(VARIABLE, "").split(","))) or (native(),)


def architecture(name: str) -> str:
    """Return the architecture of a platform: `arm64` of `linux/arm64`."""
    return name.partition("/")[2].partition("/")[0]


def foreign(environment: Mapping[str, str]) -> list[str]:
    """Return the requested platforms that are not this machine's."""
    return [name for name in requested(environment) if name != native()]


def is_built_for(image: _Image, environment: Mapping[str, str]) -> bool:
    """Whether an image has a variant for all requested platforms."""
    return not image.platforms or set(requested(environment)) <= set(image.platforms)


def check(images: Iterable[_Image], environment: Mapping[str, str]) -> None:
    """Check that a build session can build images for the requested platforms.

    Raises:
        UserError: a platform is unknown, there are several, or an image does not have it.
    """
    names = requested(environment)
    if unknown := [name for name in names if name not in KNOWN]:
        raise UserError(
            "cannot build",
            f"`{unknown[0]}` is no known platform",
            f"The platforms are {' and '.join(KNOWN)}.",
        )
    if len(names) > 1:
        raise UserError(
            "cannot build for several platforms at once",
            "the engine's store has one platform for each tag",
            f"Build them one after the other, as with `--platform {names[-1]}`; "
            "`nox -s publish` pushes one index of both.",
        )
    for image in images:
        if not is_built_for(image, environment):
            raise UserError(
                f"cannot build {image.tag} for {names[0]}",
                f"it is for {' and '.join(image.platforms)} only",
                "docs/platforms.md lists the images of each platform, and the reasons.",
            )


def to_publish(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the platforms that images are published for, always in the same order.

    Raises:
        UserError: a platform is unknown, or this machine's own is not among several.
    """
    names = requested(environment)
    if names == (native(),):
        return names
    if unknown := [name for name in names if name not in KNOWN]:
        raise UserError(
            "cannot publish",
            f"`{unknown[0]}` is no known platform",
            f"The platforms are {' and '.join(KNOWN)}.",
        )
    if native() not in names:
        raise UserError(
            f"cannot publish images for {names[0]} alone",
            f"tags such as `cpu` would no longer be for {native()}",
            f"Name both, for one index of them: --platform {','.join(KNOWN)}.",
        )
    return tuple(name for name in KNOWN if name in names)


def runs(name: str) -> bool:
    """Return whether the engine runs programs for a platform, by itself or by an emulator."""
    if name == native():
        return True
    if client.require().local:
        return emulation.is_registered(architecture(name))
    return name in builder.require().platforms


def of_stages(environment: Mapping[str, str]) -> list[str]:
    """Return the platforms of a build's stages: this machine's, then foreign ones."""
    return [native(), *foreign(environment)]


def provide(environment: Mapping[str, str]) -> None:
    """Make sure that the builder can run the last steps of images for a foreign platform.

    Raises:
        UserError: it cannot, and no emulator can be installed here.
    """
    for name in foreign(environment):
        used = builder.require()
        if name in used.platforms:
            continue
        if not used.in_engine or not client.require().local:
            raise UserError(
                f"cannot build for {name}",
                f"the builder `{used.name}` runs no programs for it",
                "Register an emulator on its machine, as by `docker run --privileged --rm "
                f"tonistiigi/binfmt --install {architecture(name)}`, or add a node of that "
                "platform to the builder.",
            )
        emulation.install(architecture(name), host.probe())
