"""Publish images: pack, push, sign, pull back and compare them, and move their tags at the end.

An image for several platforms has one index of them, which its tags name. Until the last step an
image or an index is only known by its digest. If anything fails before it, all tags still name what
they named, and what was pushed is not sent again the next time.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.contents import listing
from scripts.core import process
from scripts.core.console import UserError, say
from scripts.engine import client
from scripts.images.catalogue import Image
from scripts.publish import index, signing, tags, variant
from scripts.publish.index import Index
from scripts.publish.registry import Repository
from scripts.publish.signing import Signer
from scripts.publish.tags import Tags
from scripts.publish.variant import Packer, Variant

SBOM, STATEMENT = "application/vnd.cyclonedx+json", "application/vnd.in-toto+json"
"""The media types of what is attached to an image."""
SOURCE, TAR = "application/vnd.vmaf-images.source.v1", "application/x-tar"
"""The type of the artifact with the corresponding source of an image, and that of its file."""
PULLED = "vmaf-published"
"""The repository, in the engine, of an image that was pulled back."""
_ATTESTED = {
    "cyclonedx": ("sbom.json", SBOM, "sbom.json"),
    "slsaprovenance1": ("provenance.json", STATEMENT, "predicate.json"),
}
"""By type of attestation: the attached file, its media type, and the file with the predicate."""

Score = Callable[[Image, str], bool]
"""Scores video with a tag of the engine, which is an image, and says if it worked."""


@dataclass
class Prepared:
    """An image that can be pushed, for all its platforms."""

    variants: Sequence[Variant]
    """The image for each platform."""
    index: Index | None
    """The index of several variants; None for one, which the tags then name."""
    directory: Path
    """Has a directory for each variant, and the provenance of the index."""
    tags: Tags
    now: dict[str, str]
    """The digests that its tags name now; tags that do not exist are missing."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each part took, for all variants together."""
    source: str = ""
    """The digest of what has the corresponding source, when it is pushed."""

    @property
    def name(self) -> str:
        """The name of the image in docker-bake.hcl."""
        return self.variants[0].image.name

    @property
    def digest(self) -> str:
        """The digest that the tags will name: of the index, or of the only variant."""
        return self.index.digest if self.index else self.variants[0].package.digest

    @property
    def platforms(self) -> list[str]:
        """The platforms of the variants."""
        return [each.built.platform for each in self.variants]

    @property
    def moving(self) -> list[str]:
        """The tags that name another image now, or none."""
        return [tag for tag in self.tags.all if self.now.get(tag) != self.digest]

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Measure a part."""
        begin = time.monotonic()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - begin


@dataclass(frozen=True)
class Publisher:
    """How images are published."""

    repository: Repository
    regctl: Path
    signer: Signer | None
    """None leaves images unsigned."""
    compression: str
    default_ffmpeg: str
    when: datetime
    """The time of the publication, in UTC, for the dated tags."""
    move: bool = False
    """Whether the tag of a release may be moved to another image."""
    trees: Mapping[str, str] = field(default_factory=dict)
    """The source trees that images were built from, as for `sources.write`."""

    def prepare(self, images: Sequence[Image], present: set[str], directory: Path) -> Prepared:
        """Read and pack an image for its platforms.

        Args:
            images: the image for each platform, which the engine has.
            present: the tags that the repository has.
            directory: an empty directory, which the result uses.

        Raises:
            UserError: the image must not be published, its platforms differ in more than the
                platform, or a tag that stays names another image.
        """
        begin = time.monotonic()
        packer = Packer(self.regctl, self.compression, self.repository.name, self.trees)
        variants = []
        for number, image in enumerate(images):
            part = directory / str(number)
            part.mkdir()
            variants.append(packer.pack(image, part))
        listed = self._index(variants, directory) if len(variants) > 1 else None
        named = tags.tags(variants[0].built, self.when, default_ffmpeg=self.default_ffmpeg)
        prepared = Prepared(variants, listed, directory, named, {})
        prepared.tags = self._dated_before(named, present, prepared.digest)
        prepared.now = {
            tag: self.repository.digest(tag) for tag in prepared.tags.all if tag in present
        }
        prepared.seconds["pack"] = time.monotonic() - begin
        self._check_tags(prepared)
        return prepared

    def _index(self, variants: Sequence[Variant], directory: Path) -> Index:
        """Return the index of some variants, and write its provenance."""
        index.check({each.image.tag: each.built for each in variants})
        listed = index.index(
            {each.built.platform: each.package.descriptor for each in variants},
            annotations=[each.package.annotations for each in variants],
        )
        built = [each.built for each in variants]
        variant.write_provenance(built, self.repository.name, listed.digest, directory)
        return listed

    def _dated_before(self, named: Tags, present: set[str], digest: str) -> Tags:
        """Return the tags with the dated tag that the image already has, if it has one."""
        dated = sorted(tag for tag in present if tags.is_dated(tag, named.release))
        if dated and self.repository.digest(dated[-1]) == digest:
            return Tags(named.moving, named.release, dated[-1])
        return named

    def _check_tags(self, prepared: Prepared) -> None:
        """Check that no tag is moved that users expect to stay.

        Raises:
            UserError: a tag that stays names another image.
        """
        named, digest = prepared.tags, prepared.digest
        what = f"cannot publish {prepared.name}"
        if (now := prepared.now.get(named.dated, digest)) != digest:
            raise UserError(
                what,
                f"{named.dated} names {now}, and a dated tag never moves",
                "Publish again in a minute, which gives another tag.",
            )
        # An index with the image that the tag names only adds platforms to it.
        allowed = {digest, *(each.package.digest for each in prepared.variants)}
        if (now := prepared.now.get(named.release, digest)) not in allowed and not self.move:
            raise UserError(
                what,
                f"{named.release} names {now}, which has the same releases and other files",
                "Publish with --move to let the tag name the new image. The other one keeps its "
                "dated tag.",
            )

    def lost(self, prepared: Prepared) -> list[str]:
        """Return the platforms that the moving tags have now, and will not have any more.

        Raises:
            RegistryError: the registry does not answer.
        """
        named = {prepared.now[tag] for tag in prepared.tags.moving if tag in prepared.now}
        found = {
            name
            for digest in named - {prepared.digest}
            for name in index.platforms(self.repository.manifest(digest))
        }
        return sorted(found - set(prepared.platforms))

    def push(self, prepared: Prepared) -> None:
        """Push an image without a tag, and attach and sign what belongs to it.

        Raises:
            UserError: the registry or cosign failed.
        """
        for each in prepared.variants:
            with prepared.timed("push"):
                self.repository.push(each.package.layout, each.package.digest)
                each.source = self.repository.put(each.directory / "source.tar", SOURCE, TAR)
            with prepared.timed("sign"):
                self._sign(each.package.digest, each.directory, signing.TYPES)
        prepared.source = str(prepared.variants[0].source["digest"])
        if prepared.index:
            with prepared.timed("push"):
                self.repository.put_index(prepared.index.content)
                prepared.source = self._put_sources(prepared.variants)
            with prepared.timed("sign"):
                self._sign(prepared.digest, prepared.directory, signing.OF_INDEX)

    def _sign(self, digest: str, directory: Path, kinds: Sequence[str]) -> None:
        """Attach to an image or an index what the directory has of it, and sign it."""
        for kind in kinds:
            file, media_type, _ = _ATTESTED[kind]
            self.repository.attach(digest, directory / file, media_type)
        if self.signer and not self.signer.has_signed(self.repository, digest, kinds):
            # The signature is the last: an image that has one has all attestations.
            for kind in kinds:
                predicate = directory / _ATTESTED[kind][2]
                self.signer.attest(self.repository, digest, kind, predicate)
            self.signer.sign(self.repository, digest)

    def _put_sources(self, variants: Sequence[Variant]) -> str:
        """Push an index of the sources of all variants, and return its digest."""
        listed = index.index(
            {each.built.platform: each.source for each in variants}, artifact_type=SOURCE
        )
        self.repository.put_index(listed.content)
        return listed.digest

    def check_published(self, prepared: Prepared, score: Score) -> None:
        """Pull an image back, verify its signature, and compare and run what was pulled.

        Raises:
            UserError: something differs, or the image does not work.
        """
        for each in prepared.variants:
            with prepared.timed("pull back"):
                self._check_variant(each, score)
        if prepared.index and self.signer:
            self.signer.verify(self.repository, prepared.digest, signing.OF_INDEX)

    def _check_variant(self, pushed: Variant, score: Score) -> None:
        image, tag = pushed.image, pulled_tag(pushed.image.tag)
        with self.pulled(pushed.package.digest, tag):
            verified, pulled = (listing.listing(name) for name in (pushed.id, tag))
            if differing := listing.differences(verified, pulled):
                first = differing[0]
                raise UserError(
                    f"cannot publish {image.name}",
                    f"{len(differing)} files differ from those of the verified image, such as "
                    f"{first.path}: {first.what}",
                    "No tag was moved. The registry, or regctl, changed them.",
                )
            if not score(image, tag):
                raise UserError(
                    f"cannot publish {image.name}",
                    "the image that was pulled back does not score video",
                    "No tag was moved. The messages above say more.",
                )

    @contextmanager
    def pulled(self, digest: str, tag: str) -> Iterator[None]:
        """Verify an image of the registry and pull it into an empty directory, then the engine.

        `docker pull` would leave out the layers that the engine has from the build.

        Raises:
            UserError: it is not signed, or not what the digest says.
        """
        if self.signer:
            self.signer.verify(self.repository, digest)
        with TemporaryDirectory(prefix="vmaf-pulled-") as name:
            directory, archive = Path(name, "image"), Path(name, "image.tar")
            self.repository.pull(digest, directory)
            layout = f"ocidir://{directory}@{digest}"
            exported = process.run(
                *(str(self.regctl), "image", "export", f"--name={tag}", layout, str(archive))
            )
            loaded = process.run("docker", "load", "--quiet", f"--input={archive}")
        if exported.returncode or loaded.returncode:
            raise UserError(
                f"cannot load {self.repository.name}@{digest}",
                (exported.stderr + loaded.stderr).strip()[-500:],
                "Docker before 23 cannot read zstd layers: --compression gzip writes others.",
            )
        try:
            yield
        finally:
            process.run("docker", "image", "rm", tag)

    def move_tags(self, prepared: Sequence[Prepared]) -> None:
        """Let the tags name the images and their sources, first those that never move.

        Raises:
            UserError: the registry failed.
        """
        for image in prepared:
            for tag in image.moving:
                if tag in {image.tags.dated, image.tags.release}:
                    self.repository.tag(image.source, f"{tag}-source")
                self.repository.tag(image.digest, tag)
                say(f"publish: {self.repository.name}:{tag}")


def pulled_tag(tag: str) -> str:
    """Return the tag, in the engine, of an image that was pulled back."""
    return f"{PULLED}:{tag.partition(':')[2]}"


def check_unchanged(prepared: Prepared) -> None:
    """Check that the engine still has the images that were packed under their tags.

    Raises:
        UserError: an image was built again.
    """
    for each in prepared.variants:
        if client.image_id(each.image.tag) != each.id:
            raise UserError(
                f"cannot publish {each.image.name}",
                f"{each.image.tag} was built again meanwhile",
                "Publish again.",
            )
