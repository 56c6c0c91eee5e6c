"""The list of properties that `nox -s verify-images -- --list` prints."""

from scripts.images.catalogue import Image
from tests.support import properties


def image(*capabilities: str) -> Image:
    """Return an image with these capabilities."""
    return Image("small", "vmaf:small", "Dockerfile", "final", {}, frozenset(capabilities))


def test_listing_has_the_tested_properties() -> None:
    """The list has each property that at least one of the images is tested for, and no other."""
    server = properties.listing([image("server")])
    assert "  user_is_vmaf\n      The user is vmaf, 1000:1000.\n" in server
    assert "test_server.py" in server
    assert "test_cuda.py" not in server
    both = properties.listing([image("server"), image("cuda", "vmaf")])
    assert "test_server.py" in both
    assert "CUDA (test_cuda.py)\n" in both


def test_listing_has_the_needs_of_a_property() -> None:
    """The list names the capabilities of the image and the GPU that a property needs."""
    listed = properties.listing([image("cuda", "ffmpeg", "vmaf")])
    assert "  gpu_check_finds_no_difference [cuda, ffmpeg, vmaf, nvidia GPU]\n" in listed
