"""The options of `nox -s publish`."""

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.cli import options, publish
from scripts.core import process
from scripts.core.console import UserError
from scripts.images import catalogue, platforms
from scripts.images.catalogue import Image
from scripts.publish import index, signing, tools
from scripts.publish.package import Package
from scripts.publish.publish import Prepared, Publisher
from scripts.publish.registry import Repository
from scripts.publish.signing import Signer
from scripts.publish.tags import Tags
from scripts.publish.variant import Variant
from tests.unit.publish.test_tags import CPU

BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture(autouse=True)
def no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find cosign without a build, and a public key without cosign."""
    monkeypatch.setattr(tools, "find", Path)
    monkeypatch.setattr(signing, "public_key", lambda *_: Path("public"))
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "ACTIONS_")):
            monkeypatch.delenv(name)


def signer(*arguments: str) -> Signer | None:
    """Return how images are signed with these options."""
    parsed = options.parse(["publish", "--registry=example.org/vmaf", *arguments])
    with ExitStack() as stack:
        return stack.enter_context(publish.signer(parsed, os.environ))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "cannot sign images: nothing is given"),
        (["--sign-key=k", "--keyless"], "--sign-key and --keyless"),
        (["--verify-key=k"], "cannot sign images"),
        (["--verify-only"], "cannot verify signatures"),
        (["--verify-only", "--sign-key=k"], "cannot verify signatures"),
        (["--keyless"], "id-token: write"),
    ],
)
def test_way_to_sign_must_be_clear(arguments: list[str], message: str) -> None:
    """Without exactly one way to sign, or to verify, nothing is published."""
    with pytest.raises(UserError, match=message):
        signer(*arguments)


def test_images_are_unsigned_only_if_asked_for() -> None:
    """Only --unsigned, and a dry run that does not say how it would sign, have no signer."""
    assert signer("--unsigned") is None
    assert signer("--dry-run") is None
    key = signer("--sign-key=k")
    assert key
    assert (key.key, key.public_key) == ("k", "public")


def test_published_images_are_verified_by_key_or_identity() -> None:
    """A public key, or the identity of a workflow with its issuer, verifies."""
    by_key = signer("--verify-only", "--verify-key=k")
    assert by_key
    assert (by_key.key, by_key.public_key) == ("", "k")
    by_identity = signer("--verify-only", "--identity=i")
    assert by_identity
    assert (by_identity.identity, by_identity.issuer) == ("i", signing.GITHUB_ISSUER)
    other = signer("--verify-only", "--identity=i", "--issuer=s")
    assert other
    assert other.issuer == "s"


def test_workflow_signs_with_its_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a workflow that may ask for an identity, it is that of the workflow."""
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://example.org")
    monkeypatch.setenv("GITHUB_WORKFLOW_REF", "team/vmaf/.github/workflows/r.yml@refs/tags/v1")
    with pytest.raises(UserError, match="id-token: write"):
        signer("--keyless")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "https://example.org/token")
    keyless = signer("--keyless")
    assert keyless
    assert not keyless.public_key
    assert keyless.identity == "https://example.org/team/vmaf/.github/workflows/r.yml@refs/tags/v1"


def test_images_that_must_not_be_passed_on_are_left_out() -> None:
    """By default, all other images are published; an image that is named is not left out."""
    names = [image.name for image in publish.choose([])]
    assert "cpu" in names
    assert not {"dev", "all-backends"} & set(names)
    assert [image.name for image in publish.choose(["dev"])] == ["dev"]


def test_registry_must_be_named() -> None:
    """Without a repository nothing is done."""
    with pytest.raises(UserError, match="no repository is named"):
        publish.run(options.parse(["publish", "--unsigned"]))


def images(*names: str) -> dict[str, Image]:
    """Return a catalogue of images for both platforms, and of `gpu` for amd64 only."""
    return {
        name: Image(
            name, f"vmaf:{name}", "", "", {}, frozenset(), BOTH[:1] if name == "gpu" else BOTH
        )
        for name in names
    }


def test_default_with_several_platforms_has_the_images_of_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Images for GPUs are published with the index of the others, for amd64 only."""
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(catalogue, "images", lambda: images("cpu", "gpu"))
    monkeypatch.setenv(platforms.VARIABLE, ",".join(BOTH))
    assert [image.name for image in publish.choose([])] == ["cpu", "gpu"]


def test_each_platform_has_an_image_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """The foreign one has the tag of its build; an image for GPUs has no other platform."""
    cpu, cuda = publish.variants(publish.choose(["cpu", "cuda12"]), BOTH)
    tags = {image.platforms[0]: image.tag for image in cpu}
    for name in BOTH:
        suffix = "" if name == platforms.native() else f"-{platforms.architecture(name)}"
        assert tags[name] == f"vmaf:cpu{suffix}"
    assert [list(image.platforms) for image in cuda] == [["linux/amd64"]]
    assert "cuda12 is not for linux/arm64" in capsys.readouterr().err
    with pytest.raises(UserError, match="--platform linux/amd64,linux/arm64"):
        publish.variants(publish.choose(["cuda12"]), ["linux/arm64"])


def test_foreign_platform_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before the engine and the registry are asked for anything."""
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv(platforms.VARIABLE, "linux/arm64")
    with pytest.raises(UserError, match="tags such as `cpu` would no longer be for linux/amd64"):
        publish.run(options.parse(["publish", "--registry=example.org/vmaf", "--unsigned"]))


@pytest.fixture
def tests(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record the arguments of `verify` instead of running it."""
    ran: list[list[str]] = []

    def run_shown(*command: str, cwd: Path) -> int:
        assert (command[:4], cwd.name) == (
            (sys.executable, "-m", "scripts.cli", "verify"),
            cwd.name,
        )
        ran.append(list(command[4:]))
        return int("fails" in command)

    monkeypatch.setattr(process, "run_shown", run_shown)
    monkeypatch.setattr(platforms, "runs", lambda name: name == "linux/amd64")
    monkeypatch.setattr(platforms, "provide", lambda _: ran.append(["provide"]))
    return ran


def of_platforms(name: str) -> list[Image]:
    """Return an image as it is built for each of its platforms."""
    (image,) = images(name).values()
    return [replace(image, platforms=(platform,)) for platform in image.platforms]


def test_images_are_tested_for_each_platform(tests: list[list[str]]) -> None:
    """Each platform is tested by a program of its own, once there is an emulator for it."""
    assert publish.verify_all([of_platforms("cpu"), of_platforms("gpu")], BOTH) == 0
    assert tests == [
        ["cpu", "gpu", "--platform=linux/amd64", "--require=all"],
        ["provide"],
        ["cpu", "--platform=linux/arm64", "--require=all"],
    ]


def test_tests_that_fail_end_the_session(tests: list[list[str]]) -> None:
    """The second platform is not tested if the first one fails."""
    assert publish.verify_all([of_platforms("fails")], BOTH) == 1
    assert len(tests) == 1


def test_images_without_the_platform_need_no_emulator(tests: list[list[str]]) -> None:
    """If only images for GPUs are published, nothing is emulated."""
    assert publish.verify_all([of_platforms("gpu")], BOTH) == 0
    assert tests == [["gpu", "--platform=linux/amd64", "--require=all"]]


def test_dry_run_shows_both_platforms_and_the_index(capsys: pytest.CaptureFixture[str]) -> None:
    """Each platform has a line with its digest, and the tags stand at the index."""
    digests = [f"sha256:{digit * 64}" for digit in "ab"]
    variants = [
        Variant(
            image,
            "",
            replace(CPU, platform=image.platforms[0]),
            Package("layout", {"mediaType": "m", "digest": digest, "size": 1}, 3, 1000),
            Path(),
        )
        for image, digest in zip(of_platforms("cpu"), digests, strict=True)
    ]
    listed = index.index({v.built.platform: v.package.descriptor for v in variants})
    prepared = Prepared(variants, listed, Path(), Tags(("cpu",), "release", "dated"), {})
    publish.show([prepared])
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[:2] for line in lines[:3]] == [
        ["cpu", "linux/amd64"],
        ["cpu", "linux/arm64"],
        ["cpu", "index"],
    ]
    assert [digest[:19] in line for digest, line in zip(digests, lines, strict=False)] == [True] * 2
    assert listed.digest[:19] in lines[2]
    assert [line.split()[-2] for line in lines[2:]] == ["dated", "release", "cpu"]
    publish.show([replace(prepared, variants=variants[:1], index=None)])
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == 3
    assert "linux/amd64" not in lines[0]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace the registry; the result has its document for `cpu`, and what was done."""
    state: dict[str, Any] = {"document": {}, "done": []}
    monkeypatch.setattr(catalogue, "images", lambda: images("cpu"))
    monkeypatch.setattr(Repository, "digest", lambda _, tag: f"digest of {tag}")
    monkeypatch.setattr(Repository, "manifest", lambda *_: state["document"])
    monkeypatch.setattr(Signer, "verify", lambda _, __, *what: state["done"].append(what))

    @contextmanager
    def pulled(_self: Publisher, digest: str, tag: str) -> Iterator[None]:
        state["done"].append((digest, tag))
        yield

    monkeypatch.setattr(Publisher, "pulled", pulled)
    return state


def verify_only() -> int:
    """Verify what is published."""
    tool = Path("tool")
    repository = Repository("example.org/vmaf", tool)
    signer = Signer(tool, public_key="p")
    publisher = Publisher(repository, tool, signer, "zstd", "9.0", datetime.now(UTC))
    arguments = ["publish", "cpu", "--verify-only", "--registry=example.org/vmaf"]
    return publish.verify_only(publisher, options.parse(arguments))


def entry(name: str) -> Mapping[str, Any]:
    """Return the entry of a platform in an index."""
    return {
        "digest": f"digest of {name}",
        "platform": {"os": "linux", "architecture": name.removeprefix("linux/")},
    }


def test_published_index_is_verified_with_all_its_platforms(
    published: dict[str, Any], tests: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The index and each manifest are verified; what this machine runs is scored."""
    published["document"] = {"manifests": [entry(name) for name in BOTH]}
    assert verify_only() == 0
    assert published["done"] == [
        ("digest of cpu", signing.OF_INDEX),
        ("digest of linux/amd64", "vmaf-published:cpu-amd64"),
        ("digest of linux/arm64", "vmaf-published:cpu-arm64"),
    ]
    ((*scored, _k, _tests),) = tests
    platform, required, tag = "--platform=linux/amd64", "--require=all", "vmaf-published:cpu-amd64"
    assert scored == ["cpu", platform, required, f"--as=cpu={tag}"]
    assert "cpu for linux/arm64 is not run" in capsys.readouterr().err


def test_published_index_is_scored_with_an_emulator(
    published: dict[str, Any], tests: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an emulator, the foreign platform is scored, too."""
    monkeypatch.setattr(platforms, "runs", lambda _: True)
    published["document"] = {"manifests": [entry(name) for name in BOTH]}
    assert verify_only() == 0
    assert [arguments[1] for arguments in tests] == [f"--platform={name}" for name in BOTH]


def test_published_manifest_is_verified_and_scored(
    published: dict[str, Any], tests: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an index, the manifest that the tag names is the image of this machine."""
    monkeypatch.setattr(platforms, "native", lambda: "linux/amd64")
    assert verify_only() == 0
    assert published["done"] == [("digest of cpu", "vmaf-published:cpu-amd64")]
    assert len(tests) == 1
