"""The properties of images: the test functions of tests/images, and their list for the docs."""

import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from itertools import chain
from types import ModuleType

import pytest

from scripts.core.paths import ROOT

Property = Callable[..., None]
IMAGES = ROOT / "tests" / "images"
SUBJECTS = sorted(path.stem.removeprefix("test_") for path in IMAGES.glob("test_*.py"))
"""The subjects that have a file of properties, such as `cuda` for test_cuda.py."""


def of_subject(subject: str) -> Mapping[str, Property]:
    """Return the properties of one subject by name, in the order of the file."""
    module = _module(subject)
    return {
        name: function
        for name, function in vars(module).items()
        if name.startswith("test_") and function.__module__ == module.__name__
    }


def every() -> Mapping[str, Property]:
    """Return the properties of all subjects by name."""
    return dict(chain.from_iterable(of_subject(subject).items() for subject in SUBJECTS))


def _module(subject: str) -> ModuleType:
    return import_module(f"tests.images.test_{subject}")


def _marks(subject: str, test: Property) -> Iterator[pytest.Mark]:
    for owner in (_module(subject), test):
        marks = getattr(owner, "pytestmark", [])
        yield from marks if isinstance(marks, list) else [marks]


def _images(subject: str, test: Property) -> str:
    """Return the capabilities that an image needs for a property to be tested on it, if any."""
    marks = list(_marks(subject, test))
    needs = {capability for mark in marks if mark.name == "needs" for capability in mark.args}
    gpu = [(mark.args or ("nvidia",))[0] for mark in marks if mark.name == "gpu"]
    return ", ".join(
        [*(f"`{capability}`" for capability in sorted(needs)), *map("{} GPU".format, gpu)]
    )


def _summary(thing: object) -> str:
    """Return the first paragraph of a docstring, on one line."""
    text = inspect.getdoc(thing) or ""
    return " ".join(text.partition("\n\n")[0].split())


def markdown_list() -> str:
    """Return a list of all properties, a section for each file, for docs/verify.md.

    Each item has the test's name without `test_`, the capabilities that its images need, and
    the first paragraph of its docstring.
    """
    return "\n\n".join(map(_section, SUBJECTS))


def _section(subject: str) -> str:
    title = _summary(_module(subject)).rstrip(".")
    items = [_item(subject, name, test) for name, test in of_subject(subject).items()]
    return "\n".join([f"### {title}: `test_{subject}.py`", "", *items])


def _item(subject: str, name: str, test: Property) -> str:
    images = _images(subject, test)
    name = f"`{name.removeprefix('test_')}`" + (f" ({images})" if images else "")
    return textwrap.fill(f"- {name}: {_summary(test)}", 99, subsequent_indent="  ")
