"""Decisions about the image under test, without Docker."""

from pathlib import Path
from typing import Any

import pytest

from scripts.contents.archive import Archive
from scripts.core import process
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from tests.support.archives import layer, save
from tests.support.bakefile import small_image
from tests.support.subject import (
    LIBVMAF_PATCH,
    ProgramResult,
    Store,
    Subject,
    has_project_patch,
)


def manifest(source: str) -> dict[str, Any]:
    """Return a versions.json whose libvmaf comes from `source`."""
    return {"libvmaf": {"name": "libvmaf", "version": "3.2.0", "source": source}}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("crate vmaf-head-sys 0.2.0 (Netflix/vmaf f85a85369), with cuda.patch libvmaf.patch", True),
        ("crate vmaf-head-sys 0.2.0 (Netflix/vmaf f85a853692a8)", False),
        ("directory vmaf", False),
        ("directory with libvmaf.patch", False),
        ("git https://github.com/Netflix/vmaf.git f85a853692a8", False),
    ],
)
def test_project_patch_is_read_from_versions_json(source: str, *, expected: bool) -> None:
    """An image has the project's patch if the source in versions.json names the patch."""
    assert has_project_patch(manifest(source)) == expected


def test_recipe_of_libvmaf_names_the_project_patch() -> None:
    """The recipe that patches libvmaf's crate writes the names of its patches to versions.json."""
    (recipe,) = (ROOT / "docker").rglob("libvmaf-source.sh")
    (line,) = [line for line in recipe.read_text().splitlines() if '"source"' in line]
    assert "with $patches" in line
    assert (recipe.parent / LIBVMAF_PATCH).is_file()


def test_container_that_does_not_end_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in an image that does not end fails the test, and its container is removed."""
    commands: list[tuple[str, ...]] = []

    def run(*command: str, **_: object) -> process.CompletedProcess[str]:
        commands.append(command)
        return process.CompletedProcess(command, process.TIMED_OUT, "", "docker: killed")

    monkeypatch.setattr(process, "run", run)
    image = small_image("cpu")
    subject = Subject(image, image.tag, Store({}, Archive(tmp_path)))
    with pytest.raises(AssertionError, match="did not end: docker: killed"):
        subject.run("argument", succeeds=False)
    (_, _, _, name, *_), removed = commands
    assert removed == ("docker", "rm", "--force", name.removeprefix("--name="))


class RecordingArchive(Archive):
    """An archive that records what it saves, with a disk that may be full."""

    full = False

    def __init__(self, directory: Path) -> None:
        """Start with nothing saved."""
        super().__init__(directory)
        self.calls: list[tuple[str, ...]] = []

    def save(self, *images: str) -> None:
        """Record the images; fail if the disk is full."""
        self.calls.append(images)
        if self.full:
            raise UserError("cannot save", "no space left on device", "Set TMPDIR.")
        for tag in images:
            self.add(save([layer({"name": tag.encode()})], tag=tag))


def test_images_are_saved_when_a_test_reads_them(tmp_path: Path) -> None:
    """Each image is saved once, together with the other mutants of the same image."""
    archive = RecordingArchive(tmp_path)
    names = {"one": "cpu", "two": "cpu", "three": "dev"}
    store = Store({tag: small_image(name) for tag, name in names.items()}, archive)
    for tag in ("two", "one", "two"):
        assert store.subjects[tag].saved.read("/name") == tag.encode()
    assert archive.calls == [("one", "two")]
    assert store.subjects["three"].saved.read("/name") == b"three"
    assert archive.calls == [("one", "two"), ("three",)]


def test_tests_end_if_an_image_cannot_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk ends the test run with the reason, as all further tests would fail."""
    monkeypatch.setattr(RecordingArchive, "full", True)
    store = Store({"one": small_image("cpu")}, RecordingArchive(tmp_path))
    with pytest.raises(pytest.exit.Exception, match="no space left on device") as ended:
        _ = store.subjects["one"].saved
    assert ended.value.returncode == 1


@pytest.mark.parametrize(("code", "signal"), [(0, 0), (1, 0), (128, 0), (139, 11), (255, 0)])
def test_signal_is_read_from_the_exit_status(code: int, signal: int) -> None:
    """The exit statuses 129 to 159 stand for a signal, as a shell reports it."""
    assert ProgramResult("x", code, "", "").signal == signal


@pytest.mark.parametrize(
    ("code", "stderr", "message"),
    [
        (0, "no GPU", "a success"),
        (139, "no GPU", "killed by signal 11"),
        (1, "something else", "no 'no GPU' in the message"),
    ],
)
def test_refusal_needs_an_error_status_and_the_message(
    code: int, stderr: str, message: str
) -> None:
    """A refusal is an error status, without a signal, and the expected message."""
    with pytest.raises(AssertionError, match=message):
        ProgramResult("x", code, "", stderr).assert_refused("no GPU")
    ProgramResult("x", 1, "", "no GPU").assert_refused("no GPU")
