"""The output of `docker buildx bake --print` for a small bake file."""

from collections.abc import Mapping
from typing import Any

from scripts.core.paths import ROOT
from scripts.images.catalogue import Image


def definitions() -> str:
    """Return the variables and functions of docker-bake.hcl, which its overlays use, too."""
    return (ROOT / "docker-bake.hcl").read_text().partition("_args = {")[0]


def target(name: str, provides: str, parent: str = "") -> Mapping[str, Any]:
    """Return a target in the format of `bake --print`."""
    labels = {
        "org.opencontainers.image.description": f"the {name} image",
        "vmaf.backends": "cpu cuda",
        "vmaf.provides": provides,
    }
    return {
        "dockerfile": "Dockerfile",
        "target": f"final-{name}",
        "tags": [f"vmaf:{name}", f"vmaf:{name}-again"],
        "labels": {**labels, **({"vmaf.parent": parent} if parent else {})},
    }


PRINTED = {
    "target": {
        "stage": {"dockerfile": "Dockerfile", "labels": {}},
        "cpu": target("cpu", "vmaf ffmpeg"),
        "cuda": target("cuda", "cuda", "cpu"),
        "dev": target("dev", "compilers", "cuda"),
    }
}


def small_image(name: str) -> Image:
    """Return an image with a capability that no other image has."""
    labels = {"org.opencontainers.image.description": f"the {name} image", "vmaf.backends": "cpu"}
    provides = frozenset({"vmaf", f"only-{name}"})
    return Image(name, f"vmaf:{name}", "Dockerfile", f"final-{name}", labels, provides)
