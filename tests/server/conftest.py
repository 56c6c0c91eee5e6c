"""Fixtures for tests of the server: a running server, and videos to score."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from playwright.sync_api import Browser

from scripts.core import clips
from scripts.core.paths import ROOT
from scripts.engine.client import has_image
from scripts.images import catalogue
from tests.support.browser import browsing
from tests.support.footage import Footage
from tests.support.serving import Server, serving
from tests.support.subject import Store, Subject, image_tags

FRAMES = 12
"""The number of frames that the tests score of the recorded clip, which is 1280x720."""


@pytest.fixture(scope="session")
def cpu(pytestconfig: pytest.Config, store: Store) -> Subject:
    """Return the image whose vmaf program computes the expected scores."""
    image = catalogue.images()["cpu"]
    tag = image_tags(pytestconfig)[image.name]
    if not has_image(tag):
        missing = f"{tag}, whose vmaf computes the expected scores, is not built: nox -s build-cpu"
        if pytestconfig.getoption("require"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return Subject(image, tag, store)


@pytest.fixture(scope="session")
def footage(cpu: Subject, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Footage:
    """Return three pairs of videos: two generated ones, and a recorded clip that was encoded."""
    directory = tmp_path_factory.mktemp("footage")
    directory.chmod(0o777)
    for name, step in (("reference", 1), ("worse", 16), ("worst", 48)):
        clips.generate(directory / f"{name}.y4m", step)
    (directory / "clip.mp4").write_bytes(clip.read_bytes())
    raw = ("-frames:v", str(FRAMES), "-an", "-pix_fmt", "yuv420p")
    cpu.ffmpeg("-i", "clip.mp4", *raw, "clip.y4m", directory=directory)
    encoded = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "35")
    cpu.ffmpeg("-i", "clip.y4m", *encoded, "coded.mkv", directory=directory)
    cpu.ffmpeg("-i", "coded.mkv", *raw, "coded.y4m", directory=directory)
    return Footage(
        directory,
        (("reference.y4m", "worse.y4m"), ("reference.y4m", "worst.y4m"), ("clip.y4m", "coded.y4m")),
    )


@pytest.fixture(scope="session")
def server(image: Subject, footage: Footage) -> Iterator[Server]:
    """Return a server with default settings. The tests that share it do not change its state."""
    with serving(image, directory=footage.directory) as server:
        yield server


@pytest.fixture(scope="session")
def api() -> Any:
    """Return the Python modules of scoring.proto's messages and services."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "server" / "api")
        return grpc.protos_and_services("vmaf/v1/scoring.proto")


@pytest.fixture(scope="session")
def channel(server: Server) -> Iterator[grpc.Channel]:
    """Return a channel to the server's gRPC port."""
    with grpc.insecure_channel(server.grpc) as channel:
        yield channel


@pytest.fixture(scope="session")
def browser(image: Subject) -> Iterator[Browser]:
    """Return a headless Chromium."""
    with browsing(image) as browser:
        yield browser
