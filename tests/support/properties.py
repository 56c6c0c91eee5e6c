"""The properties of images: the test functions of tests/images, and their table for the docs."""

import inspect
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
    """Return the capabilities that an image has to provide for a property to be tested on it."""
    marks = list(_marks(subject, test))
    needs = {capability for mark in marks if mark.name == "needs" for capability in mark.args}
    gpu = [(mark.args or ("nvidia",))[0] for mark in marks if mark.name == "gpu"]
    images = ", ".join(f"`{capability}`" for capability in sorted(needs)) or "all"
    return images + "".join(f"; {vendor} GPU" for vendor in gpu)


def _summary(thing: object) -> str:
    """Return the first paragraph of a docstring, on one line."""
    text = inspect.getdoc(thing) or ""
    return " ".join(text.partition("\n\n")[0].split())


def markdown_table() -> str:
    """Return a table of all properties, a section for each file, for docs/verify.md.

    Each row has the test's name without `test_`, the capabilities that its images provide, and
    the first paragraph of its docstring.
    """
    return "\n\n".join(map(_section, SUBJECTS))


def _section(subject: str) -> str:
    rows = [
        f"| `{name.removeprefix('test_')}` | {_images(subject, test)} | {_summary(test)} |"
        for name, test in of_subject(subject).items()
    ]
    title = _summary(_module(subject)).rstrip(".")
    head = f"### {title}: `test_{subject}.py`"
    return "\n".join(
        [head, "", "| Property | Images that provide | What must hold |", "|---|---|---|", *rows]
    )
