"""A small lock, and the lines that tests change."""

from scripts.lock.offers import Offer, Offers
from scripts.lock.sources_lock import File, Lock

A, B, C, D, E, F, NEW = (letter * 64 for letter in "abcdef9")
"""Digests."""

TEXT = f"""\
# The files that the builds fetch.
#
# name         version       sha256                                                            origin        path  address
archive        20261127T000000Z
cuda13/nvcc    13.5.37       {A}  pypi          nvcc
ffmpeg9.0      9.0.2         {B}  testing       pool/main/f/ffmpeg/ffmpeg_9.0.2.orig.tar.xz  https://ffmpeg.org/ffmpeg-9.0.2.tar.xz
hip6/hipcc     7.0.2+dfsg-3  {C}  testing       pool/main/r/rocm-llvm/hipcc_7.0.2+dfsg-3_amd64.deb
hip6/libhip-6  6.4.3-5       {D}  testing       pool/main/r/rocm/libhip-6_6.4.3-5_amd64.deb
hip6/libhip-d  6.4.3-5       {E}  testing       pool/main/r/rocm/libhip-d_6.4.3-5_amd64.deb

# a crate
libvmaf        0.2.0         {F}  crates.io     vmaf-sys
exp            1.0-1~exp1    {A}  experimental  pool/main/e/exp/exp_1.0-1~exp1_all.deb
"""  # noqa: E501 (the columns of the file)

LOCK = Lock.parse(TEXT)


def offer(file: File, version: str = "", sha256: str = "") -> Offer:
    """Return the offer of another version of a file, by default of the same file."""
    other = file.version != (version or file.version)
    return Offer(
        version or file.version,
        sha256 or (NEW if other else file.sha256),
        file.path.replace(f"_{file.version}", f"_{version or file.version}"),
    )


def offers(part: str, *gone: str, **versions: str) -> Offers:
    """Return the offers of a part: other versions of files by short name, and files that left."""
    files = LOCK.parts[part]
    names = {name.replace("_", "-"): version for name, version in versions.items()}
    return Offers(
        files[0].origin,
        {f.name: offer(f, names.get(f.short, "")) for f in files if f.short not in gone},
        f"{files[0].origin} no longer has {', '.join(gone)}" if gone else "",
    )
