"""Check the built images: `nox -s verify-images`.

Whoever changes a Dockerfile runs this to know that what the images promise
still holds; docs/verify.md lists it. It tests what the engine has, says what
it has not, and never builds.
"""

import subprocess
from collections.abc import Sequence

import pytest

from scripts import clips, engine, matrix, options
from scripts.console import UserError, say, start


def is_built(tag: str) -> bool:
    """Whether the engine has the image."""
    inspect = ["docker", "image", "inspect", tag]
    return subprocess.run(inspect, capture_output=True, check=False).returncode == 0


def replaced(words: Sequence[str]) -> dict[str, str]:
    """Read `--as NAME=TAG`: the tag to test instead of an image's own.

    Raises:
        UserError: it is not of that form, or names no image of the bake file.
    """
    tags = {}
    for word in words:
        name, equals, tag = word.partition("=")
        if not (name and equals and tag):
            raise UserError(
                "cannot read --as", f"`{word}` is not NAME=TAG", "Example: --as cpu=mine:1"
            )
        matrix.choose([name])
        tags[name] = tag
    return tags


def main(words: Sequence[str]) -> int:
    """Test the chosen images and return pytest's exit code.

    Raises:
        UserError: no engine answers, or it has none of the images.
    """
    chosen = options.parse(words)
    engine.require()

    instead = replaced(chosen.as_images)
    images = matrix.choose(chosen.targets or instead)
    tags = [instead.get(image.name, image.tag) for image in images]
    present = [tag for tag in tags if is_built(tag)]
    if not present:
        builds = " ".join(image.session for image in images)
        raise UserError(
            "verify on no image", f"none of {', '.join(tags)} is built", f"Run `nox -s {builds}`."
        )
    clips.real_clip()
    say(f"verifying {', '.join(present)}")

    pytest_words = list(options.SUITES[chosen.suite])
    pytest_words += [f"--image={image.name}" for image in images]
    pytest_words += [f"--as={pair}" for pair in chosen.as_images]
    pytest_words += [f"--require={chosen.require}"] if chosen.require else []
    pytest_words += ["-k", chosen.k] if chosen.k else []
    pytest_words += ["-m", chosen.m] if chosen.m else []
    pytest_words += ["-x"] if chosen.x else []
    return int(pytest.main(pytest_words))


if __name__ == "__main__":
    start(main)
