"""Publish images: pack, push, sign, pull back and compare them, and move their tags at the end.

Until the last step an image is only known by its digest. If anything fails before it, all tags
still name what they named, and what was pushed is not sent again the next time.
"""

import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.contents import listing, sbom, sources
from scripts.contents.archive import Archive, SavedImage
from scripts.core import process
from scripts.core.console import UserError, say
from scripts.engine import client
from scripts.images.catalogue import Image
from scripts.publish import package, provenance, tags
from scripts.publish.package import Package
from scripts.publish.registry import Repository
from scripts.publish.signing import Signer
from scripts.publish.tags import Built, Tags

SBOM, STATEMENT = "application/vnd.cyclonedx+json", "application/vnd.in-toto+json"
"""The media types of what is attached to an image."""
SOURCE, TAR = "application/vnd.vmaf-images.source.v1", "application/x-tar"
"""The type of the artifact with the corresponding source of an image, and that of its file."""
PULLED = "vmaf-published"
"""The repository, in the engine, of an image that was pulled back."""

Score = Callable[[str, str], bool]
"""Scores video with an image, given by its name and a tag of the engine, and says if it worked."""


@dataclass
class Prepared:
    """An image that can be pushed."""

    image: Image
    id: str
    """The identifier of the image in the engine."""
    built: Built
    package: Package
    directory: Path
    """Has the package, the SBOM, the provenance and the corresponding source."""
    tags: Tags
    now: dict[str, str]
    """The digests that its tags name now; tags that do not exist are missing."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each part took."""
    source: str = ""
    """The digest of the artifact with the corresponding source, when it is pushed."""

    @property
    def moving(self) -> list[str]:
        """The tags that name another image now, or none."""
        return [tag for tag in self.tags.all if self.now.get(tag) != self.package.digest]

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Measure a part."""
        begin = time.monotonic()
        yield
        self.seconds[part] = time.monotonic() - begin


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

    def prepare(self, image: Image, present: set[str], directory: Path) -> Prepared:
        """Read and pack an image.

        Args:
            image: the image, which the engine has.
            present: the tags that the repository has.
            directory: an empty directory, which the result uses.

        Raises:
            UserError: the image must not be published, or a tag that stays names another one.
        """
        identity = client.image_id(image.tag)
        if not identity:
            raise UserError(
                f"cannot publish {image.name}",
                f"{image.tag} is not built",
                f"Run `nox -s {image.session}`.",
            )
        begin = time.monotonic()
        with TemporaryDirectory(prefix="vmaf-image-") as name:
            saved = Path(name)
            archive = Archive(saved)
            archive.save(identity)
            contents = archive.image()
            built = Built.read(image.name, contents)
            check(built)
            components, _ = sbom.generate(image.tag, contents)
            packed = package.pack(
                self.regctl, saved, contents, self.compression, directory / "image"
            )
            self._write_source(image, contents, directory)
        (directory / "sbom.json").write_text(components)
        predicate = provenance.predicate(built, os.environ)
        _write(directory / "predicate.json", predicate)
        statement = provenance.statement(self.repository.name, packed.digest, predicate)
        _write(directory / "provenance.json", statement)
        named = tags.tags(built, self.when, default_ffmpeg=self.default_ffmpeg)
        named = self._dated_before(named, present, packed.digest)
        now = {tag: self.repository.digest(tag) for tag in named.all if tag in present}
        prepared = Prepared(image, identity, built, packed, directory, named, now)
        prepared.seconds["pack"] = time.monotonic() - begin
        self._check_tags(prepared)
        return prepared

    def _write_source(self, image: Image, contents: SavedImage, directory: Path) -> None:
        """Write the corresponding source of an image to source.tar, the same bytes each time."""
        written = directory / "source"
        sources.write(image.tag, contents, written, trees=self.trees, environment=os.environ)
        with tarfile.open(directory / "source.tar", "w") as tar:
            for path in sorted(written.rglob("*")):
                member = tar.gettarinfo(path, str(path.relative_to(directory)))
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                if path.is_file():
                    with path.open("rb") as file:
                        tar.addfile(member, file)

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
        named, digest = prepared.tags, prepared.package.digest
        what = f"cannot publish {prepared.image.name}"
        if (now := prepared.now.get(named.dated, digest)) != digest:
            raise UserError(
                what,
                f"{named.dated} names {now}, and a dated tag never moves",
                "Publish again in a minute, which gives another tag.",
            )
        if (now := prepared.now.get(named.release, digest)) != digest and not self.move:
            raise UserError(
                what,
                f"{named.release} names {now}, which has the same releases and other files",
                "Publish with --move to let the tag name the new image. The other one keeps its "
                "dated tag.",
            )

    def push(self, prepared: Prepared) -> None:
        """Push an image without a tag, and attach and sign what belongs to it.

        Raises:
            UserError: the registry or cosign failed.
        """
        repository, digest = self.repository, prepared.package.digest
        directory = prepared.directory
        with prepared.timed("push"):
            repository.push(prepared.package.layout, digest)
            prepared.source = repository.put(directory / "source.tar", SOURCE, TAR)
        with prepared.timed("sign"):
            repository.attach(digest, directory / "sbom.json", SBOM)
            repository.attach(digest, directory / "provenance.json", STATEMENT)
            if self.signer and not self.signer.has_signed(repository, digest):
                # The signature is the last: an image that has one has all attestations.
                for kind, file in (("cyclonedx", "sbom"), ("slsaprovenance1", "predicate")):
                    self.signer.attest(repository, digest, kind, directory / f"{file}.json")
                self.signer.sign(repository, digest)

    def check_published(self, prepared: Prepared, score: Score) -> None:
        """Pull an image back, verify its signature, and compare and run what was pulled.

        Raises:
            UserError: something differs, or the image does not work.
        """
        tag = f"{PULLED}:{prepared.image.name}"
        with prepared.timed("pull back"), self.pulled(prepared.package.digest, tag):
            verified, pulled = (listing.listing(name) for name in (prepared.id, tag))
            if differing := listing.differences(verified, pulled):
                first = differing[0]
                raise UserError(
                    f"cannot publish {prepared.image.name}",
                    f"{len(differing)} files differ from those of the verified image, such as "
                    f"{first.path}: {first.what}",
                    "No tag was moved. The registry, or regctl, changed them.",
                )
            if not score(prepared.image.name, tag):
                raise UserError(
                    f"cannot publish {prepared.image.name}",
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
                self.repository.tag(image.package.digest, tag)
                say(f"publish: {self.repository.name}:{tag}")


def _write(path: Path, document: dict[str, object]) -> None:
    path.write_text(json.dumps(document, indent=1, sort_keys=True))


def check(image: Built) -> None:
    """Check that an image may be published.

    Raises:
        UserError: it may not.
    """
    if reasons := tags.refusals(image):
        raise UserError(
            f"cannot publish {image.name}",
            "\n".join(reasons),
            "docs/publish.md says which images may be published.",
        )


def check_unchanged(prepared: Prepared) -> None:
    """Check that the engine still has the image that was packed under its tag.

    Raises:
        UserError: the image was built again.
    """
    if client.image_id(prepared.image.tag) != prepared.id:
        raise UserError(
            f"cannot publish {prepared.image.name}",
            f"{prepared.image.tag} was built again meanwhile",
            "Publish again.",
        )
