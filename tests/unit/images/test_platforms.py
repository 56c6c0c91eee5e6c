"""The platforms that images are built for, and what a foreign one needs."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from scripts.buildkit import builder
from scripts.core.console import UserError
from scripts.engine import client, emulation
from scripts.images import catalogue, platforms

ARM = {"PLATFORMS": "linux/arm64"}
BOTH = {"PLATFORMS": "linux/amd64,linux/arm64"}


@dataclass
class Image:
    """An image that is built for some platforms."""

    platforms: Sequence[str] = ()
    tag: str = "vmaf:x"


@pytest.fixture(autouse=True)
def _amd64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def test_the_machines_own_platform_is_the_default() -> None:
    """Without PLATFORMS, a build is for the machine's platform, and nothing is foreign."""
    assert platforms.requested({}) == ("linux/amd64",)
    assert platforms.foreign({"PLATFORMS": "linux/amd64"}) == []
    assert platforms.of_stages({}) == ["linux/amd64"]


def test_stages_of_a_foreign_image_are_on_both_platforms() -> None:
    """The base is needed for the machine's platform, which compiles, and for the image's."""
    assert platforms.of_stages(ARM) == ["linux/amd64", "linux/arm64"]


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"PLATFORMS": "linux/riscv64"}, "`linux/riscv64` is no known platform"),
        ({"PLATFORMS": "arm64"}, "`arm64` is no known platform"),
        (BOTH, "one platform for each tag"),
    ],
)
def test_platform_must_be_one_that_is_known(environment: dict[str, str], why: str) -> None:
    """An unknown platform, or several at once, end a build before it begins."""
    with pytest.raises(UserError, match=why):
        platforms.check([Image()], environment)


def test_image_must_have_the_platform() -> None:
    """An image for amd64 only is refused with the platforms that it has."""
    platforms.check([Image()], ARM)
    with pytest.raises(UserError, match="it is for linux/amd64 only"):
        platforms.check([Image(["linux/amd64"])], ARM)


def test_build_of_all_images_leaves_out_those_of_other_platforms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If no image is named, those without the requested platform are left out."""
    known = {
        "x": catalogue.Image("x", "vmaf:x", "", "", {}, frozenset()),
        "y": catalogue.Image("y", "vmaf:y", "", "", {}, frozenset(), ("linux/amd64",)),
    }
    monkeypatch.setattr(catalogue, "images", lambda: known)
    assert [image.name for image in catalogue.choose(())] == ["x", "y"]
    monkeypatch.setenv("PLATFORMS", "linux/arm64")
    assert [image.name for image in catalogue.choose(())] == ["x"]


def use(monkeypatch: pytest.MonkeyPatch, driver: str, *ran: str, local: bool = True) -> list[str]:
    """Use a builder that runs programs for these platforms; return what is installed."""
    found = builder.Inspected("b", driver, [], answers=True, platforms=frozenset(ran))
    monkeypatch.setattr(builder, "require", lambda: found)
    engine = client.Engine("26.1", "0.13", "/var/lib/docker", "overlay2", local)
    monkeypatch.setattr(client, "require", lambda: engine)
    installed: list[str] = []
    monkeypatch.setattr(emulation, "install", lambda name, _host: installed.append(name))
    return installed


def test_emulator_is_installed_only_if_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator is installed for a foreign platform that the builder does not run yet."""
    installed = use(monkeypatch, "docker", "linux/amd64")
    platforms.provide({})
    assert installed == []
    platforms.provide(ARM)
    assert installed == ["arm64"]
    installed = use(monkeypatch, "docker", "linux/amd64", "linux/arm64")
    platforms.provide(ARM)
    assert installed == []


@pytest.mark.parametrize(("driver", "local"), [("remote", True), ("docker", False)])
def test_other_machine_gets_no_emulator(
    driver: str, *, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A builder or an engine on another machine is not changed; the error says what to do."""
    installed = use(monkeypatch, driver, "linux/amd64", local=local)
    with pytest.raises(UserError, match="runs no programs for it"):
        platforms.provide(ARM)
    assert installed == []


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({}, ("linux/amd64",)),
        ({"PLATFORMS": "linux/amd64"}, ("linux/amd64",)),
        (BOTH, ("linux/amd64", "linux/arm64")),
        ({"PLATFORMS": "linux/arm64,linux/amd64"}, ("linux/amd64", "linux/arm64")),
    ],
)
def test_images_are_published_for_platforms_in_one_order(
    environment: dict[str, str], names: tuple[str, ...]
) -> None:
    """The order on the command line does not matter."""
    assert platforms.to_publish(environment) == names


def test_foreign_platform_is_not_published_alone() -> None:
    """The tags would lose the platform that most users have; the error names both."""
    with pytest.raises(UserError, match=r"--platform linux/amd64,linux/arm64"):
        platforms.to_publish(ARM)
    with pytest.raises(UserError, match="`linux/riscv64` is no known platform"):
        platforms.to_publish({"PLATFORMS": "linux/amd64,linux/riscv64"})


def test_programs_of_a_platform_run_with_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulators of this machine count for its own engine only."""
    use(monkeypatch, "docker", "linux/amd64")
    registered: set[str] = set()
    monkeypatch.setattr(emulation, "is_registered", lambda name: name in registered)
    assert platforms.runs("linux/amd64")
    assert not platforms.runs("linux/arm64")
    registered.add("arm64")
    assert platforms.runs("linux/arm64")
    use(monkeypatch, "docker", "linux/amd64", local=False)
    assert not platforms.runs("linux/arm64")
    use(monkeypatch, "docker", "linux/amd64", "linux/arm64", local=False)
    assert platforms.runs("linux/arm64")
