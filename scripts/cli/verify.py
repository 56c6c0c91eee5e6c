"""`nox -s verify-images`, `tests` and `mutants`: test the images that the engine has.

The option `--list` lists the properties. The session builds no image; it reports and skips missing
images.
"""

import shutil
from argparse import Namespace
from collections.abc import Sequence
from tempfile import gettempdir

import pytest

from scripts.core import clips
from scripts.core.console import UserError, say
from scripts.engine import client
from scripts.images import catalogue
from scripts.images.sizes import GIGABYTE

SUITES = {
    "images": ["tests/images"],
    "mutants": ["tests/mutants", "--table"],
    "all": [
        "tests/unit",
        "docker/compiler-cache/tests",
        "tests/builder",
        "tests/images",
        "tests/server",
        "tests/mutants",
    ],
}
"""The arguments of pytest for the sessions `verify-images`, `mutants` and `tests`."""


def parse_substitutes(pairs: Sequence[str]) -> dict[str, str]:
    """Parse `--as NAME=TAG` options into the tag to test for each image.

    Raises:
        UserError: a pair is malformed, or its image is not in the bake file.
    """
    tags = {}
    for pair in pairs:
        name, equals, tag = pair.partition("=")
        if not (name and equals and tag):
            raise UserError(
                "cannot read --as", f"`{pair}` is not NAME=TAG", "Example: --as cpu=mine:1"
            )
        catalogue.choose([name])
        tags[name] = tag
    return tags


def check_disk(images: Sequence[int]) -> None:
    """Check that the layers of all images fit in the temporary directory.

    The engine stores another copy of the image that it saves, by default on the same disk.

    Args:
        images: the sizes of the images in bytes.

    Raises:
        UserError: there is not enough free space.
    """
    needed = sum(images) + max(images)
    free = shutil.disk_usage(gettempdir()).free
    if free < needed:
        raise UserError(
            "not enough disk space to read the images",
            f"{free / GIGABYTE:.1f} GB are free in {gettempdir()}, and these images need up to "
            f"{needed / GIGABYTE:.1f} GB",
            "`docker image prune` removes untagged images, TMPDIR sets another directory, and "
            "`nox -s verify-images -- cpu` tests one image.",
        )


def run(options: Namespace) -> int:
    """Test the chosen images and return pytest's exit code.

    Raises:
        UserError: no engine answers, or it has none of the images.
    """
    substitutes = parse_substitutes(options.as_images)
    images = catalogue.choose(options.images or substitutes)
    chosen = [f"--image={image.name}" for image in images]
    if options.list_properties:
        return int(pytest.main(["tests/images", "--list", *chosen]))
    client.require()
    tags = [substitutes.get(image.name, image.tag) for image in images]
    present = [tag for tag in tags if client.has_image(tag)]
    if not present:
        sessions = " ".join(image.session for image in images)
        raise UserError(
            "no image to verify",
            f"none of {', '.join(tags)} is built",
            f"Run `nox -s {sessions}`.",
        )
    check_disk([client.image_bytes(tag) for tag in present])
    clips.real_clip()
    say(f"verifying {', '.join(present)}")

    arguments = [*SUITES[options.suite], *chosen]
    arguments += [f"--as={pair}" for pair in options.as_images]
    arguments += [f"--require={options.require}"] if options.require else []
    arguments += ["-k", options.k] if options.k else []
    arguments += ["-m", options.m] if options.m else []
    arguments += ["-x"] if options.x else []
    return int(pytest.main(arguments))
