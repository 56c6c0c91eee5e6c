"""Which images are tested: a test that takes `image` runs once for each."""

import os
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from _pytest.capture import CaptureManager

from scripts.core import clips
from scripts.core.paths import ROOT
from scripts.engine.client import has_image
from scripts.images import bases, catalogue
from scripts.images.overlay import write_overlay
from tests.support.lavapipe import Lavapipe
from tests.support.subject import COMPOSE, Store, Subject, docker

GPU = Path("/dev/nvidiactl")
"""There where NVIDIA's driver is loaded."""

RENDERERS = Path("/sys/class/drm")
"""Where the kernel lists the other vendors' GPUs, each with its vendor's number."""

PCI_VENDORS = {"amd": "0x1002", "intel": "0x8086"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the choice of images; `scripts.verify` passes on what its user said."""
    group = parser.getgroup("images")
    group.addoption("--image", action="append", default=[], help="a bake name; default: all")
    group.addoption(
        "--as", action="append", default=[], dest="as_images", help="NAME=TAG: test TAG as NAME"
    )
    group.addoption("--require", choices=["all"], help="an image that is not built is a failure")


def tags(config: pytest.Config) -> Mapping[str, str]:
    """Return the tag under which each image is tested."""
    named = {image.name: image.tag for image in catalogue.images().values()}
    return named | dict(pair.split("=", 1) for pair in config.getoption("as_images"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a property for each chosen image that provides what the property needs."""
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
    """Skip what needs a GPU where there is none."""
    mark = item.get_closest_marker("gpu")
    if mark and mark.args:
        (vendor,) = mark.args
        found = {path.read_text().strip() for path in RENDERERS.glob("renderD*/device/vendor")}
        if PCI_VENDORS[vendor] not in found:
            pytest.skip(f"no GPU of vendor {vendor} on this machine (see {RENDERERS})")
    elif mark and not GPU.exists():
        pytest.skip(f"no NVIDIA GPU on this machine ({GPU} is absent)")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell each reason to skip once: an image that is not built skips dozens of tests."""
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
    tag = tags(pytestconfig)
    present = {tag[image.name]: image for image in chosen if has_image(tag[image.name])}
    with Store(present, tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest, pytestconfig: pytest.Config, store: Store) -> Subject:
    """Return an image under test."""
    wanted: catalogue.Image = request.param
    tag = tags(pytestconfig)[wanted.name]
    if tag not in store.subjects:
        missing = f"{tag} is not built: nox -s {wanted.session}"
        if pytestconfig.getoption("require"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return store.subjects[tag]


@pytest.fixture(scope="session")
def lavapipe(pytestconfig: pytest.Config) -> Iterator[Lavapipe]:
    """Return what adds a Vulkan device on the CPU to an image."""
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")
    assert isinstance(capture, CaptureManager)
    lavapipe = Lavapipe(capture)
    yield lavapipe
    lavapipe.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder that containers may write to, whoever they run as."""
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
    """Return a copy of libvmaf's source that containers may write to, out of the build's cache."""
    base_source = bases.choose()
    files = [f"--file={ROOT / file}" for file in bases.OVERLAYS[base_source]]
    machine = tmp_path_factory.mktemp("overlay")
    machine = write_overlay(machine, environment=os.environ, base_source=base_source)
    files.append(f"--file={machine}")
    monkeypatch.setenv("BUILDX_NO_DEFAULT_LOAD", "1")  # the stand-ins for the bases stay behind
    output = f"--set=libvmaf-source.output=type=local,dest={tmp_path}"
    built = docker("buildx", "bake", *files, output, "libvmaf-source", cwd=ROOT)
    if built.returncode:
        pytest.skip(f"libvmaf's source cannot be had: {built.stderr.strip().splitlines()[-1]}")
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(path.stat().st_mode | (0o777 if path.is_dir() else 0o666))
    return tmp_path


@pytest.fixture
def compose() -> Iterator[str]:
    """Return a compose project of our own; its volume and containers are removed afterwards."""
    if docker("compose", "version").returncode:
        pytest.skip("the docker client has no compose plugin: nox -s engine")
    project = f"vmaf-verify-{uuid.uuid4().hex[:12]}"
    yield project
    ours = ("compose", f"--file={COMPOSE}", f"--project-name={project}", "--profile=*")
    docker(*ours, "down", "--volumes")
