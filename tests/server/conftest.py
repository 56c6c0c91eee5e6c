"""A server to ask, and the videos it is asked about."""

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
"""Of the real clip: 1280x720."""


@pytest.fixture(scope="session")
def cpu(pytestconfig: pytest.Config, store: Store) -> Subject:
    """Return the image whose vmaf program the server's scores are held to."""
    wanted = catalogue.images()["cpu"]
    tag = image_tags(pytestconfig)[wanted.name]
    if not has_image(tag):
        missing = f"{tag} is not built, and its vmaf is what to compare with: nox -s build-cpu"
        if pytestconfig.getoption("require"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return Subject(wanted, tag, store)


@pytest.fixture(scope="session")
def footage(cpu: Subject, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Footage:
    """Return three pairs: generated pictures, a little and much worse, and a coded real clip."""
    folder = tmp_path_factory.mktemp("footage")
    folder.chmod(0o777)
    for name, step in (("reference", 1), ("worse", 16), ("worst", 48)):
        clips.generate(folder / f"{name}.y4m", step)
    (folder / "clip.mp4").write_bytes(clip.read_bytes())
    pictures = ("-frames:v", str(FRAMES), "-an", "-pix_fmt", "yuv420p")
    cpu.ffmpeg("-i", "clip.mp4", *pictures, "clip.y4m", directory=folder)
    coded = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "35")
    cpu.ffmpeg("-i", "clip.y4m", *coded, "coded.mkv", directory=folder)
    cpu.ffmpeg("-i", "coded.mkv", *pictures, "coded.y4m", directory=folder)
    return Footage(
        folder,
        (("reference.y4m", "worse.y4m"), ("reference.y4m", "worst.y4m"), ("clip.y4m", "coded.y4m")),
    )


@pytest.fixture(scope="session")
def server(image: Subject, footage: Footage) -> Iterator[Server]:
    """Return a server with its settings as they come, for all tests that leave it as it is."""
    with serving(image, directory=footage.directory) as server:
        yield server


@pytest.fixture(scope="session")
def api() -> Any:
    """Return the messages and the services of scoring.proto."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "server" / "api")
        return grpc.protos_and_services("vmaf/v1/scoring.proto")


@pytest.fixture(scope="session")
def channel(server: Server) -> Iterator[grpc.Channel]:
    """Return a way to the server's gRPC port."""
    with grpc.insecure_channel(server.grpc) as channel:
        yield channel


@pytest.fixture(scope="session")
def browser(image: Subject) -> Iterator[Browser]:
    """Return Chromium."""
    with browsing(image) as browser:
        yield browser
