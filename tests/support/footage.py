"""The videos in the data root of the server under test."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Footage:
    """Pairs of Y4M videos in a directory."""

    directory: Path
    pairs: tuple[tuple[str, str], ...]
    """The file names of the reference and the distorted video of each pair."""

    def read(self, name: str) -> bytes:
        """Return the content of a video."""
        return (self.directory / name).read_bytes()


def planes(video: bytes) -> Iterator[bytes]:
    """Yield the frames of a Y4M video with 4:2:0 chroma, without their headers."""
    header, _, rest = video.partition(b"\n")
    width, height = (int(field[1:]) for field in header.split()[1:3])
    size = len(b"FRAME\n") + width * height * 3 // 2
    for start in range(0, len(rest), size):
        yield rest[start + len(b"FRAME\n") : start + size]
