"""The options of `nox -s publish`."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.cli import options, publish
from scripts.core.console import UserError
from scripts.publish import signing, tools
from scripts.publish.signing import Signer


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
