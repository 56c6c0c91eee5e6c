"""Each property fails on an image that lacks it, and says what is wrong."""

import inspect
import json
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from scripts.core.paths import ROOT
from scripts.engine.client import has_image
from scripts.images import build, catalogue
from tests.conftest import tags
from tests.mutants.catalogue import MUTANTS, PROPERTIES, Mutant
from tests.support.subject import Store, docker


def dockerfile(mutant: Mutant, store: Store, tag: str, context: Path) -> str:
    """Return the mutant's Dockerfile, its patched files written to the build context."""
    lines = [f"FROM {tag}"]
    for number, (path, patch) in enumerate(mutant.patched.items()):
        base = store.subjects[tag]
        (context / str(number)).write_bytes(patch(base.read(path)))
        lines.append(f"COPY --chmod=755 {number} {base.saved.resolve(path)}")
    return "\n".join((*lines, mutant.lines))


AT_ONCE = 20
"""Targets of one bake: BuildKit loses sight of some where it is given a hundred."""


def batched(names: Iterable[str], most: int) -> Iterator[Sequence[str]]:
    """Yield the names, at most so many at a time."""
    rest = list(names)
    while rest:
        yield rest[:most]
        rest = rest[most:]


def bake(targets: Mapping[str, object]) -> str:
    """Build targets; return what buildx said where it failed, and not by a race of its own."""
    for _ in range(3):
        done = subprocess.run(
            ["docker", "buildx", "bake", "--load", "--file=-", *targets],
            input=json.dumps({"target": targets}),
            capture_output=True,
            text=True,
            check=False,
        )
        if not done.returncode:
            return ""
        if not build.is_race(done.stderr.strip().splitlines()[-1]):
            break
    return done.stderr[-3000:]


@pytest.fixture(scope="session")
def mutants(
    request: pytest.FixtureRequest,
    pytestconfig: pytest.Config,
    store: Store,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Store]:
    """Return the images of the mutants that this run needs, built together."""
    tag = tags(pytestconfig)
    params = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {
        call.params["mutant"].tag: call.params["mutant"]
        for call in params
        if call and "mutant" in call.params and tag[call.params["mutant"].of] in store.subjects
    }
    targets = {}
    for mutant in wanted.values():
        context = tmp_path_factory.mktemp(mutant.name)
        inline = dockerfile(mutant, store, tag[mutant.of], context)
        targets[mutant.name] = {
            "context": str(context),
            "dockerfile-inline": inline,
            "tags": [mutant.tag],
        }
    for some in batched(targets, AT_ONCE):
        failure = bake({name: targets[name] for name in some})
        if failure:
            pytest.fail(f"the mutants cannot be built:\n{failure}", pytrace=False)
    images = {mutant.tag: catalogue.images()[mutant.of] for mutant in wanted.values()}
    try:
        with Store(images, tmp_path_factory.mktemp("store")) as built:
            yield built
    finally:
        docker("image", "rm", "--force", *wanted)


def marks(mutant: Mutant) -> list[pytest.Mark]:
    """Return what keeps the property from running on this machine, and so the mutant's test."""
    mine: list[pytest.Mark] = getattr(mutant.breaks, "pytestmark", [])
    return [mark for mark in mine if mark.name == "gpu"]


@pytest.mark.parametrize(
    "mutant", [pytest.param(one, id=one.name, marks=marks(one)) for one in MUTANTS]
)
def test_property_fails_on_mutant(
    mutant: Mutant,
    request: pytest.FixtureRequest,
    pytestconfig: pytest.Config,
    record_property: Callable[[str, object], None],
) -> None:
    """The property, called as it is, fails on the mutant, and its message names the fault."""
    base = catalogue.images()[mutant.of]
    tag = tags(pytestconfig)[base.name]
    if base not in catalogue.choose(pytestconfig.getoption("image")):
        pytest.skip(f"{base.name} was not chosen")
    if not has_image(tag):
        pytest.skip(f"{tag} is not built: nox -s {base.session}")
    subject = request.getfixturevalue("mutants").subjects[mutant.tag]
    names = set(inspect.signature(mutant.breaks).parameters) - {"image", *mutant.given}
    others = {name: request.getfixturevalue(name) for name in names}
    with pytest.raises(AssertionError, match=mutant.says) as caught:
        mutant.breaks(image=subject, **mutant.given, **others)
    said = str(caught.value).strip().splitlines()[0]
    record_property("caught", (mutant.breaks.__name__, f"{mutant.name} ({mutant.of})", said))


def properties() -> Mapping[str, Callable[..., None]]:
    """Return the test functions of tests/images by name."""
    return {
        name: function
        for module in PROPERTIES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("test_")
    }


def test_every_property_has_a_mutant() -> None:
    """A property that nothing has ever broken may be one that cannot fail."""
    names = {module.__name__.rpartition(".")[2] for module in PROPERTIES}
    assert names == {path.stem for path in (ROOT / "tests" / "images").glob("test_*.py")}
    broken = {mutant.breaks.__name__ for mutant in MUTANTS}
    assert not properties().keys() - broken


def test_every_property_is_documented() -> None:
    """docs/verify.md lists what is held, no more and no less."""
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "verify.md").read_text(), re.MULTILINE)
    assert sorted(f"test_{row}" for row in rows) == sorted(properties())


def test_mutants_have_names_of_their_own() -> None:
    """Two mutants of one name would be one image."""
    names = [mutant.name for mutant in MUTANTS]
    assert sorted(names) == sorted(set(names))
