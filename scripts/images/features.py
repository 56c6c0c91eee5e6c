"""The features of libvmaf that options `enable_NAME` of a `--libvmaf` tree name.

Each is built in the images that are for it, or left out with a reason, which the build prints.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scripts.images.catalogue import Image


class Replacement(NamedTuple):
    """How an image gets a feature."""

    stage: str
    """The stage of the main Dockerfile that is replaced."""
    target: str
    """The bake target that replaces it."""


@dataclass(frozen=True)
class Feature:
    """What happens to a feature of libvmaf."""

    images: Mapping[str, Replacement] = field(default_factory=dict)
    """The images that get it if the tree has it."""
    left_out: str = ""
    """Why no image is built with it; empty for a backend."""
    bases: str = ""
    """The base source that it needs, a key of `bases.OVERLAYS`; empty if it needs none."""

    def available(self, base_source: str) -> bool:
        """Return whether it can be built with a base source."""
        return not self.left_out and self.bases in ("", base_source)


FEATURES = {
    "cuda": Feature(),  # in the images whose label names it, from any tree
    "hip": Feature(
        {
            "rocm6": Replacement("libvmaf-rocm", "libvmaf-hip"),
            "rocm7": Replacement("libvmaf-rocm", "libvmaf-hip7"),
        }
    ),
    "sycl": Feature(
        {"oneapi2026": Replacement("libvmaf-oneapi2026", "libvmaf-sycl")}, bases="vendor"
    ),
    "vulkan": Feature({"vulkan": Replacement("libvmaf-vulkan", "libvmaf-vulkan")}),
    "dnn": Feature(left_out="ONNX Runtime would add 75 MB to each image"),
    "mcp": Feature(left_out="no program of the images starts its server"),
    "metal": Feature(left_out="it is for macOS"),
}
"""The features by name. libvmaf.sh has the same names, in the same order."""


def replaced(offered: Collection[str], base_source: str) -> Iterator[tuple[str, Replacement, str]]:
    """Yield the image, the replacement and the feature of each stage of libvmaf to replace.

    Args:
        offered: the features that the tree offers.
        base_source: a key of `bases.OVERLAYS`.
    """
    for name, feature in FEATURES.items():
        if name in offered and feature.available(base_source):
            for image, replacement in feature.images.items():
                yield image, replacement, name


def left_out(
    images: Collection[Image],
    offered: Collection[str],
    base_source: str,
    catalogue: Mapping[str, Image],
) -> Iterator[str]:
    """Yield a message for each feature that the tree offers and that is left out of the images.

    A backend is reported if an image that is for its devices lacks it, such as vmaf:dev without
    HIP, or if none of the images has it.

    Args:
        images: the images to build.
        offered: the features that the tree offers.
        base_source: a key of `bases.OVERLAYS`.
        catalogue: all images by name.
    """
    for name, feature in FEATURES.items():
        if name not in offered:
            continue
        option = f"libvmaf's enable_{name} is left out"
        if feature.left_out:
            yield f"{option}: {feature.left_out}"
        elif not feature.available(base_source):
            yield f"{option}: its compiler needs VMAF_BASES={feature.bases}"
        else:
            homes = _homes(name, feature, catalogue)
            lacking = [image for image in images if image.name not in homes]
            if len(lacking) < len(images):
                lacking = [image for image in lacking if name in image.provides]
            if lacking:
                tags = ", ".join(image.tag for image in lacking)
                yield f"{option} of {tags}: it is built in {', '.join(homes)}"


def _homes(name: str, feature: Feature, catalogue: Mapping[str, Image]) -> Sequence[str]:
    """Return the names of the images that a backend is built in."""
    return [
        image.name
        for image in catalogue.values()
        if name in image.backends or image.name in feature.images
    ]
