"""An image for one platform: how it is built, and whether it is what its tag says."""

import platform

import pytest

from scripts.core.console import UserError
from scripts.engine import client
from scripts.images.catalogue import Image
from scripts.publish import variant
from tests.unit.publish.test_tags import CPU, REVISION, labelled

NATIVE = Image("cpu", "vmaf:cpu", "", "", {}, frozenset(), ("linux/amd64",))
FOREIGN = Image("cpu", "vmaf:cpu-arm64", "", "", {}, frozenset(), ("linux/arm64",))


@pytest.fixture(autouse=True)
def _amd64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def test_image_that_is_not_built_is_an_error_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The command builds the image for its platform."""
    monkeypatch.setattr(client, "image_id", lambda _tag: "")
    directory = tmp_path_factory.mktemp("image")
    packer = variant.Packer(directory / "regctl", "zstd", "example.org/vmaf")
    with pytest.raises(UserError, match=r"vmaf:cpu-arm64 is not built") as error:
        packer.pack(FOREIGN, directory)
    assert error.value.todo == "Run `nox -s build-cpu -- --platform linux/arm64`."
    with pytest.raises(UserError) as error:
        packer.pack(NATIVE, directory)
    assert error.value.todo == "Run `nox -s build-cpu`."


def test_image_must_be_for_the_platform_of_its_tag() -> None:
    """An image for amd64 under the tag for arm64 would be in the index twice."""
    variant.check(NATIVE, CPU)
    with pytest.raises(UserError, match="vmaf:cpu-arm64 is for linux/amd64, not for linux/arm64"):
        variant.check(FOREIGN, CPU)


def test_image_that_must_not_be_published_is_refused() -> None:
    """The reasons are those of `tags.refusals`."""
    dirty = labelled(CPU, **{REVISION.replace(".", "_"): "1a2b-dirty"})
    with pytest.raises(UserError, match="not in a commit"):
        variant.check(NATIVE, dirty)
