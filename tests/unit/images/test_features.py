"""Which features of a libvmaf tree are built in which images, and what is said about the others."""

import pytest

from scripts.images import features
from scripts.images.catalogue import Image


def image(name: str, backends: str, *provides: str) -> Image:
    """Return an image whose label has these backends, with these capabilities."""
    return Image(name, f"vmaf:{name}", "", "", {"vmaf.backends": backends}, frozenset(provides))


IMAGES = {
    known.name: known
    for known in (
        image("cpu", "cpu"),
        image("cuda12", "cpu cuda", "cuda"),
        image("rocm6", "cpu", "hip"),
        image("vulkan", "cpu", "vulkan"),
        image("oneapi2026", "cpu", "sycl"),
        image("dev", "cpu cuda", "cuda", "hip", "sycl", "vulkan"),
    )
}


def left_out(names: str, offered: str, base_source: str = "registry") -> list[str]:
    """Return the messages for a build of images from a tree with these features."""
    images = [IMAGES[name] for name in names.split()]
    return list(features.left_out(images, offered.split(), base_source, IMAGES))


@pytest.mark.parametrize("name", ["dnn", "mcp", "metal"])
def test_feature_of_no_image_is_left_out_with_a_reason(name: str) -> None:
    """A feature that no image has is left out of all images, with the reason."""
    (message,) = left_out("cpu vulkan dev", f"cpu {name}")
    assert message.startswith(f"libvmaf's enable_{name} is left out: ")
    assert message.endswith(features.FEATURES[name].left_out)
    assert features.FEATURES[name].left_out


@pytest.mark.parametrize(
    ("images", "offered", "expected"),
    [
        ("cpu cuda12", "cpu cuda", []),
        ("cpu rocm6 vulkan", "cpu hip vulkan", []),
        ("cpu", "cpu cuda", ["enable_cuda is left out of vmaf:cpu: it is built in cuda12, dev"]),
        ("cpu", "cpu hip", ["enable_hip is left out of vmaf:cpu: it is built in rocm6"]),
        (
            "vulkan dev",
            "cpu vulkan",
            ["enable_vulkan is left out of vmaf:dev: it is built in vulkan"],
        ),
        ("cpu", "cpu", []),
        ("cpu", "", []),
    ],
)
def test_backend_is_left_out_of_images_that_are_not_for_it(
    images: str, offered: str, expected: list[str]
) -> None:
    """A backend is reported if no image has it, or for an image that is for its devices."""
    assert left_out(images, offered) == [f"libvmaf's {message}" for message in expected]


def test_sycl_needs_the_compiler_in_the_vendor_image() -> None:
    """SYCL is left out without Intel's image, and built in the image for it with Intel's image."""
    (message,) = left_out("oneapi2026", "cpu sycl")
    assert message == "libvmaf's enable_sycl is left out: its compiler needs VMAF_BASES=vendor"
    assert left_out("oneapi2026", "cpu sycl", "vendor") == []
