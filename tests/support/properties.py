"""List the properties of images, which are the test functions of tests/images."""

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
    """Return the capabilities and the GPUs that a property needs."""
    marks = list(_marks(subject, test))
    capabilities = {f"`{name}`" for mark in marks if mark.name == "needs" for name in mark.args}
    gpus = {f"{(mark.args or ('nvidia',))[0]} GPU" for mark in marks if mark.name == "gpu"}
    return frozenset(capabilities | gpus)


def _needs_note(needs: frozenset[str]) -> str:
    return f" ({', '.join(sorted(needs))})" if needs else ""


def _summary(documented: object) -> str:
    """Return the first paragraph of a docstring, on one line."""
    text = inspect.getdoc(documented) or ""
    return " ".join(text.partition("\n\n")[0].split())


def markdown_list() -> str:
    """Return the list of all properties in docs/verify.md, with a section for each file.

    An item has the name of the test without `test_`, the needs of the test, and the first paragraph
    of its docstring. The heading has the needs that all tests of the file share.
    """
    return "\n\n".join(map(_section, SUBJECTS))


def _section(subject: str) -> str:
    tests = subject_properties(subject)
    shared = frozenset.intersection(*(_needs(subject, test) for test in tests.values()))
    title = _summary(_module(subject)).rstrip(".")
    items = [
        textwrap.fill(
            f"- `{name.removeprefix('test_')}`{_needs_note(_needs(subject, test) - shared)}: "
            f"{_summary(test)}",
            width=99,
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        for name, test in tests.items()
    ]
    return "\n".join([f"### {title}: `test_{subject}.py`{_needs_note(shared)}", "", *items])
