"""Tests of the jobs of a workflow that builds images."""

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import asdict

from scripts.core.console import UserError
from scripts.images import catalogue, jobs, sizes
from scripts.images.catalogue import NOT_REDISTRIBUTABLE
from tests.support.bakefile import PRINTED


@pytest.fixture(autouse=True)
def _images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Use the images cpu, cuda and dev, of which dev is large and must not be passed on."""
    images = catalogue.read(PRINTED)
    licences = {"cpu": "MIT", "cuda": "MIT", "dev": f"MIT AND {NOT_REDISTRIBUTABLE}"}
    for name, licence in licences.items():
        labels = {**images[name].labels, "org.opencontainers.image.licenses": licence}
        images[name] = replace(images[name], labels=labels)
    monkeypatch.setattr(catalogue, "images", lambda: images)
    baselines = tmp_path / "sizes.json"
    baselines.write_text('{"cpu": 200000000, "cuda": 200000000, "dev": 3000000000}')
    monkeypatch.setattr(sizes, "BASELINES", baselines)


def names(found: list[jobs.Job]) -> list[str]:
    """Return the images of some jobs."""
    return [job.image for job in found]


def test_first_job_is_that_of_the_first_image() -> None:
    """The first image of docker-bake.hcl is built before the others, in any order of arguments."""
    found = jobs.jobs(["dev", "cpu"], redistributable=False)
    assert (names(found.first), names(found.others)) == (["cpu"], ["dev"])
    assert names(jobs.jobs([], redistributable=False).images) == ["cpu", "cuda", "dev"]
    alone = jobs.jobs(["dev"], redistributable=False)
    assert (names(alone.first), alone.others) == (["dev"], [])


def test_image_that_must_not_be_passed_on_is_left_out() -> None:
    """A list for a release lacks the images whose label forbids to pass them on."""
    assert names(jobs.jobs([], redistributable=True).images) == ["cpu", "cuda"]


def test_large_image_is_marked() -> None:
    """An image whose build and tests do not fit on a standard runner is marked."""
    found = jobs.jobs([], redistributable=False).images
    assert [asdict(job) for job in found] == [
        {"image": "cpu", "large": False},
        {"image": "cuda", "large": False},
        {"image": "dev", "large": True},
    ]


def test_unknown_image_is_an_error() -> None:
    """An image that does not exist is an error, and not an empty list."""
    with pytest.raises(UserError, match="no such image"):
        jobs.jobs(["cpux"], redistributable=False)
