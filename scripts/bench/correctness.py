"""Check the images that the bench builds: stale libraries, and differences to a cold build."""

import re
from collections.abc import Iterable, Mapping

from scripts.bench.builds import tag
from scripts.bench.contenders import PROJECT_CONTENDER
from scripts.bench.edits import MARKER
from scripts.bench.results import Result
from scripts.bench.scenarios import COLD, SCENARIOS, Scenario
from scripts.bench.session import State
from scripts.contents import listing
from scripts.core import process
from scripts.core.console import UserError

LIBRARIES = ("libvmaf", "libavfilter")
"""The libraries that are searched for the markers of edits."""


def library_markers(image: str, libraries: Iterable[str] = LIBRARIES) -> dict[str, set[str]]:
    """Return the markers of edits in libraries of an image, by library.

    Raises:
        UserError: a library cannot be read.
    """
    markers = {}
    for name in libraries:
        search = f"grep -aohE '{MARKER}[0-9a-f]{{12}}' /usr/local/lib/{name}.so.*"
        done = process.run("docker", "run", "--rm", "--entrypoint=sh", image, "-c", search)
        if done.returncode > 1:  # grep's status is 1 where nothing matches
            raise UserError(
                f"cannot read {name} of {image}",
                done.stderr.strip(),
                "Check that the engine still runs: `docker info`.",
            )
        markers[name] = set(re.findall(rf"{MARKER}[0-9a-f]{{12}}", done.stdout))
    return markers


def stale_library(markers: Mapping[str, set[str]], scenario: Scenario, state: State) -> str:
    """Describe a library that lacks the edit or contains an earlier edit; empty if none does."""
    for name, present in markers.items():
        expected = {f"{MARKER}{state.nonce}"} if name in scenario.edited_libraries else set()
        if present != expected:
            return (
                f"{name} should contain {', '.join(expected) or 'no edit'} "
                f"and contains {', '.join(sorted(present)) or 'none'}"
            )
    return ""


def compare_with_cold(scenario: Scenario, result: Result) -> str:
    """Compare an image with the cold build of the same inputs; describe the differences.

    An image with an edited source tree has no such cold build and is checked by its markers only.
    """
    image = tag(PROJECT_CONTENDER, scenario.target)
    cold = f"{image}-cold"
    if scenario.name == COLD and len(result.seconds) == 1:
        process.run("docker", "tag", image, cold)
        return ""
    if scenario.project or scenario.target != SCENARIOS[COLD].target:
        return ""
    different = [] if image_id(cold) == image_id(image) else differences(cold, image)
    result.digests_equal = not different
    return f"differs from the cold build: {'; '.join(different[:3])}" if different else ""


def image_id(image: str) -> str:
    """Return the id of an image; images with the same id have the same files.

    Raises:
        UserError: the engine does not have the image.
    """
    if digest := process.output("docker", "image", "inspect", "--format={{.Id}}", image).strip():
        return digest
    raise UserError(
        "cannot compare images",
        f"the engine no longer has {image}",
        "Start a new run, without --resume.",
    )


def differences(first: str, second: str) -> list[str]:
    """Return a line for each file of the project that differs between two images.

    Files of Debian packages, and files that their installation writes, such as logs with dates,
    are not compared, because the project does not build them.
    """
    return [
        f"{difference.path} ({difference.what})"
        for difference in listing.differences(listing.listing(first), listing.listing(second))
        if difference.owner == "project"
    ]
