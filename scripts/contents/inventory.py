"""List the components of an image and their licences, from the files in the image.

The sources are dpkg's status, versions.json, which has the crates of Rust programs, too, the
metadata of installed Python distributions, and the build information in Go programs. The image is
not run.
"""

import email
import json
import logging
import posixpath
import re
from collections import defaultdict
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
_STATUS_DIRECTORY = "/var/lib/dpkg/status.d/"  # in distroless images, a file per package
_PROGRAMS = "/usr/local/bin/"
_LIBVMAF = re.compile(r"/usr/local/lib/libvmaf\w*\.so[.\d]*")  # a fork may have two libraries
_NVCC = "/usr/local/cuda/bin/nvcc"
_INTEL = "/opt/intel/oneapi/licensing/"

NOT_MACHINE_READABLE = "not machine-readable"
"""The licence of a component whose licence text is in prose."""
NOT_STATED = "not stated"
"""The licence of a component if no file of the image states it."""
_INTEL_TOOLS = "LicenseRef-Intel-Developer-Tools"
_NVIDIA = "LicenseRef-NVIDIA-CUDA"

# The first words of a licence text, its identifier, and the reason why it is nonfree.
_LICENCE_TEXTS = {
    "Intel End User License Agreement for Developer Tools": (_INTEL_TOOLS, "Intel's EULA"),
    "Intel Simplified Software License": (
        "LicenseRef-Intel-Simplified-Software",
        "Intel's licence for binaries alone",
    ),
    "Apache License": ("Apache-2.0", ""),
}
# The licences of components that install no copyright file.
_LICENCES = {
    "gcc": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "hip-smoke": "BSD-2-Clause",
    "libaom": "BSD-2-Clause",
    "libplacebo": "LGPL-2.1-or-later",
    "libvmaf": "BSD-2-Clause-Patent",
    "nv-codec-headers": "MIT",
    "score": "BSD-2-Clause",
    "vmaf-server": "BSD-2-Clause",
}
TOOLS = frozenset({"clang", "cuda", "gcc", "hipcc"})
"""The components that build others. An image has nothing of them unless it has their files."""
_VERSIONED = re.compile(r"([^\s,()]+)(?:\s*\((?:=\s*)?([^)\s]+)\))?")  # a package (= VERSION)
_SOURCES = "/etc/apt/sources.list"
_MIRROR = re.compile(r"^(?:deb (?:\[[^]]*\] )?(?!file:)(\S+) |URIs: (?!file:)(\S+))", re.MULTILINE)
_FROM_DEBIAN = re.compile(r"Debian package (\S+?)(?:,|\s|$)")
_FROM_PYPI = re.compile(r"PyPI wheel (\w+)-")

_GO_MAGIC = b"\xff Go buildinf:"
_GO_INLINE = 2  # a flag that Go 1.18 and newer set: the strings are inline
_GO_HEADER = 32
_GO_GUARD = 16  # the length of the markers around the list of modules

# The parser reads a copyright file with formatting errors, and logs a warning that only Debian's
# maintainers can act on.
logging.getLogger("debian.copyright").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Item:
    """A component of an image."""

    name: str
    version: str
    kind: str
    """The type of the package URL: `deb`, `pypi`, `golang`, `cargo` or `generic`."""
    listed_in: str
    """The file of the image that lists the component."""
    licences: Sequence[str] = ()
    nonfree: str = ""
    """The reason why it is nonfree; empty if it is not known to be nonfree."""
    package: str = ""
    """The name in its package URL, if it differs from `name`."""
    sha256: str = ""
    source: str = ""
    qualifiers: Mapping[str, str] = field(default_factory=dict)


def read(saved: SavedImage) -> Sequence[Item]:
    """Return the components of an image."""
    return [
        *_packages(saved), *_components(saved), *_crates(saved), *_python(saved), *_go(saved),
    ]  # fmt: skip


def _text(saved: SavedImage, path: str) -> str:
    """Return the text of a file, or an empty string if the file does not exist."""
    try:
        return saved.read(path).decode(errors="replace")
    except FileNotFoundError:
        return ""


def _packages(saved: SavedImage) -> Iterator[Item]:
    """Yield the packages whose dpkg status is `installed`."""
    release = dict(
        line.split("=", 1) for line in _text(saved, "/etc/os-release").splitlines() if "=" in line
    )
    distro = {"distro": name} if (name := release.get("VERSION_CODENAME", "").strip('"')) else {}
    for path, entry in _installed(saved):
        section = entry.get("Section", "")
        yield Item(
            entry["Package"],
            entry["Version"],
            "deb",
            path,
            debian_licences(saved, entry["Package"]),
            f"section {section} of Debian" if section.startswith("non-free") else "",
            qualifiers={"arch": entry["Architecture"], **distro},
        )


def _installed(saved: SavedImage) -> Iterator[tuple[str, Deb822]]:
    """Yield the fields of each installed package, with the file of the image that has them."""
    files = [_STATUS, *(path for path in saved.merged if path.startswith(_STATUS_DIRECTORY))]
    for path in files:
        if path.endswith(".md5sums"):
            continue
        for entry in Deb822.iter_paragraphs(_text(saved, path), use_apt_pkg=False):
            # The files in status.d have no Status field; each of their packages is installed.
            if entry.get("Status", "installed").split()[-1] == "installed":
                yield path, entry


def debian_sources(saved: SavedImage) -> Mapping[tuple[str, str], Sequence[str]]:
    """Return the installed packages by source package and its version, sorted.

    They include the sources of other packages that were compiled into a package, by the fields
    Built-Using and Static-Built-Using.
    """
    sources: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for _, entry in _installed(saved):
        package, version = entry["Package"], entry["Version"]
        source = _VERSIONED.match(entry.get("Source", package))
        if source:
            sources[source[1], source[2] or version].add(package)
        built = f"{entry.get('Built-Using', '')}, {entry.get('Static-Built-Using', '')}"
        for match in _VERSIONED.finditer(built):
            if match[2]:
                sources[match[1], match[2]].add(package)
    return {source: sorted(sources[source]) for source in sorted(sources)}


def mirrors(saved: SavedImage) -> Sequence[str]:
    """Return the URLs of Debian's mirrors in the image's lists of sources, in their order."""
    files = [path for path in saved.merged if path.startswith(_SOURCES)]
    text = "\n".join(_text(saved, path) for path in sorted(files))
    return list(dict.fromkeys(url for pair in _MIRROR.findall(text) for url in pair if url))


def debian_licences(saved: SavedImage, package: str) -> Sequence[str]:
    """Return the licences in the copyright file of a package, by their names in Debian."""
    text = _text(saved, f"/usr/share/doc/{package}/copyright")
    if not text:
        return [NOT_STATED]
    try:
        parsed = Copyright(text.splitlines(keepends=True), strict=False)
    except (NotMachineReadableError, MachineReadableFormatError, ValueError):
        return [NOT_MACHINE_READABLE]
    licences: list[Any] = [files.license for files in parsed.all_files_paragraphs()]
    names = sorted({licence.synopsis for licence in licences if licence and licence.synopsis})
    return names or [NOT_MACHINE_READABLE]


def _components(saved: SavedImage) -> Iterator[Item]:
    """Yield the components that versions.json lists."""
    components: Mapping[str, Mapping[str, Any]] = json.loads(_text(saved, VERSIONS) or "{}")
    for name, component in components.items():
        source = component.get("source", "")
        algorithm, _, digest = component.get("digest", "").partition(":")
        sha256 = digest if algorithm == "sha256" else ""
        kind, package = "generic", ""
        if match := _FROM_DEBIAN.match(source):
            kind, package = "deb", match[1]
        elif _FROM_PYPI.match(source):
            kind = "pypi"
        licence, nonfree = _terms(saved, name, component)
        yield Item(
            name,
            component["version"],
            kind,
            VERSIONS,
            [licence] if licence else debian_licences(saved, package or name),
            nonfree,
            package,
            sha256,
            source,
            {"checksum": f"sha256:{sha256}"} if sha256 else {},
        )


def _crates(saved: SavedImage) -> Iterator[Item]:
    """Yield the crates in the Rust programs in /usr/local/bin, which versions.json lists."""
    components: Mapping[str, Mapping[str, Any]] = json.loads(_text(saved, VERSIONS) or "{}")
    for name, component in components.items():
        for crate in component.get("crates", ()):
            licences = re.split(r" OR |/", crate["licence"])
            sha256 = crate["digest"].removeprefix("sha256:")
            yield Item(
                crate["name"],
                crate["version"],
                "cargo",
                f"{_PROGRAMS}{name}",
                licences,
                sha256=sha256,
                qualifiers={"checksum": f"sha256:{sha256}"},
            )


def _terms(saved: SavedImage, name: str, component: Mapping[str, Any]) -> tuple[str, str]:
    """Return the licence of a component and the reason why it is nonfree.

    The licence is empty if only the copyright file of a Debian package states it.
    """
    if "configure" in component:
        flags = set(component["configure"].split())
        if "--enable-nonfree" in flags:
            return NOT_REDISTRIBUTABLE, "configured with --enable-nonfree"
        kind = "GPL" if "--enable-gpl" in flags else "LGPL"
        version = "3.0" if "--enable-version3" in flags else {"GPL": "2.0", "LGPL": "2.1"}[kind]
        return f"{kind}-{version}-or-later", ""
    if name == "cuda" or name.startswith("nvidia-"):
        return _NVIDIA, _nvidia_terms(saved)
    text = _text(saved, f"{_INTEL}{name.replace('-', '_')}/LICENSE.txt").lstrip()
    for begin, terms in _LICENCE_TEXTS.items():
        if text.startswith(begin):
            return terms
    if name.startswith("intel-"):  # the vendor's image has no licence texts in _INTEL
        return _INTEL_TOOLS, "Intel's EULA"
    return component.get("licence") or _LICENCES.get(name, ""), ""


def _nvidia_terms(saved: SavedImage) -> str:
    """Return why CUDA makes an image nonfree; empty if the image contains none of its files."""
    libraries = [
        path
        for path, (_, entry) in saved.merged.items()
        if entry.is_file and _LIBVMAF.fullmatch(path)
    ]
    if _NVCC not in saved.merged and libraries:
        needed = any(libdevice(saved.read(path)) for path in libraries)
        return "NVIDIA's EULA, for its libdevice in libvmaf.so" if needed else ""
    return "NVIDIA's EULA"


def _python(saved: SavedImage) -> Iterator[Item]:
    """Yield the Python distributions, without Debian's packages and vendored copies."""
    for path in saved.merged:
        from_pip = not path.startswith("/usr/lib/python3") and "/_vendor/" not in path
        if from_pip and path.endswith(".dist-info/METADATA"):
            metadata = email.message_from_string(_text(saved, path))
            licences = _declared_licences(metadata)
            yield Item(metadata["Name"], metadata["Version"], "pypi", path, licences)


def _declared_licences(metadata: Message) -> Sequence[str]:
    """Return the licences that the metadata of a Python distribution declares.

    The License field may contain the complete text of a licence; the classifiers are used then.
    """
    declared = metadata["License-Expression"] or metadata["License"] or ""
    if declared and "\n" not in declared:
        return [declared]
    classifiers = [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.get_all("Classifier", ())
        if classifier.startswith("License ::")
    ]
    return classifiers or [NOT_MACHINE_READABLE if declared else NOT_STATED]


def _go(saved: SavedImage) -> Iterator[Item]:
    """Yield the modules of the Go programs in /usr/local/bin."""
    for path, (_, entry) in saved.merged.items():
        if posixpath.dirname(path) + "/" == _PROGRAMS and entry.is_file:
            for name, version in go_modules(saved.read(path)):
                yield Item(name, version, "golang", path, [NOT_STATED])


def go_modules(program: bytes) -> Iterator[tuple[str, str]]:
    """Yield the Go standard library and the modules in the build information of a program."""
    start = program.find(_GO_MAGIC)
    if start < 0 or not program[start + 15] & _GO_INLINE:
        return
    go, end = _go_string(program, start + _GO_HEADER)
    yield "stdlib", go.decode().removeprefix("go")
    listed, _ = _go_string(program, end)
    modules: list[tuple[str, str]] = []
    for line in listed[_GO_GUARD:-_GO_GUARD].decode(errors="replace").splitlines():
        kind, *fields = line.split("\t")
        if kind == "=>":  # replaces the module on the line above
            modules.pop()
        if kind in ("dep", "=>"):
            modules.append((fields[0], fields[1]))
    yield from modules


def _go_string(program: bytes, offset: int) -> tuple[bytes, int]:
    """Return a string that a varint with its length precedes, and the offset of its end."""
    length = shift = 0
    while True:
        byte = program[offset]
        offset += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 (the continuation bit)
            return program[offset : offset + length], offset + length
