"""What an image is made of, and under which licences, read from its own files.

Four lists are read: dpkg's packages, the parts in versions.json, Python's
installed distributions, and the modules that a Go program names. Nothing of the
image is run.
"""

import email
import json
import logging
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from debian.copyright import Copyright, MachineReadableFormatError, NotMachineReadableError
from debian.deb822 import Deb822

from scripts.contents.archive import SavedImage
from scripts.contents.gpu_code import libdevice
from scripts.images.catalogue import NOT_REDISTRIBUTABLE

VERSIONS = "/usr/local/share/vmaf/versions.json"
_STATUS = "/var/lib/dpkg/status"
_STATUS_FOLDER = "/var/lib/dpkg/status.d/"  # distroless images have a file per package
_PROGRAMS = "/usr/local/bin/"
_LIBVMAF = "/usr/local/lib/libvmaf.so"
_NVCC = "/usr/local/cuda/bin/nvcc"
_INTEL = "/opt/intel/oneapi/licensing/"

NOT_MACHINE_READABLE = "not machine-readable"
"""The copyright file is there, in prose."""
NOT_STATED = "not stated"
"""Nothing in the image says it."""
_INTEL_TOOLS = "LicenseRef-Intel-Developer-Tools"
_NVIDIA = "LicenseRef-NVIDIA-CUDA"

_TEXTS = {  # how a licence begins: what it is called, why it is nonfree
    "Intel End User License Agreement for Developer Tools": (_INTEL_TOOLS, "Intel's EULA"),
    "Intel Simplified Software License": (
        "LicenseRef-Intel-Simplified-Software",
        "Intel's licence for binaries alone",
    ),
    "Apache License": ("Apache-2.0", ""),
}
_PARTS = {  # what carries no copyright file into the image
    "gcc": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "hip-smoke": "BSD-2-Clause",
    "libaom": "BSD-2-Clause",
    "libvmaf": "BSD-2-Clause-Patent",
    "nv-codec-headers": "MIT",
    "vmaf-server": "BSD-2-Clause",
}
_FROM_DEBIAN = re.compile(r"Debian package (\S+?)(?:,|\s|$)")
_FROM_PYPI = re.compile(r"PyPI wheel (\w+)-")

_GO_MAGIC = b"\xff Go buildinf:"
_GO_INLINE = 2  # the flag of Go 1.18 and newer: the strings follow
_GO_HEADER = 32
_GO_GUARD = 16  # bytes before and after the list of modules

# A copyright file with a slip in it is read all the same; its warnings are Debian's to mend.
logging.getLogger("debian.copyright").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Item:
    """One thing that an image is made of."""

    name: str
    version: str
    kind: str
    """The type of its package URL: deb, pypi, golang, generic."""
    listed_in: str
    """The file of the image that names it."""
    licences: Sequence[str] = ()
    nonfree: str = ""
    """Why it is nonfree; empty where it is not known to be."""
    package: str = ""
    """What its package URL calls it, if not by its name."""
    sha256: str = ""
    source: str = ""
    qualifiers: Mapping[str, str] = field(default_factory=dict)


def read(saved: SavedImage) -> Sequence[Item]:
    """List what an image is made of."""
    return [*_packages(saved), *_parts(saved), *_python(saved), *_go(saved)]


def _text(saved: SavedImage, path: str) -> str:
    """Return a file's text, or nothing where there is none."""
    try:
        return saved.read(path).decode(errors="replace")
    except FileNotFoundError:
        return ""


def _packages(saved: SavedImage) -> Iterator[Item]:
    """Yield the packages that are installed by dpkg's own account."""
    release = dict(
        line.split("=", 1) for line in _text(saved, "/etc/os-release").splitlines() if "=" in line
    )
    distro = {"distro": name} if (name := release.get("VERSION_CODENAME", "").strip('"')) else {}
    files = [_STATUS, *(path for path in saved.merged if path.startswith(_STATUS_FOLDER))]
    for path in files:
        if path.endswith(".md5sums"):
            continue
        for entry in Deb822.iter_paragraphs(_text(saved, path), use_apt_pkg=False):
            # A file of status.d has no status: it is there because its package is.
            if entry.get("Status", "installed").split()[-1] == "installed":
                section = entry.get("Section", "")
                yield Item(
                    entry["Package"],
                    entry["Version"],
                    "deb",
                    path,
                    copyright_of(saved, entry["Package"]),
                    f"section {section} of Debian" if section.startswith("non-free") else "",
                    qualifiers={"arch": entry["Architecture"], **distro},
                )


def copyright_of(saved: SavedImage, package: str) -> Sequence[str]:
    """Return the licences that a package's copyright file names, as Debian calls them."""
    text = _text(saved, f"/usr/share/doc/{package}/copyright")
    if not text:
        return [NOT_STATED]
    try:
        parsed = Copyright(text.splitlines(keepends=True), strict=False)
    except (NotMachineReadableError, MachineReadableFormatError, ValueError):
        return [NOT_MACHINE_READABLE]
    stated: list[Any] = [files.license for files in parsed.all_files_paragraphs()]
    named = sorted({one.synopsis for one in stated if one and one.synopsis})
    return named or [NOT_MACHINE_READABLE]


def _parts(saved: SavedImage) -> Iterator[Item]:
    """Yield the entries of versions.json."""
    parts: Mapping[str, Mapping[str, Any]] = json.loads(_text(saved, VERSIONS) or "{}")
    for name, part in parts.items():
        source = part.get("source", "")
        algorithm, _, digest = part.get("digest", "").partition(":")
        sha256 = digest if algorithm == "sha256" else ""
        kind, package = "generic", ""
        if found := _FROM_DEBIAN.match(source):
            kind, package = "deb", found[1]
        elif _FROM_PYPI.match(source):
            kind = "pypi"
        licence, nonfree = _terms(saved, name, part)
        yield Item(
            name,
            part["version"],
            kind,
            VERSIONS,
            [licence] if licence else copyright_of(saved, package or name),
            nonfree,
            package,
            sha256,
            source,
            {"checksum": f"sha256:{sha256}"} if sha256 else {},
        )


def _terms(saved: SavedImage, name: str, part: Mapping[str, Any]) -> tuple[str, str]:
    """Return the licence of a part and why it is nonfree; nothing where only Debian says it."""
    if "configure" in part:
        flags = set(part["configure"].split())
        if "--enable-nonfree" in flags:
            return NOT_REDISTRIBUTABLE, "configured with --enable-nonfree"
        kind = "GPL" if "--enable-gpl" in flags else "LGPL"
        version = "3.0" if "--enable-version3" in flags else {"GPL": "2.0", "LGPL": "2.1"}[kind]
        return f"{kind}-{version}-or-later", ""
    if name == "cuda" or name.startswith("nvidia-"):
        return _NVIDIA, _nvidia_terms(saved)
    text = _text(saved, f"{_INTEL}{name.replace('-', '_')}/LICENSE.txt").lstrip()
    for begin, terms in _TEXTS.items():
        if text.startswith(begin):
            return terms
    if name.startswith("intel-"):  # of a vendor's image, which keeps its texts elsewhere
        return _INTEL_TOOLS, "Intel's EULA"
    return _PARTS.get(name, ""), ""


def _nvidia_terms(saved: SavedImage) -> str:
    """Return why CUDA makes an image nonfree; nothing where it only compiled the kernels."""
    if _NVCC not in saved.merged and _LIBVMAF in saved.merged:
        needed = libdevice(saved.read(_LIBVMAF))
        return "NVIDIA's EULA, for its libdevice in libvmaf.so" if needed else ""
    return "NVIDIA's EULA"


def _python(saved: SavedImage) -> Iterator[Item]:
    """Yield Python's distributions, those of Debian's packages and copies inside others aside."""
    for path in saved.merged:
        from_pip = not path.startswith("/usr/lib/python3") and "/_vendor/" not in path
        if from_pip and path.endswith(".dist-info/METADATA"):
            said = email.message_from_string(_text(saved, path))
            yield Item(said["Name"], said["Version"], "pypi", path, _declared(said))


def _declared(said: Message) -> Sequence[str]:
    """Return the licences in a distribution's metadata, whose License may be a whole text."""
    stated = said["License-Expression"] or said["License"] or ""
    if stated and "\n" not in stated:
        return [stated]
    trove = [one for one in said.get_all("Classifier", ()) if one.startswith("License ::")]
    otherwise = NOT_MACHINE_READABLE if stated else NOT_STATED
    return [one.rpartition(" :: ")[2] for one in trove] or [otherwise]


def _go(saved: SavedImage) -> Iterator[Item]:
    """Yield the modules of the Go programs that we built."""
    for path, (_, entry) in saved.merged.items():
        if posixpath.dirname(path) + "/" == _PROGRAMS and entry.is_file:
            for name, version in modules(saved.read(path)):
                yield Item(name, version, "golang", path, [NOT_STATED])


def modules(program: bytes) -> Iterator[tuple[str, str]]:
    """Yield Go's standard library and the modules that a program says it was built of."""
    start = program.find(_GO_MAGIC)
    if start < 0 or not program[start + 15] & _GO_INLINE:
        return
    go, end = _go_string(program, start + _GO_HEADER)
    yield "stdlib", go.decode().removeprefix("go")
    listed, _ = _go_string(program, end)
    found: list[tuple[str, str]] = []
    for line in listed[_GO_GUARD:-_GO_GUARD].decode(errors="replace").splitlines():
        what, *words = line.split("\t")
        if what == "=>":  # in place of the module above
            found.pop()
        if what in ("dep", "=>"):
            found.append((words[0], words[1]))
    yield from found


def _go_string(program: bytes, at: int) -> tuple[bytes, int]:
    """Return a string with its length before it, seven bits a byte, and where it ends."""
    length = shift = 0
    while True:
        byte = program[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 (the bit that says more follow)
            return program[at : at + length], at + length
