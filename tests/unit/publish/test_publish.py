"""An image for several platforms: what is pushed and signed, and which tags move."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.contents import listing
from scripts.core.console import UserError
from scripts.images.catalogue import Image
from scripts.publish import publish, signing
from scripts.publish.package import Package
from scripts.publish.publish import Prepared, Publisher
from scripts.publish.registry import Repository
from scripts.publish.signing import Signer
from scripts.publish.variant import Packer, Variant
from tests.unit.publish.test_tags import CPU

IMAGES = {
    name: Image("cpu", tag, "", "", {}, frozenset(), (name,))
    for name, tag in (("linux/amd64", "vmaf:cpu"), ("linux/arm64", "vmaf:cpu-arm64"))
}
BOTH = list(IMAGES.values())
DIGESTS = {"linux/amd64": f"sha256:{'a' * 64}", "linux/arm64": f"sha256:{'b' * 64}"}
KIND = "application/vnd.oci.image.manifest.v1+json"
RELEASE = "cpu-ffmpeg9.0.2-vmaf3.2.0-gf85a85369"
WHEN = datetime(2026, 11, 28, 1, 30, tzinfo=UTC)


@dataclass
class Site:
    """A registry, as `Repository` reaches it."""

    events: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    """The digest of each tag."""
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Manifests and indexes by digest."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    """Replace the registry, cosign, and the packing of images."""
    found = Site()

    def put(_self: Repository, file: Path, *_: str) -> dict[str, Any]:
        found.events.append(f"put {file.parent.name}")
        return {"mediaType": KIND, "digest": f"sha256:{file.parent.name * 64}", "size": 2}

    def attest(_self: Signer, _repository: Repository, digest: str, kind: str, _file: Path) -> None:
        found.events.append(f"attest {kind} {digest}")

    def pack(_self: Packer, image: Image, directory: Path) -> Variant:
        name = image.platforms[0]
        descriptor = {"mediaType": KIND, "digest": DIGESTS[name], "size": 2}
        built = replace(CPU, platform=name)
        return Variant(image, "", built, Package("layout", descriptor, 1, 10), directory)

    replacements = {
        (Repository, "push"): lambda _, __, digest: found.events.append(f"push {digest}"),
        (Repository, "put_index"): lambda _, text: found.events.append(f"index {text}"),
        (Repository, "put"): put,
        (Repository, "attach"): lambda *_: None,
        (Repository, "digest"): lambda _, tag: found.tags[tag],
        (Repository, "manifest"): lambda _, digest: found.documents[digest],
        (Repository, "tag"): lambda _, digest, tag: found.tags.update({tag: digest}),
        (Signer, "sign"): lambda _, __, digest: found.events.append(f"sign {digest}"),
        (Signer, "attest"): attest,
        (Signer, "has_signed"): lambda *_: False,
        (Packer, "pack"): pack,
    }
    for (owner, name), replacement in replacements.items():
        monkeypatch.setattr(owner, name, replacement)
    return found


def publisher(*, move: bool = False) -> Publisher:
    """Return what publishes to the registry."""
    regctl = Path("regctl")
    repository = Repository("example.org/vmaf", regctl)
    signer = Signer(Path("cosign"), key="k", public_key="p")
    return Publisher(repository, regctl, signer, "zstd", "9.0", WHEN, move)


def prepare(
    site: Site, directory: Path, *, images: list[Image] = BOTH, move: bool = False
) -> Prepared:
    """Pack the image for some platforms."""
    directory.mkdir()
    return publisher(move=move).prepare(images, set(site.tags), directory)


def test_tags_name_the_index_of_both_platforms(site: Site, tmp_path: Path) -> None:
    """The tags name the index, and those with `-source` the index of both sources."""
    prepared = prepare(site, tmp_path / "a")
    assert prepared.index
    assert prepared.digest == prepared.index.digest
    publisher().push(prepared)
    publisher().move_tags([prepared])
    images = {tag for tag in site.tags if not tag.endswith("-source")}
    assert images == set(prepared.tags.all) >= {"cpu", "latest", RELEASE}
    assert {site.tags[tag] for tag in images} == {prepared.digest}
    (sources,) = {site.tags[tag] for tag in set(site.tags) - images}
    assert sources == prepared.source
    alone = {str(each.source["digest"]) for each in prepared.variants}
    assert sources not in {prepared.digest, *DIGESTS.values(), *alone}


def test_one_platform_has_no_index(site: Site, tmp_path: Path) -> None:
    """The tags name its manifest, and no index is pushed."""
    prepared = prepare(site, tmp_path / "a", images=BOTH[:1])
    assert prepared.index is None
    publisher().push(prepared)
    publisher().move_tags([prepared])
    assert site.tags["cpu"] == DIGESTS["linux/amd64"]
    assert site.tags[f"{RELEASE}-source"] == f"sha256:{'0' * 64}"
    assert not [event for event in site.events if event.startswith("index")]


def test_index_is_pushed_after_its_manifests_and_signed(site: Site, tmp_path: Path) -> None:
    """The manifests are in the registry, attested and signed, when the index is pushed."""
    prepared = prepare(site, tmp_path / "a")
    publisher().push(prepared)
    manifests = [
        event
        for number, digest in enumerate(DIGESTS.values())
        for event in (
            *(f"push {digest}", f"put {number}"),
            *(f"attest {kind} {digest}" for kind in signing.TYPES),
            f"sign {digest}",
        )
    ]
    assert prepared.index
    of_index = [f"attest slsaprovenance1 {prepared.digest}", f"sign {prepared.digest}"]
    before, after = site.events[: len(manifests)], site.events[len(manifests) :]
    assert before == manifests
    assert after[0] == f"index {prepared.index.content}"
    assert after[1].startswith("index ")
    assert publish.SOURCE in after[1]
    assert after[2:] == of_index


def test_provenance_of_the_index_is_written(site: Site, tmp_path: Path) -> None:
    """Its subject is the index."""
    prepared = prepare(site, tmp_path / "a")
    text = (tmp_path / "a" / "provenance.json").read_text()
    assert prepared.digest.removeprefix("sha256:") in text
    assert "linux/arm64" in (tmp_path / "a" / "predicate.json").read_text()


def test_same_index_keeps_its_tags(site: Site, tmp_path: Path) -> None:
    """An index that is published already moves no tag, and keeps its dated tag."""
    first = prepare(site, tmp_path / "a")
    publisher().push(first)
    publisher().move_tags([first])
    later = replace(publisher(), when=WHEN.replace(day=29))
    (tmp_path / "b").mkdir()
    again = later.prepare(BOTH[::-1], set(site.tags), tmp_path / "b")
    assert again.tags == first.tags
    assert not again.moving


def test_another_platform_is_added_to_a_release(site: Site, tmp_path: Path) -> None:
    """A release may get an index with the image that it has, but not one with another image."""
    site.tags[RELEASE] = DIGESTS["linux/amd64"]
    assert RELEASE in prepare(site, tmp_path / "a").moving
    site.tags[RELEASE] = f"sha256:{'c' * 64}"
    with pytest.raises(UserError, match="the same releases and other files"):
        prepare(site, tmp_path / "b")
    assert RELEASE in prepare(site, tmp_path / "c", move=True).moving


def test_platforms_that_a_tag_would_lose_are_told(site: Site, tmp_path: Path) -> None:
    """They are those of an index that the moving tags name now."""
    prepared = prepare(site, tmp_path / "a")
    assert prepared.index
    site.tags["cpu"] = site.tags["latest"] = "old"
    site.documents["old"] = {
        "manifests": [
            {"digest": digest, "platform": {"os": "linux", "architecture": name[6:]}}
            for name, digest in DIGESTS.items()
        ]
    }
    alone = prepare(site, tmp_path / "b", images=BOTH[:1])
    assert publisher().lost(alone) == ["linux/arm64"]
    assert publisher().lost(prepare(site, tmp_path / "c")) == []


def test_each_platform_is_pulled_back_and_then_the_index_is_verified(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each manifest is compared and scored under a tag of its own; then the index is verified."""
    prepared = prepare(site, tmp_path / "a")
    scored, verified = [], []

    @contextmanager
    def pulled(_self: Publisher, digest: str, tag: str) -> Iterator[None]:
        scored.append((digest, tag))
        yield

    def score(image: Image, tag: str) -> bool:
        scored.append((image.tag, tag))
        return True

    monkeypatch.setattr(Publisher, "pulled", pulled)
    monkeypatch.setattr(listing, "listing", lambda _: ())
    monkeypatch.setattr(listing, "differences", lambda *_: [])
    monkeypatch.setattr(Signer, "verify", lambda _, __, *what: verified.append(what))
    publisher().check_published(prepared, score)
    assert scored == [
        (DIGESTS["linux/amd64"], "vmaf-published:cpu"),
        ("vmaf:cpu", "vmaf-published:cpu"),
        (DIGESTS["linux/arm64"], "vmaf-published:cpu-arm64"),
        ("vmaf:cpu-arm64", "vmaf-published:cpu-arm64"),
    ]
    assert verified == [(prepared.digest, signing.OF_INDEX)]
    with pytest.raises(UserError, match="does not score video"):
        publisher().check_published(prepared, lambda image, _: image.tag == "vmaf:cpu")


def test_image_that_was_built_again_is_found(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found for each platform."""
    prepared = prepare(site, tmp_path / "a")
    monkeypatch.setattr("scripts.engine.client.image_id", lambda _: "")
    publish.check_unchanged(prepared)
    prepared.variants[1].id = "sha256:1"
    with pytest.raises(UserError, match="vmaf:cpu-arm64 was built again"):
        publish.check_unchanged(prepared)
