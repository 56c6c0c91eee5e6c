"""Whether an image that the bench built is correct: no stale library, no other content."""

import re
from collections.abc import Mapping

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
"""The libraries in which edits are looked for."""


def library_markers(image: str) -> dict[str, set[str]]:
    """Return the markers of edits in an image's libraries, by library.

    Raises:
        UserError: a library cannot be read.
    """
    markers = {}
    for name in LIBRARIES:
        search = f"grep -aohE '{MARKER}[0-9a-f]{{12}}' /usr/local/lib/{name}.so.*"
        done = process.run("docker", "run", "--rm", "--entrypoint=sh", image, "-c", search)
        if done.returncode > 1:  # grep's status is 1 where nothing matches
            raise UserError(
                f"cannot read {name} of {image}",
                done.stderr.strip(),
                "The image was just built: see whether the engine still answers.",
            )
        markers[name] = set(re.findall(rf"{MARKER}[0-9a-f]{{12}}", done.stdout))
    return markers


def stale(markers: Mapping[str, set[str]], scenario: Scenario, state: State) -> str:
    """Describe a library that lacks the edit or has an earlier one; empty if there is none."""
    for name, present in markers.items():
        expected = {f"{MARKER}{state.nonce}"} if name in scenario.edited_libraries else set()
        if present != expected:
            return (
                f"{name} should contain {', '.join(expected) or 'no edit'} "
                f"and contains {', '.join(sorted(present)) or 'none'}"
            )
    return ""


def compare_with_cold(scenario: Scenario, result: Result) -> str:
    """Compare an image with the cold build of the same inputs; describe the difference.

    An image with an edit has no cold build to compare with: the marker of the edit proves it.
    """
    image = tag(PROJECT_CONTENDER, scenario.target)
    cold = f"{image}-cold"
    if scenario.name == COLD and len(result.seconds) == 1:
        process.run("docker", "tag", image, cold)
        return ""
    if scenario.project or scenario.target != SCENARIOS[COLD].target:
        return ""
    different = [] if identity(cold) == identity(image) else differences(cold, image)
    result.digests_equal = not different
    return f"differs from the cold build: {'; '.join(different[:3])}" if different else ""


def identity(image: str) -> str:
    """Return an image's digest: images with equal digests need no comparison of files.

    Raises:
        UserError: there is no such image.
    """
    if shown := process.output("docker", "image", "inspect", "--format={{.Id}}", image).strip():
        return shown
    raise UserError(
        "cannot compare images", f"{image} is gone", "Start a new run, without --resume."
    )


def differences(one: str, other: str) -> list[str]:
    """Return a line for each file of the project that differs between two images.

    Files of Debian packages and of their installation, such as dates in logs, are left out,
    as no cache of the project makes them.
    """
    return [
        f"{difference.path} ({difference.what})"
        for difference in listing.differences(listing.listing(one), listing.listing(other))
        if difference.owner == "project"
    ]
