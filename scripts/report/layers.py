"""Read the layers of the images from the engine: names, sizes and instructions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from scripts.buildkit.records import BuildRecord
from scripts.core import process
from scripts.images import catalogue


@dataclass(frozen=True)
class Layer:
    """A layer of an image."""

    name: str
    size: int
    """In bytes."""
    made_by: str
    """The instruction, as in `docker history`."""


class _History(msgspec.Struct, rename="pascal"):
    """One line of `docker history --human=false --format='{{json .}}'`."""

    created_by: str
    size: str


def built_layers(
    images: Iterable[catalogue.Image], builds: Sequence[BuildRecord]
) -> dict[str, list[Layer]]:
    """Return the layers of each image that the engine has, by tag."""
    layers = {}
    for image in images:
        options = ("--no-trunc", "--human=false", "--format={{json .}}")
        if history := process.output("docker", "history", *options, image.tag):
            stages = (stage for build in reversed(builds) for stage in build.stages)
            steps = next((stage.steps for stage in stages if stage.name == image.stage), {})
            layers[image.tag] = read_history(history, steps)
    return layers


def read_history(history: str, steps: Iterable[str] = ()) -> list[Layer]:
    """Return the layers in the output of `docker history`, the base first.

    The history does not contain the stage that an instruction copies from. `steps`, the steps of
    the image's stage, do: a layer gets the name of that stage if they are given.
    """
    sources: dict[str, list[str]] = {}
    for step in sorted(steps, key=_number):
        tokens = step.partition(" ")[2].split()
        source = next((token for token in tokens if token.startswith("--from=")), "")
        instruction = " ".join(token for token in tokens if token != source)
        sources.setdefault(instruction, []).append(source.removeprefix("--from="))
    layers = []
    for line in reversed(history.splitlines()):
        entry = msgspec.json.decode(line, type=_History)
        made_by = " ".join(entry.created_by.removesuffix("# buildkit").split())
        source = (sources.get(made_by) or [""]).pop(0)
        if size := int(entry.size):
            layers.append(Layer(source or _name(made_by), size, made_by))
    return layers


def _number(step: str) -> int:
    """Return the number of a step such as `3/4 RUN make`."""
    number = step.partition("/")[0]
    return int(number) if number.isdigit() else 0


def _name(made_by: str) -> str:
    if "/rootfs-" in made_by or made_by.startswith("COPY / /"):
        return "base"
    if "apt.sh install" in made_by or "workbench.sh" in made_by:
        return "packages"
    tokens = made_by.split()
    if tokens[:1] == ["COPY"] and len(tokens) > 2:  # noqa: PLR2004
        return tokens[-2]
    return made_by.partition(" /bin/sh -c ")[2] or made_by
