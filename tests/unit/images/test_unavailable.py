"""Images that cannot be built any more are skipped if releases are accepted."""

from collections import deque
from pathlib import Path
from typing import Any

import pytest

from scripts.buildkit import builder
from scripts.buildkit.progress import Outcome
from scripts.buildkit.rawjson import Build, Step
from scripts.buildkit.records import BuildRecord
from scripts.causes import inputs
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.dockerfile import bake
from scripts.engine import client
from scripts.images import bases, build, catalogue, sizes, unavailable
from tests.support.builds import STARTED, NoRecording

NEITHER = "neither Debian's mirrors nor Debian's archive have hipcc_7.0.2_amd64.deb"
BAKE: dict[str, Any] = {
    "target": {
        "cpu": {},
        "rocm6": {},
        "dev": {"contexts": {"bundle-dev": "target:bundle-dev", "base": "docker-image://x"}},
        "bundle-dev": {"contexts": {"devel": "target:devel"}},
        "devel": {},
    }
}

ACCEPT = {"VMAF_LOCK": "accept"}
IMAGES = {
    name: catalogue.Image(name, f"vmaf:{name}", "", "", {}, frozenset())
    for name in ("cpu", "rocm6")
}


def failed(*targets: str, line: str = f"locked.sh: {NEITHER}") -> Outcome:
    """Return the outcome of a build in which a step of targets printed a line and failed."""
    step = Step("sha256:1", list(targets), error="exit code: 1", tail=deque(["more", line]))
    return Outcome(Build(steps={step.digest: step}), 1, STARTED, 1.0, Path("x.log"))


@pytest.fixture(autouse=True)
def _sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the file to a directory of the test, and replace the bake file."""
    monkeypatch.setattr(unavailable, "FILE", tmp_path / "build" / "unavailable.json")
    monkeypatch.setattr(bake, "bake_print", lambda *_: BAKE)


@pytest.mark.parametrize(
    ("targets", "images"),
    [(["rocm6"], {"rocm6"}), (["rocm6", "devel"], {"rocm6", "dev"}), ([], {"rocm6", "dev", "cpu"})],
    ids=["an image", "a stage of others", "one target only"],
)
def test_images_of_the_failed_step_are_skipped(targets: list[str], images: set[str]) -> None:
    """All images that need the failed step are skipped, also through named contexts."""
    found = unavailable.skipped(failed(*targets), ["cpu", "rocm6", "dev"])
    assert found == dict.fromkeys(images, NEITHER)


def test_another_failure_skips_nothing() -> None:
    """A step that failed for another reason remains a failure of the build."""
    other = failed("rocm6", line="locked.sh: x has the content sha256:1, and the lock sha256:2")
    assert not unavailable.skipped(other, ["cpu", "rocm6"])


def test_messages_are_the_ones_of_the_recipe() -> None:
    """Both messages of locked.sh about what cannot be had begin as expected here."""
    recipe = (ROOT / "docker" / "recipes" / "fetch" / "locked" / "locked.sh").read_text()
    assert recipe.count('fail "neither ') == 2


def test_skipped_images_are_remembered_until_they_are_built() -> None:
    """The reason is kept over builds of other images, and forgotten with a build of the image."""
    assert not unavailable.reasons(ACCEPT)
    unavailable.write({"vmaf:rocm6": NEITHER})
    unavailable.write({}, ["vmaf:cpu", "vmaf:rocm6-ffmpeg7.1"])
    assert unavailable.reasons(ACCEPT) == {"vmaf:rocm6": NEITHER}
    assert not unavailable.reasons({})
    unavailable.write({}, ["vmaf:rocm6"])
    assert not unavailable.reasons(ACCEPT)


@pytest.mark.parametrize(
    ("lock", "targets", "built"),
    [
        ("accept", ["cpu", "rocm6"], [["cpu", "rocm6"], ["cpu"]]),
        ("accept", ["rocm6"], [["rocm6"]]),
        ("", ["cpu", "rocm6"], [["cpu", "rocm6"]]),
    ],
    ids=["others are built", "nothing is left", "not accepted"],
)
def test_build_goes_on_with_the_other_images(
    lock: str, targets: list[str], built: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other images are built if releases are accepted; else the build fails."""
    followed: list[list[str]] = []

    def follow(command: list[str], *_: object) -> Outcome:
        followed.append([word for word in command if word in BAKE["target"]])
        return failed("rocm6") if "rocm6" in command else Outcome(Build(), 0, STARTED, 1.0, Path())

    monkeypatch.setenv("VMAF_LOCK", lock)
    monkeypatch.setattr(build, "follow", follow)
    for module, name, value in (
        (client, "require", lambda: None),
        (client, "free_bytes", lambda _: None),
        (client, "has_image", lambda _: True),
        (client, "image_bytes", lambda _: 1),
        (sizes, "needed_bytes", lambda *_: 1),
        (bases, "choose", lambda: "registry"),
        (build, "write_overlay", lambda *_, **__: Path("x.json")),
        (builder, "identify", lambda _: None),
        (inputs, "Recording", NoRecording),
        (BuildRecord, "write", lambda _: None),
        (catalogue, "images", lambda: IMAGES),
    ):
        monkeypatch.setattr(module, name, value)
    if built[-1] == targets:
        with pytest.raises(UserError):
            build.build(targets)
    else:
        assert build.build(targets).targets == ["cpu"]
        assert unavailable.reasons(ACCEPT) == {"vmaf:rocm6": NEITHER}
    assert followed == built
