"""Find the components whose licence text an image lacks.

The texts are where their installation puts them: in Debian's /usr/share/doc, in the recipes'
/usr/local/share/doc, beside the SDKs, and in the metadata of Python distributions.
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from scripts.contents.archive import SavedImage
from scripts.contents.inventory import TOOLS, VERSIONS, Item

DOC = "/usr/local/share/doc"
"""The directory of the texts that the recipes install: DOC/COMPONENT/."""

_DEBIAN = "/usr/share/doc"
_COMMON = "/usr/share/common-licenses"  # the texts that Debian's copyright files refer to
_OWN = f"{DOC}/vmaf-images/"
_CUDA = "/usr/local/cuda/"
_INTEL = "/opt/intel/oneapi/licensing/"
_TEXT = re.compile(
    rf"{DOC}/|{_INTEL}|{_CUDA}licences/"
    r"|(licen[cs]e|copying|copyright|notice|eula)[^/]*(?<!\.py)(?<!\.pyc)$",
    re.IGNORECASE,
)


def without_text(saved: SavedImage, items: Sequence[Item]) -> Iterator[str]:
    """Yield a message for each component without a licence text, with the place where it belongs.

    A tool of the build of which the image has no file needs none.

    Args:
        saved: the image.
        items: its components.
    """
    files = [path for path, (_, entry) in saved.merged.items() if entry.is_file]
    texts = [path for path in files if _TEXT.search(path) and _is_filled(saved, path)]
    installed = {item.name for item in items if item.kind == "deb" and item.listed_in != VERSIONS}
    has_cuda = any(path.startswith(_CUDA) for path in files)
    found = {item.name: item for item in items if _is_distribution(item)}
    for item in items:
        if item.listed_in == VERSIONS and _is_absent(item, installed, has_cuda=has_cuda):
            continue
        is_wheel = item.listed_in == VERSIONS and item.kind == "pypi"
        places = list(_places(found.get(item.name, item) if is_wheel else item, installed))
        if not any(
            _is_filled(saved, place) or any(text.startswith(place) for text in texts)
            for place in places
        ):
            listed = f"{item.name} {item.version}, listed in {item.listed_in}"
            yield f"{listed}, has no licence text in {' or '.join(places)}"


def _is_distribution(item: Item) -> bool:
    """Return whether a component is an installed Python distribution."""
    return item.kind == "pypi" and item.listed_in != VERSIONS


def _is_filled(saved: SavedImage, path: str) -> bool:
    """Return whether a path is that of a file, or of a link to one, that is not empty."""
    try:
        return bool(saved.read(path))
    except FileNotFoundError:
        return False


def _is_absent(item: Item, installed: set[str], *, has_cuda: bool) -> bool:
    """Return whether a component of versions.json is a tool of which the image has no file."""
    if item.name == "cuda" or item.name.startswith("nvidia-"):
        return not has_cuda
    return item.name in TOOLS - {"gcc"} and (item.package or item.name) not in installed


def _places(item: Item, installed: set[str]) -> Iterator[str]:
    """Yield where the text of a component may be: a file, or the beginning of its path."""
    if item.listed_in != VERSIONS:
        yield from _PLACES[item.kind](item)
    elif item.source.startswith(("docker/", "server/")):
        yield _OWN
    elif item.name == "gcc":  # the library of C++ is of the same source
        yield f"{_DEBIAN}/gcc-"
    elif (item.package or item.name) in installed:
        yield f"{_DEBIAN}/{item.package or item.name}/copyright"
    elif item.name == "cuda" or item.name.startswith("nvidia-"):
        yield _CUDA if item.source.startswith("image ") else f"{_CUDA}licences/{item.name}/"
    elif item.source.startswith("image "):
        yield _INTEL
    elif item.kind == "pypi":
        yield f"{_INTEL}{item.name.replace('-', '_')}/"
    else:
        yield f"{DOC}/{item.name}/"


def _of_package(item: Item) -> Iterator[str]:
    yield f"{_DEBIAN}/{item.name}/copyright"


def _of_module(item: Item) -> Iterator[str]:
    yield f"{DOC}/{posixpath.basename(item.listed_in)}/{item.name}/"


def _of_crate(item: Item) -> Iterator[str]:
    yield f"{DOC}/{posixpath.basename(item.listed_in)}/{item.name}-{item.version}/"
    yield from _common(item)


def _of_distribution(item: Item) -> Iterator[str]:
    """Yield the places of a Python distribution: its metadata, its package, and Debian's texts."""
    metadata = posixpath.dirname(item.listed_in)
    yield f"{metadata}/"
    yield f"{posixpath.dirname(metadata)}/{item.name.lower().replace('-', '_')}/"
    yield from _common(item)


def _common(item: Item) -> Iterator[str]:
    """Yield Debian's copy of Apache's text, which names no copyright holder."""
    for licence in item.licences:
        if licence.startswith("Apache"):
            yield f"{_COMMON}/{licence.replace(' ', '-')}"


_PLACES: Mapping[str, Callable[[Item], Iterator[str]]] = {
    "cargo": _of_crate,
    "deb": _of_package,
    "golang": _of_module,
    "pypi": _of_distribution,
}
