"""Fixtures for images: a test with the fixture `image` runs once per chosen image."""

import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.capture import CaptureManager

from scripts.contents.archive import Archive
from scripts.core import clips
from scripts.core.paths import ROOT
from scripts.engine.client import has_image
from scripts.images import catalogue, platforms, unavailable
from tests.support.buildx import bake_options
from tests.support.lavapipe import Lavapipe
from tests.support.subject import COMPOSE, Store, Subject, docker, image_tags

NVIDIA_DEVICE = Path("/dev/nvidiactl")
"""A device that exists if NVIDIA's driver is loaded."""

RENDERERS = Path("/sys/class/drm")
"""The directory in which the kernel lists GPUs, each with the PCI id of its vendor."""

PCI_VENDORS = {"amd": "0x1002", "intel": "0x8086"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose images; `nox -s verify-images` sets them."""
    group = parser.getgroup("images")
    group.addoption("--image", action="append", default=[], help="a bake name; default: all")
    group.addoption(
        "--as", action="append", default=[], dest="as_images", help="NAME=TAG: test TAG as NAME"
    )
    group.addoption("--require", choices=["all"], help="fail if an image is not built")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a property on each chosen image that provides what the property needs."""
    if "image" not in metafunc.fixturenames:
        return
    needs = {
        capability for mark in metafunc.definition.iter_markers("needs") for capability in mark.args
    }
    chosen = [
        pytest.param(image, id=image.name)
        for image in catalogue.choose(metafunc.config.getoption("image"))
        if needs <= image.provides
    ]
    none = pytest.mark.skip(reason=f"no chosen image provides {' '.join(sorted(needs))}")
    metafunc.parametrize(
        "image",
        chosen or [pytest.param(None, id="none", marks=none)],
        indirect=True,
        scope="session",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that need a GPU on a machine without one, or take too long by emulation."""
    native = item.get_closest_marker("native")
    if native and platforms.foreign(os.environ):
        pytest.skip(native.args[0])
    mark = item.get_closest_marker("gpu")
    if mark and mark.args:
        (vendor,) = mark.args
        present = {path.read_text().strip() for path in RENDERERS.glob("renderD*/device/vendor")}
        if PCI_VENDORS[vendor] not in present:
            pytest.skip(f"no GPU of vendor {vendor} on this machine (see {RENDERERS})")
    elif mark and not NVIDIA_DEVICE.exists():
        pytest.skip(f"no NVIDIA GPU on this machine ({NVIDIA_DEVICE} is absent)")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each reason for skips once: an image that is not built skips dozens of tests."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
    )
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count} skipped: {reason}", yellow=True)


@pytest.fixture(scope="session")
def store(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Return the chosen images that are built."""
    chosen = catalogue.choose(pytestconfig.getoption("image"))
    tags = image_tags(pytestconfig)
    present = {tags[image.name]: image for image in chosen if has_image(tags[image.name])}
    directory = tmp_path_factory.mktemp("store")
    with Store(present, Archive(directory)) as store:
        yield store
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest, pytestconfig: pytest.Config, store: Store) -> Subject:
    """Return an image under test."""
    requested: catalogue.Image = request.param
    tag = image_tags(pytestconfig)[requested.name]
    if reason := unavailable.reasons(os.environ).get(tag):
        pytest.skip(f"{tag} cannot be built: {reason}")
    if tag not in store.subjects:
        missing = f"{tag} is not built: nox -s {requested.session}"
        if pytestconfig.getoption("require"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return store.subjects[tag]


@pytest.fixture(scope="session")
def lavapipe(pytestconfig: pytest.Config) -> Iterator[Lavapipe]:
    """Return a function that adds a Vulkan device on the CPU to an image."""
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")
    assert isinstance(capture, CaptureManager)
    lavapipe = Lavapipe(capture)
    yield lavapipe
    lavapipe.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return an empty directory that any user of a container may write to."""
    tmp_path.chmod(0o777)
    return tmp_path


@pytest.fixture(scope="session")
def clip() -> Path:
    """Return the real test clip."""
    return clips.real_clip()


@pytest.fixture
def libvmaf(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return a world-writable directory with libvmaf's source, from the build cache."""
    options = bake_options(tmp_path_factory.mktemp("overlay"))
    # Do not load the overlay's substitutes for the base images into the engine.
    monkeypatch.setenv("BUILDX_NO_DEFAULT_LOAD", "1")
    output = f"--set=libvmaf-source.output=type=local,dest={tmp_path}"
    built = docker("buildx", "bake", *options, output, "libvmaf-source", cwd=ROOT)
    if built.returncode:
        reason = built.stderr.strip().splitlines()[-1]
        pytest.skip(f"libvmaf's source cannot be built: {reason}")
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(path.stat().st_mode | (0o777 if path.is_dir() else 0o666))
    return tmp_path


@pytest.fixture
def compose() -> Iterator[str]:
    """Return the name of a new compose project; remove its containers and volume later."""
    if docker("compose", "version").returncode:
        pytest.skip("the docker client has no compose plugin: nox -s engine")
    project = f"vmaf-verify-{uuid.uuid4().hex[:12]}"
    yield project
    options = ("compose", f"--file={COMPOSE}", f"--project-name={project}", "--profile=*")
    docker(*options, "down", "--volumes")
