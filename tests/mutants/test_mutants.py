"""Each property fails on an image with the fault, and its message names the fault."""

import inspect
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from scripts.core import process
from scripts.engine.client import has_image
from scripts.images import build, catalogue, unavailable
from tests.mutants.mutant import Mutant, matches, matching_lines, unspecific_matches
from tests.support import properties
from tests.support.properties import Property
from tests.support.subject import ProgramResult, Store, Subject, docker, image_tags

MUTANTS: Sequence[Mutant] = [
    mutant
    for subject in properties.SUBJECTS
    for mutant in import_module(f"tests.mutants.{subject}").MUTANTS
]

BATCH = 20
"""The number of targets in a bake command; with a hundred, BuildKit does not build all of them."""

Failures = defaultdict[Property, list[tuple[Mutant, str]]]
"""The failures in this run: for each property, its mutants and their messages."""


class WithoutPrograms(Subject):
    """An image in which no program starts."""

    attempted = False
    """Whether a test tried to run a program."""

    def run(
        self, *arguments: str, program: str = "", succeeds: bool = True, **_: object
    ) -> ProgramResult:
        """Fail as the docker client does if it cannot start a container."""
        self.attempted = True
        shown = " ".join((program or self.image.entry, *arguments))
        message = "docker: Error response from daemon: cannot start the container."
        result = ProgramResult(shown, 125, "", message)
        assert not succeeds, str(result)
        return result


def write_context(mutant: Mutant, store: Store, tag: str, context: Path) -> None:
    """Write a mutant's build context: its Dockerfile and the files that it changes."""
    base = store.subjects[tag]
    lines = [f"FROM --platform=$BUILDPLATFORM {tag}" if mutant.platform else f"FROM {tag}"]
    for number, (path, patch) in enumerate(mutant.patches.items()):
        (context / str(number)).write_bytes(patch(base.read(path)))
        lines.append(f"COPY --chmod=755 {number} {base.saved.resolve(path)}")
    (context / "Dockerfile").write_text("\n".join((*lines, mutant.dockerfile)))


def batches(names: Iterable[str], size: int) -> Iterator[Sequence[str]]:
    """Split the names into lists of at most `size` names."""
    remaining = list(names)
    while remaining:
        yield remaining[:size]
        remaining = remaining[size:]


def bake(targets: Mapping[str, object]) -> str:
    """Build targets whose Dockerfiles are in their contexts; return the error message, if any.

    The targets have no `dockerfile-inline`, as buildx would leave a file in the temporary
    directory. The build is repeated after a race in BuildKit.
    """
    text = json.dumps({"target": targets})
    for _ in range(3):
        done = process.run("docker", "buildx", "bake", "--load", "--file=-", *targets, text=text)
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
    """Build the mutants that this run needs; yield their images, and remove them afterwards."""
    tags = image_tags(pytestconfig)
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    needed: dict[str, Mutant] = {
        call.params["mutant"].tag: call.params["mutant"]
        for call in calls
        if call and "mutant" in call.params and tags[call.params["mutant"].base] in store.subjects
    }
    targets = {}
    for mutant in needed.values():
        context = tmp_path_factory.mktemp(mutant.name)
        write_context(mutant, store, tags[mutant.base], context)
        targets[mutant.name] = {
            "context": str(context),
            "tags": [mutant.tag],
            "platforms": [mutant.platform] if mutant.platform else [],
        }
    for batch in batches(targets, BATCH):
        failure = bake({name: targets[name] for name in batch})
        if failure:
            pytest.fail(f"the mutants cannot be built:\n{failure}", pytrace=False)
    images = {mutant.tag: catalogue.images()[mutant.base] for mutant in needed.values()}
    try:
        with Store(images, store.archive) as built:
            yield built
    finally:
        docker("image", "rm", "--force", *needed)


@pytest.fixture(scope="session")
def failures() -> Failures:
    """Return the failures of the mutants that have been tested so far."""
    return defaultdict(list)


def gpu_marks(mutant: Mutant) -> list[pytest.Mark]:
    """Return the marks of the property that skip its mutants on a machine without a GPU."""
    marks: list[pytest.Mark] = getattr(mutant.test, "pytestmark", [])
    return [mark for mark in marks if mark.name == "gpu"]


def message_of(test: Property, image: Subject, arguments: Mapping[str, Any]) -> str | None:
    """Return the message of a property that fails on an image, or None if it passes."""
    try:
        test(image=image, **arguments)
    except AssertionError as error:
        return str(error).strip()
    return None


def unrelated_message(test: Property, image: Subject, arguments: Mapping[str, Any]) -> str | None:
    """Return the message of a property if no program starts; None if it runs no program."""
    broken = WithoutPrograms(image.image, image.tag, image.store)
    arguments = {
        **arguments,
        **({"lavapipe": lambda image: image} if "lavapipe" in arguments else {}),
    }
    try:
        message = message_of(test, broken, arguments)
    finally:
        broken.close()
    return message if broken.attempted else None


@pytest.mark.parametrize(
    "mutant", [pytest.param(mutant, id=mutant.name, marks=gpu_marks(mutant)) for mutant in MUTANTS]
)
def test_property_fails_on_mutant(
    mutant: Mutant,
    request: pytest.FixtureRequest,
    pytestconfig: pytest.Config,
    failures: Failures,
    record_property: Callable[[str, object], None],
) -> None:
    """Each property fails on its mutants, with a message that names the mutant's fault.

    The expected failure must not match the messages of the property's other mutants, or the message
    if no program starts.
    """
    base = catalogue.images()[mutant.base]
    tag = image_tags(pytestconfig)[base.name]
    if base not in catalogue.choose(pytestconfig.getoption("image")):
        pytest.skip(f"{base.name} was not chosen")
    if reason := unavailable.reasons(os.environ).get(tag):
        pytest.skip(f"{tag} cannot be built: {reason}")
    if not has_image(tag):
        pytest.skip(f"{tag} is not built: nox -s {base.session}")
    image = request.getfixturevalue("mutants").subjects[mutant.tag]
    names = set(inspect.signature(mutant.test).parameters) - {"image", *mutant.params}
    arguments = {**mutant.params, **{name: request.getfixturevalue(name) for name in names}}
    message = message_of(mutant.test, image, arguments)
    assert message is not None, "the property passes on the mutant"
    assert matches(mutant.expected_failure, message), message
    unrelated = unrelated_message(mutant.test, image, arguments)
    if unrelated is not None:
        assert not matches(mutant.expected_failure, unrelated), f"unspecific: {unrelated}"
    for other, text in failures[mutant.test]:
        if other.expected_failure != mutant.expected_failure:
            assert not matches(mutant.expected_failure, text), f"also matches {other.name}: {text}"
            assert not matches(other.expected_failure, message), f"{other.name} matches {message}"
    failures[mutant.test].append((mutant, message))
    lines = matching_lines(mutant.expected_failure, message)
    record_property("caught", (mutant.test.__name__, f"{mutant.name} ({mutant.base})", lines))


def test_every_property_has_a_mutant() -> None:
    """Every property of an image has a mutant, because a property without one may never fail."""
    covered = {mutant.test for mutant in MUTANTS}
    lacking = [name for name, test in properties.all_properties().items() if test not in covered]
    assert not lacking


def test_mutant_names_are_unique() -> None:
    """The names of image mutants, which are also the names of their images, are unique."""
    repeated = [name for name, count in Counter(m.name for m in MUTANTS).items() if count > 1]
    assert not repeated


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_expected_failure_is_specific(mutant: Mutant) -> None:
    """No mutant has an expected failure that matches any failure of its property."""
    assert not list(unspecific_matches(mutant.expected_failure, mutant.test))


@pytest.mark.parametrize(
    "expected_failure",
    [
        "",
        "assert",
        "assert .* == ",
        "ProgramResult",
        "139",
        "root",
        "/data",
        "ffprobe",
        "user_is",
        "(?i)permission denied",
        "user is vmaf, 1000",
        "ended with 127",
    ],
)
def test_unspecific_expected_failure_is_refused(expected_failure: str) -> None:
    """An expected failure that matches any failure of the property is rejected."""
    test = {
        "/data": "test_working_directory_is_data",
        "ffprobe": "test_ffprobe_reports_the_size_of_a_clip",
    }.get(expected_failure, "test_user_is_vmaf")
    assert list(unspecific_matches(expected_failure, properties.all_properties()[test]))


def test_bake_leaves_no_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building the images of mutants leaves nothing in the temporary directory."""
    temporary, context = tmp_path / "temporary", tmp_path / "context"
    for directory in (temporary, context):
        directory.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    monkeypatch.setenv("TMPDIR", str(temporary))
    tag = "vmaf-mutant:no-temporary-files"
    try:
        failure = bake({"no-temporary-files": {"context": str(context), "tags": [tag]}})
    finally:
        docker("image", "rm", "--force", tag)
    assert not failure
    assert not list(temporary.iterdir())
