"""List the properties of images, which are the test functions of tests/images."""

import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from itertools import chain
from types import ModuleType

import pytest

from scripts.core.paths import ROOT
from scripts.images.catalogue import Image

Property = Callable[..., None]
IMAGES = ROOT / "tests" / "images"
SUBJECTS = sorted(path.stem.removeprefix("test_") for path in IMAGES.glob("test_*.py"))
"""The subjects of the property files, such as `cuda` for test_cuda.py."""


def subject_properties(subject: str) -> Mapping[str, Property]:
    """Return the properties of a subject by name, in the order of the file."""
    module = _module(subject)
    return {
        name: function
        for name, function in vars(module).items()
        if name.startswith("test_") and function.__module__ == module.__name__
    }


def all_properties() -> Mapping[str, Property]:
    """Return the properties of all subjects by name."""
    return dict(chain.from_iterable(subject_properties(subject).items() for subject in SUBJECTS))


def _module(subject: str) -> ModuleType:
    return import_module(f"tests.images.test_{subject}")


def _marks(subject: str, test: Property) -> Iterator[pytest.Mark]:
    for owner in (_module(subject), test):
        marks = getattr(owner, "pytestmark", [])
        yield from marks if isinstance(marks, list) else [marks]


def _needs(subject: str, test: Property) -> frozenset[str]:
    """Return the capabilities that an image needs for a property to be tested on it."""
    marks = _marks(subject, test)
    return frozenset(name for mark in marks if mark.name == "needs" for name in mark.args)


def _gpu(subject: str, test: Property) -> str:
    """Return the vendor of the GPU that a property needs, or an empty string."""
    marks = _marks(subject, test)
    return next(((*mark.args, "nvidia")[0] for mark in marks if mark.name == "gpu"), "")


def _summary(documented: object) -> str:
    """Return the first paragraph of a docstring, on one line."""
    text = inspect.getdoc(documented) or ""
    return " ".join(text.partition("\n\n")[0].split())


def listing(images: Iterable[Image]) -> str:
    """Return the list of the properties that are tested on at least one of the images.

    Each file of tests/images has a heading. Below it are the names of the tests, without `test_`,
    with the capabilities and the GPU that they need and the first paragraphs of their docstrings.
    """
    provided = [image.provides for image in images]
    sections = []
    for subject in SUBJECTS:
        tests = {
            name.removeprefix("test_"): test
            for name, test in subject_properties(subject).items()
            if any(_needs(subject, test) <= provides for provides in provided)
        }
        if tests:
            title = _summary(_module(subject)).rstrip(".")
            items = [_item(name, subject, test) for name, test in tests.items()]
            sections.append("\n".join([f"{title} (test_{subject}.py)", *items]))
    return "\n\n".join(sections)


def _item(name: str, subject: str, test: Property) -> str:
    gpu = _gpu(subject, test)
    needs = [*sorted(_needs(subject, test)), *([f"{gpu} GPU"] if gpu else [])]
    note = f" [{', '.join(needs)}]" if needs else ""
    indent = " " * 6
    text = textwrap.fill(
        _summary(test),
        width=99,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
    return f"  {name}{note}\n{text}"
